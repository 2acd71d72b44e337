"""An adaptor with a main of its own that sets up logging first, as published ones do."""

from __future__ import annotations

import logging
import os
import sys

from openjd_adapt import Adaptor, EntryPoint

log = logging.getLogger(__name__)


class Main(Adaptor):
    def on_run(self, run_data):
        log.info("once")
        log.debug("too quiet to be heard")
        logging.getLogger("some.library").warning("from a library")


def main():
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="basicConfig %(message)s")
    if os.environ.get("LOG_FILE"):
        logging.getLogger().addHandler(logging.FileHandler(os.environ["LOG_FILE"]))
    EntryPoint(Main).start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
