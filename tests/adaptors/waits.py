"""An adaptor whose task reports something and then waits."""

from openjd_adapt import Adaptor


class Waits(Adaptor):
    def on_run(self, run_data):
        self.update_status(progress=12.34, status_message="frame 3")
        self.sleep(300)
