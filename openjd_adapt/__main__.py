"""``python -m openjd_adapt --adaptor package.module:Class COMMAND ...``: any adaptor, without an entry point."""

import gc
import sys

from .errors import leave_unloaded

if __name__ == "__main__":
    gc.disable()  # nothing that is loaded here becomes garbage
try:
    from .cli import main
    from .system.interpreter import leave
except Exception as error:
    leave_unloaded(error)


def console_script():  # type: () -> int
    """What pip makes ``openjd-adapt`` of: it finds the modules of the current folder, too, as ``python -m`` does."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, "")
    return main()


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    leave(main())
