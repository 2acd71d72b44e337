"""An adaptor that is busy in foreign code, and so notices neither a cancel nor its time bound."""

import time

from openjd_adapt import Adaptor


class Busy(Adaptor):
    run_timeout = 0.2

    def on_run(self, run_data):
        time.sleep(run_data["seconds"])
