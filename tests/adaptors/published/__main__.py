"""The command of the adaptor."""

from __future__ import annotations

import sys

from openjd.adaptor_runtime import EntryPoint
from openjd.adaptor_runtime._version import version as runtime_version

from .adaptor import Published


def main(reentry_exe=None):
    try:
        EntryPoint(Published).start(reentry_exe=reentry_exe)
    except Exception as error:
        print("entry point failed: %s (runtime %s)" % (error, runtime_version), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
