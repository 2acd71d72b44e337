"""What a type checker and an editor know of an author's adaptor: right ones pass, and what is misspelled is found."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from .conftest import ROOT, module, tool

pytestmark = [pytest.mark.long, pytest.mark.once, pytest.mark.pure]

TYPED = ROOT / "tests" / "adaptors" / "typed.py"

#: What stands once in the adaptors, and how an author may get it wrong.
MISTAKES = {
    "from openjd_adapt import (": "from openjd_adapt import (Cancelled,",
    "openjd_adapt.client_script": "openjd_adapt.client_scirpt",
    "class Counts(Watch)": "class Counts(Wacth)",
    "self.config.quality.bit_length()": "self.config.qualty.bit_length()",
    "self.config.quality + 1": "self.config.quality + ''",
    "config_cls=MyConfiguration": "config_class=MyConfiguration",
    "self.update_status(progress=": "self.update_status(progres=",
    'message="see the log"': 'mesage="see the log"',
    "application.call(": "application.cal(",
    "match.group(1)))": "match.gruop(1)))",
    "client.serve_forever": "client.serve_for_ever",
    '"frame": 3}).is_done': '"frame": 3}).isdone',
    "run_timeout = 60": 'run_timeout = "60"',
    'watch = (Done("done"),)': 'watch = ("done",)',
}


def test_a_type_checker_passes_adaptors_that_use_everything_and_finds_each_mistake(tmp_path):
    mypy = tool("mypy")
    right = TYPED.read_text(encoding="utf-8")
    (tmp_path / "right.py").write_text(right, encoding="utf-8")
    expected = {}
    for number, (text, mistake) in enumerate(MISTAKES.items()):
        before, found, after = right.partition(text)
        assert found and text not in after
        (tmp_path / ("wrong%d.py" % number)).write_text(before + mistake + after, encoding="utf-8")
        expected["wrong%d.py" % number] = before.count("\n") + 1
    done = subprocess.run(
        [mypy, "--strict", "--config-file=", "--cache-dir=" + os.devnull, *sorted(os.listdir(str(tmp_path)))],
        cwd=str(tmp_path),
        env={**os.environ, "MYPYPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    errors = re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.M)
    assert {name: int(line) for name, line in reversed(errors)} == expected, done.stdout  # the first of each


@pytest.mark.parametrize(
    "after, typed, names",
    [
        ("def main() -> None:", "openjd_adapt.", "Adaptor Application Watch client_script"),
        ("def on_start(self) -> None:", "self.", "on_run on_stop config map_path update_status sleep line_handler"),
        ("def on_start(self) -> None:", "self.config.", "quality log_level"),
        ("def on_postrun(self) -> None:", "self.config.", "log_level"),
        ("def on_ready(self) -> None:", "self.app.", "call ask"),
    ],
)
def test_an_editor_completes_what_an_author_types(after, typed, names, tmp_path, monkeypatch):
    jedi = module("jedi")
    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path))
    before, line, _ = TYPED.read_text(encoding="utf-8").partition(after)
    script = jedi.Script(before + line + "\n        " + typed, project=jedi.Project(str(ROOT)))
    assert {*names.split()} <= {completion.name for completion in script.complete()}
