"""``python -m openjd_adapt --adaptor package.module:Class COMMAND …``: any adaptor, without an entry point."""

from __future__ import annotations

import sys

from .errors import PartLeftOut

try:
    from .cli import main
except PartLeftOut as error:  # all that a command can say it with is not there
    print("ERROR: %s" % error, file=sys.stderr)
    sys.exit(error.exit_code)

if __name__ == "__main__":
    main()
