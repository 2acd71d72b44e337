"""``python -m openjd_adapt --adaptor package.module:Class COMMAND …``: any adaptor, without an entry point."""

from __future__ import annotations

from .errors import leave_unloaded

try:
    from .cli import main
except Exception as error:
    leave_unloaded(error)

if __name__ == "__main__":
    main()
