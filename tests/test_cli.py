"""The command line: what it refuses, in one line, at once; and what it tells."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from openjd_adapt import InputError, __version__, cli, yaml
from openjd_adapt.app import App, load_adaptor
from openjd_adapt.commands import COMMANDS
from openjd_adapt.data import load

from .conftest import ADAPTORS, HANG_SECONDS, ROOT, read_until


def refused(done, text, code=2):
    assert done.code == code, done
    assert done.err.startswith("ERROR: ") and text in done.err and done.err.count("\n") == 1, done
    assert done.out in ("", done.err.replace("ERROR: ", "openjd_fail: ", 1)), done
    assert "Traceback" not in done.err


def act(*words):
    """What a command does, in this process."""
    app = App("probe", lambda: load_adaptor(str(ADAPTORS / "probe.py")), [])
    command, options = cli.read(app, list(words))
    return command.act(app, options)


@contextlib.contextmanager
def nobody():
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


BAD_DATA = [
    ("{", "is neither JSON (line 1, column 2"),
    ("a: b: c", "is not YAML: line 1, column 4: a mapping cannot begin on the line of its key"),
    ("scene: *last", "is not YAML: line 1, column 8: aliases (*) are not supported"),
    ("[1]", "must be an object, not a list"),
    ('"x"', "must be an object, not a string"),
    ("null", "must be an object, not null"),
    ('{"a": NaN}', "NaN is not a number of JSON"),
    ('{"a": 1e999}', "1e999 is out of range"),
    ("[" * 100_000, "nested too deeply"),
    ("file:///no/such/file.json", "/no/such/file.json: No such file or directory"),
    pytest.param("file:///", "/: Is a directory", marks=pytest.mark.posix_only),  # Windows says "Permission denied"
]


@pytest.mark.parametrize("value, text", BAD_DATA)
def test_bad_data_is_refused_by_place(value, text):
    with pytest.raises(InputError) as caught:
        load("--run-data", value)
    assert str(caught.value).startswith("--run-data: ") and text in str(caught.value)


@pytest.mark.parametrize(
    "words, option, value, text",
    [
        (["run"], "--init-data", *BAD_DATA[0]),
        (["run"], "--run-data", *BAD_DATA[1]),
        (["run"], "--path-mapping-rules", *BAD_DATA[3]),
        (["daemon", "start"], "--init-data", *BAD_DATA[6]),
        (["daemon", "run"], "--run-data", *BAD_DATA[9]),
    ],
)
@pytest.mark.once
def test_bad_data_is_refused_by_option_and_place(farm, words, option, value, text):
    if words[0] == "daemon":
        words = [*words, "--connection-file", str(farm.file)]
    done = farm(*words, option, value)
    refused(done, text)
    assert option in done.err
    assert list(farm.folder.iterdir()) == []


def test_a_broken_file_is_named_with_line_and_column(farm):
    path = farm.folder / "init.json"
    path.write_text('{\n  "a": 1\n  "b": 2\n}')
    refused(farm("run", "--init-data", "file://%s" % path), "%s: is neither JSON (line 3, column 3" % path)


@pytest.mark.posix_only  # modes of files
def test_an_unreadable_file_is_named(farm):
    refused(farm("run", "--init-data", "file:///proc/self/mem"), "/proc/self/mem: Input/output error")


@pytest.mark.parametrize(
    "arguments, text",
    [
        ([], "no command: give one of run, daemon start, "),
        (["dance"], "there is no command dance (see --help)"),
        (["sesion"], "there is no command sesion; did you mean session? (see --help)"),
        (["demon", "start"], "there is no command demon; did you mean daemon?"),
        (["start"], "there is no command start; did you mean daemon start?"),
        (["--adapter", "x.py", "run"], "there is no option --adapter; did you mean --adaptor?"),
        (["new", "my_render"], "new is about no adaptor: python -m openjd_adapt new"),
        (["daemon"], "no command: give one of daemon start, daemon run, "),
        (["daemon", "dance"], "there is no command daemon dance (see --help)"),
        (["daemon", "statos"], "there is no command daemon statos; did you mean daemon status?"),
        (["run", "--frame", "1"], "run: there is no option --frame (see run --help)"),
        (["run", "--run-data"], "run: --run-data: a value must follow (see run --help)"),
        (["run", "extra"], "run: there is no operand extra (see run --help)"),
        (["run", "--init-dat", "x"], "run: there is no option --init-dat; did you mean --init-data? (see run --help)"),
        (["run", "--adaptor", "x.py"], "run: there is no option --adaptor; it stands before the command"),
        (["daemon", "stop", "--debug=1"], "daemon stop: --debug takes no value (see daemon stop --help)"),
        (["run", "--init-dat={secret: 1}"], "no option --init-dat; did you mean --init-data? (see run --help)"),
        (["run", "--init-data", "--run-data", "{}"], "run: --init-data: a value must follow"),
        (["daemon", "run"], "give --connection-file or set OPENJD_ADAPTOR_SOCKET"),
        (["daemon", "stop", "--connection-file", "x", "--timeout", "soon"], "'soon' is not a number of seconds"),
        (["daemon", "stop", "--connection-file", "x", "--timeout", "-1"], "'-1' is not a number of seconds"),
        (["run", "--config", "/no/such.json"], "--config: /no/such.json: there is no such file"),
        (["run", "--path-mapping-rules", '{"version": "2"}'], "version is '2'"),
        (["show-config", "--config", "/no/such.json"], "--config: /no/such.json: there is no such file"),
        (["show-config", "--config", "file:///no/such.json"], "--config: /no/such.json: there is no such file"),
        (
            ["run", "--path-mapping-rules", '{"path_mapping_rules": [{}]}'],
            "--path-mapping-rules: rule 1: lacks source_path_format",
        ),
        (["run", "--path-mapping-rules", '{"path_mapping": []}'], "--path-mapping-rules: lacks path_mapping_rules"),
        (["is-compatible"], "needs --openjd-adaptor-cli-version"),
        (["is-compatible", "--openjd-adaptor-cli-version", "0.1"], "and --integration-data-interface-version"),
        (["session", "--each", "frame=1-x"], "--each frame=1-x: "),
    ],
)
def test_bad_usage_is_one_line(arguments, text):
    with pytest.raises(InputError) as caught:
        act(*arguments)
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words, text", [("dance", "there is no command dance"), ("daemon run", "no daemon named: give ")]
)
@pytest.mark.once
def test_bad_usage_is_one_line_and_exit_code_2(farm, words, text):
    refused(farm(*words.split()), text)


@pytest.mark.once
def test_empty_options_are_empty_objects(farm):
    assert farm("run", "--init-data", "", "--run-data", "", "--path-mapping-rules", "").code == 0


@pytest.mark.once
def test_no_line_break_in_an_error_begins_a_directive(farm):
    done = farm("run", "--config", "a\nopenjd_env: A=1\ropenjd_env: B=2", "--debug")
    assert done.code == 2 and "ERROR: --config: a openjd_env: A=1 openjd_env: B=2: there is no such file" in done.err
    assert all(line.startswith("ERROR: ") for line in done.err.splitlines()) and len(done.lines) == 1


@pytest.mark.once
def test_debug_shows_the_traceback_too_and_changes_no_exit_code(farm):
    for words, code in ((["run", "--init-data", "1"], 2), (["daemon", "stop", "--connection-file", ""], 2)):
        done = farm(*words, "--debug")
        assert done.code == code and done.err.startswith("ERROR: Traceback (most recent call last):"), done
        assert done.err.count(done.err.splitlines()[-1] + "\n") == 1, done  # the traceback's names its class
    assert farm.daemon("status", "--debug").code == 3


@pytest.mark.parametrize("words, code", [(["run", "--init-data", "1"], 2), (["daemon", "status"], 3)])
def test_an_error_that_nobody_can_read_has_its_exit_code(farm, words, code):
    if words[0] == "daemon":
        words = [*words, "--connection-file", str(farm.file)]
    with nobody() as stderr:
        process = farm.popen(*words, stderr=stderr)
        assert process.wait(HANG_SECONDS) == code
    process.stdout.close()


@pytest.mark.posix_only  # /dev/full
def test_an_error_that_cannot_be_written_has_its_exit_code(farm):
    with open("/dev/full", "wb") as full:
        process = farm.popen("run", "--init-data", "1", stderr=full)
        assert process.wait(HANG_SECONDS) == 2
    process.stdout.close()


#: By way of printing: a command's answer, the help, and what a session plays; the others are long.
PRINTING = [
    ["--adaptor", str(ADAPTORS / "probe.py"), "show-config"],
    ["--adaptor", str(ADAPTORS / "probe.py"), "session", "--json"],
    ["--help"],
]
MORE_PRINTING = [
    ["--adaptor", str(ADAPTORS / "probe.py"), "version-info"],
    ["--adaptor", str(ADAPTORS / "probe.py"), "template"],
    [
        *("--adaptor", str(ADAPTORS / "probe.py"), "is-compatible"),
        *("--openjd-adaptor-cli-version", "0.1", "--integration-data-interface-version", "0.1"),
    ],
    ["--adaptor", str(ADAPTORS / "probe.py"), "daemon", "run", "-h"],
    ["new", "my_render"],
    ["new", "--help"],
    ["compat"],
    ["compat", "--help"],
]


@pytest.mark.parametrize(
    "words",
    [*PRINTING, *(pytest.param(words, marks=pytest.mark.long) for words in MORE_PRINTING)],
    ids=lambda words: words[-1],
)
def test_what_was_asked_for_and_cannot_be_printed_is_no_success(farm, words):
    farm.command = lambda *arguments: [*farm.python, "-m", "openjd_adapt", *arguments]
    with nobody() as stdout:
        process = farm.popen(*words, stdout=stdout)
        complains_of_its_standard_output(process)


@pytest.mark.posix_only  # /dev/full
def test_what_was_asked_for_and_has_no_room_on_the_disk_is_no_success(farm):
    with open("/dev/full", "wb") as full:
        complains_of_its_standard_output(farm.popen("show-config", stdout=full))


def complains_of_its_standard_output(process):
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(HANG_SECONDS) == 1
    assert errors.splitlines()[-1] == "ERROR: standard output cannot be written", errors
    assert "Traceback" not in errors and "Exception ignored" not in errors


@pytest.mark.parametrize(
    "adaptor, text",
    [
        ("no.such.module:Class", "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        ("/no/such/file.py", "cannot be imported: there is no such file"),
        ("json:JSONDecoder", "JSONDecoder is not an adaptor"),
        ("json:Missing", "Missing is not an adaptor"),
        ("json", "has 0 adaptors; name one as json:Class"),
        ("openjd_adapt.adaptor:Adaptor", "Adaptor does not define on_run"),
    ],
)
def test_what_is_no_adaptor_is_refused(adaptor, text):
    with pytest.raises(InputError) as caught:
        load_adaptor(adaptor)
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.once
def test_what_is_no_adaptor_is_one_line_whatever_the_command(farm):
    farm.adaptor, text = "json:JSONDecoder", "JSONDecoder is not an adaptor"
    for words in (["run"], ["daemon", "start", "--connection-file", str(farm.file)], ["show-config"]):
        done = farm(*words)
        assert done.code == 2 and text in done.err and "Traceback" not in done.err + done.out, done
        assert ("openjd_fail: " in done.out) == (words != ["show-config"])
        assert len([line for line in done.err.splitlines() if line]) == 1, done
    assert farm.pids() == []


@pytest.mark.once
def test_an_adaptor_that_fails_while_it_is_imported_says_where(farm):
    path = farm.folder / "broken.py"
    path.write_text("from openjd_adapt import Adaptor\nquality = {}['quality']\n")
    farm.adaptor = str(path)
    done = farm("show-config")
    line = "ERROR: --adaptor %s: cannot be imported: KeyError: 'quality' (%s, line 2)" % (path, path)
    assert (done.code, done.err.splitlines()) == (2, [line])


@pytest.mark.parametrize(
    "definition, text, words",
    [
        ("class Mine(Adaptor): pass", "EntryPoint: Mine does not define on_run", ["run", "show-config"]),
        ("class Mine: pass", "EntryPoint: Mine is not an adaptor", ["version-info", "template"]),
        ("Mine = None", "EntryPoint: None is not an adaptor", ["run"]),
    ],
)
@pytest.mark.once
def test_what_an_entry_point_cannot_serve_is_one_line_whatever_the_command(farm, definition, text, words):
    path = farm.folder / "main.py"
    path.write_text("from openjd_adapt import Adaptor, EntryPoint\n%s\nEntryPoint(Mine).start()\n" % definition)
    farm.command = lambda *arguments: [*farm.python, str(path), *arguments]
    for word in words:
        done = farm(word)
        assert done.code == 2 and done.err == "ERROR: %s\n" % done.err[7:-1] and text in done.err, done
        assert "Traceback" not in done.out


MADE_OTHERWISE = """
from openjd_adapt import Adaptor

class Mine(Adaptor):
    def __init__(self, init_data):
        super().__init__({"scene": init_data["scene"]})
    def on_run(self, run_data): pass
"""


@pytest.mark.once
def test_an_adaptor_that_cannot_be_made_is_one_line(farm):
    farm.adaptor = str(farm.folder / "mine.py")
    (farm.folder / "mine.py").write_text(MADE_OTHERWISE)
    done = farm("run", "--init-data", "scene: x")
    assert done.code == 2 and "Traceback" not in done.out + done.err, done
    assert "ERROR: Mine cannot be made: " in done.err and "argument 'path_mapping_data'" in done.err
    for word in ("show-config", "version-info"):
        refused(farm(word), "mine cannot be made without init data: KeyError: 'scene'", code=1)


@pytest.mark.once
def test_an_adaptor_with_a_syntax_error_is_one_line_and_debug_shows_more(farm):
    path = farm.folder / "broken.py"
    path.write_text("def on_run(:\n")
    farm.adaptor = str(path)
    done = farm("run")
    assert done.code == 2 and "SyntaxError" in done.err and "Traceback" not in done.err + done.out
    assert "Traceback" in farm("run", "--debug").out


@pytest.mark.once
def test_a_broken_configuration_is_one_line(farm):
    path = farm.folder / "config.json"
    path.write_text('{"log_level": "LOUD"}')
    done = farm("run", "--config", str(path))
    assert done.code == 2 and "log_level is 'LOUD'; known are DEBUG" in done.err and "Traceback" not in done.out


@pytest.mark.once
def test_options_may_be_joined_to_their_values_and_values_may_begin_with_a_dash(farm):
    assert farm("run", "--run-data={}", "--init-data={}").code == 0


GROUPS = ["", "daemon"]


def examples(text, program):
    """The lines that help has to be pasted, without the program."""
    lines = text.partition("\nexample")[2].splitlines()[1:]
    assert lines and all(line.startswith("    %s " % program) for line in lines), text
    return [line[len("    %s " % program) :] for line in lines]


@pytest.mark.parametrize("adaptor", ["probe.py", "../../examples/mandelbrot/mandelbrot.py", None])
@pytest.mark.once
def test_help_of_every_command_tells_forms_defaults_and_exit_codes_and_its_examples_are_taken(capfd, adaptor):
    load_it = adaptor and (lambda: load_adaptor(str(ADAPTORS / adaptor)))
    app = App("it", load_it, [], "/studio/it", has_adaptor=bool(adaptor))
    for name in [*GROUPS, *COMMANDS]:
        command = COMMANDS.get(name)
        if adaptor and command and command.operand:
            with pytest.raises(InputError, match="%s is about no adaptor" % name):
                cli.read(app, [name, "--help"])
            continue
        with pytest.raises(SystemExit) as left:
            cli.read(app, [*name.split(), "--help"])
        text, errors = capfd.readouterr()
        assert not left.value.code and not errors and "\nexit codes: 0 " in text
        for option, kind in command.options.items() if command else ():
            [(form, meaning)] = re.findall("^  %s\\b(.*)((?:\n {24}.*)*)" % option, text, re.M)
            assert kind == "flag" or re.match(r" [A-Z=]+\b|( [\w|:/]+)", form), form
            needed = "version" in option or option == "--each"
            assert needed or kind == "flag" or "(default: " in (form + meaning).replace("\n" + " " * 24, " "), text
        program = "/studio/it"
        if not adaptor and not (command and command.operand):
            assert ("example, after /studio/it new my_render:" in text) == bool(name)
            if not name:
                text = text.replace("    /studio/it new my_render\n", "")
            program += " --adaptor my_render"
        for example in examples(text, program):
            words = shlex.split(example.partition(" > ")[0])
            _, options = cli.read(App("it", None, [], has_adaptor=bool(adaptor)), words)
            for kind, validator in load_it()._schemas().items() if adaptor else ():
                given = options.get("--%s-data" % kind[:-5])
                assert not isinstance(given, str) or not validator.validate(json.loads(given))
        assert not command or any(line.startswith(name) for line in examples(text, program))


@pytest.mark.parametrize("module, kind", [("openjd_adapt", "command"), ("my_render", "prompt")])
@pytest.mark.posix_only  # a shell
@pytest.mark.long
def test_every_example_in_the_help_runs_when_it_is_pasted(farm, module, kind):
    """Of the package's own command line, with the adaptor that ``new`` has written, and of that adaptor's."""
    farm.env["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    farm.command = lambda *arguments: [*farm.python, "-m", "openjd_adapt", *arguments]
    assert farm("new", "my_render", "--kind", kind).code == 0
    farm.command = lambda *arguments: [*farm.python, "-m", module, *arguments]
    for name in [*GROUPS, *COMMANDS]:
        if name != "new" and (module == "openjd_adapt" or name != "compat"):
            lines = examples(farm(*name.split(), "--help").out, "python -m " + module)
            pasted = "\n".join("python -m %s %s" % (module, line) for line in lines if line != "new my_render")
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            done = subprocess.run(["bash", "-exc", pasted], cwd=str(farm.folder), env=farm.env, **streams)
            assert done.returncode == 0, done.stdout.decode()


def test_the_version_is_told_with_its_place(capfd):
    with pytest.raises(SystemExit) as left:
        act("--version")
    assert not left.value.code
    assert capfd.readouterr().out.startswith("openjd_adapt %s (%s), Python 3." % (__version__, ROOT / "openjd_adapt"))


@pytest.mark.once
def test_version_info_and_is_compatible(farm, capsys):
    done = farm("version-info")
    assert done.lines == ["OpenJD Adaptor CLI Version: '0.1'", "probe Data Interface Version: '0.1'"]
    for line, data, code in (("0.1", "0.1", 0), ("0.2", "0.1", 2), ("0.1", "1.0", 2)):
        versions = ("--openjd-adaptor-cli-version", line, "--integration-data-interface-version", data)
        assert act("is-compatible", *versions) == code
        assert "0.1 is installed, %s is expected" % line in capsys.readouterr().out
    done = farm("is-compatible", "--openjd-adaptor-cli-version", "one", "--integration-data-interface-version", "1.0")
    refused(done, "'one' is not a version")


@pytest.mark.once
def test_show_config_tells_which_file_set_each_key(farm):
    own = farm.folder / "more.json"
    own.write_text('{"quality": 3}')
    shown = json.loads(farm("show-config", "--config", "file://%s" % own, "--json").out)
    assert shown["adaptor"]["config"] == {"log_level": "INFO", "quality": 3}
    assert shown["adaptor"]["origins"] == {"log_level": "built in", "quality": str(own)}
    assert shown["runtime"]["config"]["deactivate_telemetry"] is False
    assert "\n  quality: 3  # %s\n" % own in farm("show-config", "--config", str(own)).out


@pytest.mark.once
def test_show_config_is_yaml_whatever_the_keys_and_values_are(farm, capfd):
    own = {
        "yes": "no",
        "a: b": "é # x",
        "list": [1, {"a": None}],
        "text": "plain",
        "number": "3",
        "empty": "",
        "half": 0.5,
    }
    (farm.folder / "more.json").write_text(json.dumps(own))
    assert act("show-config", "--config", str(farm.folder / "more.json")) == 0
    shown = yaml.loads(capfd.readouterr().out)
    assert shown["adaptor"] == {"log_level": "INFO", **own} and shown["log_level"] == "INFO"


@pytest.mark.once
def test_a_missing_file_of_the_configuration_is_warned_of_once_with_the_level(farm):
    farm.env["PROBE_CONFIG_PATH"] = str(farm.folder / "missing.json")
    done = farm("show-config")
    assert done.code == 0 and done.err.count("\n") == 1, done
    assert done.err.startswith("WARNING: The configuration file ") and "missing.json does not exist" in done.err


@pytest.mark.posix_only  # mkfifo
@pytest.mark.parametrize("word", ["run", "show-config"])
def test_a_configuration_that_is_a_pipe_is_told_apart_from_a_missing_one(farm, word):
    os.mkfifo(str(farm.folder / "pipe"))
    refused(farm(word, "--config", "pipe"), "--config: pipe: is not a regular file")


TALKING = """
print("at import")
from openjd_adapt import Adaptor

class Talking(Adaptor):
    def __init__(self, init_data, **options):
        super().__init__(init_data, **options)
        print("in __init__")
    def on_run(self, run_data): pass
"""


@pytest.mark.once
def test_what_an_adaptor_prints_is_not_in_what_was_asked_for(farm):
    farm.adaptor = str(farm.folder / "talking.py")
    (farm.folder / "talking.py").write_text(TALKING)
    done = farm("show-config")
    assert done.err.splitlines() == ["at import", "in __init__"] and yaml.loads(done.out)["adaptor"] == {
        "log_level": "INFO"
    }
    assert len(farm("version-info").lines) == 2


@pytest.mark.once
def test_the_usage_is_how_the_command_is_begun_again(farm):
    farm.env["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    script, adaptor = shlex.quote(str(ADAPTORS / "basic_config.py")), shlex.quote(farm.adaptor)
    assert farm("run", "--help").out.startswith("usage: python -m openjd_adapt --adaptor %s run" % adaptor)
    for words, begin in (
        (["-m", "openjd_adapt"], "python -m openjd_adapt "),
        (["-m", "tests.adaptors.basic_config"], "python -m tests.adaptors.basic_config "),
        ([str(ADAPTORS / "basic_config.py")], "python %s " % script),
    ):
        farm.command = lambda *arguments, words=words: [*farm.python, *words, *arguments]
        assert farm("--help").out.startswith("usage: " + begin)


@pytest.mark.posix_only  # /bin/true
def test_an_adaptor_by_module_and_class(farm):
    farm.adaptor = "tests.adaptors.command:Command"
    assert farm("run", "--run-data", '{"args": ["/bin/true"]}').code == 0


@pytest.mark.parametrize(
    "how",
    [
        "module",
        pytest.param("script", marks=pytest.mark.long),
        pytest.param("relative script", marks=[pytest.mark.long, pytest.mark.posix_only]),  # there may be drives
    ],
)
def test_an_authors_own_main_leads_to_its_worker_again(farm, how):
    main = {
        "module": ["-m", "tests.adaptors.basic_config"],
        "script": [str(ADAPTORS / "basic_config.py")],
        "relative script": None,
    }[how] or [os.path.relpath(str(ADAPTORS / "basic_config.py"), str(farm.folder))]
    for words in (["start"], ["run"], ["stop"]):
        command = [sys.executable, *main, "daemon", *words, "--connection-file", str(farm.file)]
        done = subprocess.run(command, env=farm.env, cwd=str(farm.folder), stdout=subprocess.PIPE, timeout=HANG_SECONDS)
        assert done.returncode == 0, done


@pytest.mark.posix_only  # a shell script
def test_reentry_exe_leads_to_the_worker(farm):
    wrapper = farm.folder / "adaptor"
    wrapper.write_text('#!/bin/sh\nexec "%s" -u "%s" "$@"\n' % (sys.executable, farm.folder / "main.py"))
    wrapper.chmod(0o755)
    (farm.folder / "main.py").write_text(
        "import sys; sys.path.insert(0, %r)\n"
        "from tests.adaptors.basic_config import Main\n"
        "from openjd_adapt import EntryPoint\n"
        "EntryPoint(Main).start(reentry_exe=%r)\n" % (str(ROOT), str(wrapper))
    )
    done = subprocess.run([str(wrapper), "run"], env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.returncode == 0 and b"INFO: once\n" in done.stdout


def test_on_bootstrap_complete_is_called_before_the_adaptor_starts_and_may_remove_itself(farm):
    (farm.folder / "main.py").write_text(
        "from openjd_adapt import Adaptor, EntryPoint\n"
        "class A(Adaptor):\n"
        "    def on_start(self): print('on_start')\n"
        "    def on_run(self, run_data): pass\n"
        "entry = EntryPoint(A)\n"
        "def once():\n"
        "    print('bootstrapped')\n"
        "    entry.on_bootstrap_complete.remove(once)\n"
        "entry.on_bootstrap_complete.add(once)\n"
        "entry.start()\n"
    )
    command = [sys.executable, str(farm.folder / "main.py"), "run"]
    out = subprocess.run(command, env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS).stdout
    assert out.splitlines()[1:] == [b"bootstrapped", b"on_start"]


def test_start_returns_none_on_success_and_raises_systemexit_otherwise(farm):
    program = (
        "import sys\n"
        "from openjd_adapt import Adaptor, EntryPoint\n"
        "class A(Adaptor):\n"
        "    def on_run(self, run_data): pass\n"
        "sys.argv[1:] = sys.argv[2:]\n"
        "print(EntryPoint(A).start())\n"
    )
    for arguments, out, code in ((["version-info"], b"None\n", 0), (["dance"], b"", 2)):
        command = [sys.executable, "-c", program, "-", *arguments]
        done = subprocess.run(
            command, env=farm.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG_SECONDS
        )
        assert done.returncode == code and done.stdout.endswith(out)


def test_environment_variables_are_set_while_starting_only(farm):
    init = json.dumps({"on_start": {"do": "environment", "name": "LICENCE", "value": "a\nb"}})
    done = farm("run", "--init-data", init, "--run-data", '{"do": "environment", "name": "A", "value": "b"}')
    assert 'openjd_env: "LICENCE=a\\nb"' in done.lines
    assert done.code == 1
    assert "openjd_fail: RuntimeError: environment variables can only be set while the adaptor starts" in done.lines


@pytest.mark.posix_only  # paths are mapped to this host's form
def test_path_mapping_rules_reach_the_adaptor(farm):
    rules = {
        "version": "pathmapping-1.0",
        "path_mapping_rules": [
            {"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/wrong"},
            {"source_path_format": "POSIX", "source_path": "/a/b", "destination_path": "/right"},
        ],
    }
    done = farm("run", "--path-mapping-rules", json.dumps(rules), "--run-data", '{"do": "map", "path": "/a/b/c/"}')
    assert "mapped to /right/c/" in done.lines


def test_a_session_plays_every_task_and_stops_at_the_first_failure(farm):
    tasks = ['{"do": "say", "text": "x"}', '{"do": "sleep", "seconds": 0.1}', '{"do": "fail"}', "{}"]
    done = farm("session", *(word for task in tasks for word in ("--run-data", task)))
    assert done.code == 1
    rows = [line.rsplit(None, 3) for line in done.lines[-6:-1]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("start", "0"),
        ("task 1", "0"),
        ("task 2", "0"),
        ("task 3", "1"),
        ("stop", "0"),
    ]


@pytest.mark.posix_only  # a shell; test_windows starts commands without handles
@pytest.mark.parametrize(
    "words",
    [
        *(["run"], ["--help"]),
        *(
            pytest.param(words, marks=pytest.mark.long)
            for words in (["session"], ["show-config"], ["daemon", "status"])
        ),
    ],
)
def test_a_command_whose_standard_streams_are_closed_has_its_exit_code_and_no_traceback(farm, words):
    command = ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", *farm.command(*words)]
    done = subprocess.run(command, cwd=str(farm.folder), env=farm.env, timeout=HANG_SECONDS)
    assert done.returncode == (2 if "status" in words else 0)


def test_the_first_signal_is_not_passed_to_a_sessions_stop_and_the_second_is(farm):
    # In a process of its own, whose signals are its own; the phase ends when its command is asked.
    program = (
        "import sys\n"
        "from openjd_adapt import system; from openjd_adapt.authoring import play\n"
        "asked = []\n"
        "def ask(process, number):\n"
        "    asked.append(process)\n"
        "    process.kill()\n"
        "    return True\n"
        "system.ask = ask\n"
        "show = play._Show(1, 1)\n"
        "def ring(name, line, show=show):\n"
        "    show._wakeup.ring(bytes([system.TERMINATION]))\n"
        "show._print = ring\n"
        "code = 'import time; print(1, flush=True); time.sleep(0.3); print(2, flush=True); time.sleep(100)'\n"
        "show.phase('stop', [sys.executable, '-c', code])\n"
        "print(len(asked), show.phases[0]['lines'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.stdout.split() == [b"1", b"2"]


@pytest.mark.posix_only  # SIGINT
def test_an_interrupted_session_cancels_its_task_and_stops(farm):
    process = farm.popen("session", "--run-data", '{"do": "sleep", "seconds": 60}')
    read_until(process.stdout, "sleeping")
    process.send_signal(signal.SIGINT)
    done = farm.finish(process)
    assert done.code == 4
    assert "INFO: on_cancel on cancel" in done.lines and "INFO: on_cleanup" in done.lines


#: What the host, or a developer, has every Python do first; the thread is no daemon thread.
CUSTOM = """
import atexit, sys, threading, time
def late():
    time.sleep(0.3)
    print("the thread has ended")
threading.Thread(target=late).start()
atexit.register(print, "the exit function has run", end="", flush=False)
"""


def test_a_command_ends_when_threads_have_ended_and_exit_functions_have_run_and_all_is_written(farm):
    (farm.folder / "sitecustomize.py").write_text(CUSTOM)
    farm.env["PYTHONPATH"] = os.pathsep.join([str(farm.folder), farm.env["PYTHONPATH"]])
    done = farm("daemon", "status")
    assert (done.code, done.out.splitlines()) == (2, ["the thread has ended", "the exit function has run"]), done


def test_what_has_started_a_command_goes_on_when_that_ends(farm):
    python, *words = farm.command("daemon", "status")
    done = subprocess.run(
        [python, "-m", "cProfile", *words], env=farm.env, stdout=subprocess.PIPE, timeout=HANG_SECONDS, cwd=str(ROOT)
    )
    assert b"function calls" in done.stdout
