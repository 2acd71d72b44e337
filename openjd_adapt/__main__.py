"""``python -m openjd_adapt --adaptor package.module:Class COMMAND ...``: any adaptor, without an entry point."""

import gc

from .errors import leave_unloaded

if __name__ == "__main__":
    gc.disable()  # nothing that is loaded here becomes garbage
try:
    from .cli import main
    from .system.interpreter import leave
except Exception as error:
    leave_unloaded(error)

if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    leave(main())
