"""For Pythons that ignore PYTHONPATH: run or exec'ed by an application, it runs the client that the adaptor names.

It makes its own package importable first; ``openjd_adapt.client_script`` is its path. Some applications exec a script
without a ``__file__``; then the environment says where the package lies.
"""

import os
import runpy
import sys


def main():  # type: ignore[no-untyped-def]
    here = os.environ.get("OPENJD_ADAPT_PATH") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if here not in sys.path:
        sys.path.append(here)
    client = os.environ.get("OPENJD_ADAPT_CLIENT")
    if client:
        runpy.run_path(client, run_name="__main__")


main()  # type: ignore[no-untyped-call]
