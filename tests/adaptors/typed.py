"""Each kind of adaptor, and what an author uses of the package, with types: ``test_types`` has them checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openjd_adapt
from openjd_adapt import (
    Adaptor,
    AdaptorConfiguration,
    AdaptorConfigurationOptions,
    Application,
    ApplicationAdaptor,
    ApplicationError,
    Canceled,
    Client,
    CommandAdaptor,
    Done,
    EntryPoint,
    Fatal,
    IntRange,
    LoggingSubprocess,
    ManagedProcess,
    Progress,
    RegexCallback,
    RegexHandler,
    SemanticVersion,
    Watch,
)
from openjd_adapt.testing import FakeApplication, Session


class MyConfiguration(AdaptorConfiguration):
    DEFAULTS = {"quality": 3}

    @property
    def quality(self) -> int:
        return int(self.config["quality"])


class Counts(Watch):
    def act(self, adaptor: object, match: re.Match[str]) -> int:
        return len(match.string)


class Opens(Adaptor[MyConfiguration]):
    watch = [Progress(r"(\d+)%"), Fatal("^Error: (.*)", message="see the log", lines=2), Counts("saved")]
    run_timeout = 60

    def __init__(self, init_data: dict[str, Any], **options: Any) -> None:
        super().__init__(init_data, config_opts=AdaptorConfigurationOptions(config_cls=MyConfiguration), **options)
        self.integration_data = SemanticVersion(1, 2)
        self.seen: set[str] = set()

    def on_start(self) -> None:
        self.set_env("QUALITY", "%d" % self.config.quality.bit_length())

    def on_run(self, run_data: dict[str, Any]) -> None:
        callback = RegexCallback([re.compile("(.+)")], lambda match: self.seen.__contains__(match.group(1)))
        handler = RegexHandler([callback])
        with LoggingSubprocess(args=["true"], stdout_handler=handler, stderr_handler=self.line_handler) as process:
            process.wait()
        try:
            with self.progress_span(0, 50):
                self.report_progress(IntRange.parse("1-3").last)
            self.sleep(0.1)
        except Canceled:
            print(self.cancelled.is_set(), process.returncode)
            raise
        self.update_status(progress=3.5, status_message=self.map_path(Path("/a")))


class Encode(ManagedProcess):
    success_exit_codes = [0, 1]

    def get_executable(self) -> str:
        return "ffmpeg"


class Encodes(CommandAdaptor):
    watch = (Done("done"),)

    def get_managed_process(self, run_data: dict[str, Any]) -> ManagedProcess:
        return Encode(run_data, stdout_handler=self.line_handler)

    def on_postrun(self) -> None:
        print(self.config.log_level)


class Blender(ApplicationAdaptor[MyConfiguration]):
    client = Path("client.py")
    stop_timeout = None

    def get_command(self) -> list[str]:
        return ["blender", "--python", openjd_adapt.client_script]

    def on_ready(self) -> None:
        application: Application = self.app
        try:
            application.call("open_scene", path=self.init_data["scene"])
        except ApplicationError as error:
            print(error.detail, self.config.quality + 1)

    def on_run(self, run_data: dict[str, Any]) -> None:
        print(self.app.ask("render", "(.*) written", timeout=3).group(1))


def render(frame: int) -> int:
    return frame + 1


def in_the_application() -> None:
    client = Client()
    client.progress(client.action(render)(3))
    client.serve_forever()


def test_it() -> None:
    application = FakeApplication(open_scene=print, render=render)
    with Session(Blender, {"scene": "a"}, application=application) as session:
        assert session.run({"frame": 3}).is_done


def main() -> None:
    entry_point = EntryPoint(Opens)
    entry_point.on_bootstrap_complete.add(lambda: 3)
    entry_point.start(reentry_exe=Path("/opt/opens"))
