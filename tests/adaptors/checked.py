"""An adaptor for tests whose data have schemas; it prints what it is called with."""

from openjd_adapt import Adaptor


class Checked(Adaptor):
    def on_start(self):
        print("on_start", self.init_data)

    def on_run(self, run_data):
        print("on_run", run_data)

    def on_stop(self):
        print("on_stop")

    def on_cleanup(self):
        print("on_cleanup")
