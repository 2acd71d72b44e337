"""How a script enters the toolkit: whatever has led to its adaptor once leads to it again, and it goes on as before."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from openjd_adapt import AdaptError, InputError
from openjd_adapt.system import interpreter

from .conftest import HANG_SECONDS, NOT_ALLOWED, ROOT, root_only, tool

SCRIPT = """
import os, sys
from openjd_adapt import Adaptor, EntryPoint

class Mine(Adaptor):
    def on_run(self, run_data):
        print("ran", sys.flags.dev_mode, sys.warnoptions, sys.flags.isolated, os.path.basename(os.getcwd()), flush=True)

%s
print("the rest of the script", flush=True)
"""
START = "EntryPoint(Mine).start()"


@pytest.fixture
def script(farm):
    """A farm whose adaptor is a script in a folder of its own, by the way that is given."""

    def write(text=START, *way):
        place = farm.folder / "place"
        (place / "inner").mkdir(parents=True)
        (place / "mine.py").write_text(SCRIPT % text)
        code = SCRIPT % text
        words = [{"CODE": code, "PATH": str(place / "mine.py")}.get(word, word) for word in way or ["mine.py"]]
        farm.command = lambda *arguments: [*farm.python, *words, *arguments]
        farm.folder = place
        return farm

    return write


POP = "words = {'mine': Mine}; kind = words[sys.argv.pop(1)]; EntryPoint(kind).start()"
CHECKED = "assert sys.argv[1] in ('run', 'daemon', 'session'), sys.argv; " + START
RUN_PATH = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
WAYS = {
    "a script": (START, ["mine.py"], "place"),
    "a script by its whole path": (START, ["PATH"], "place"),
    "a module": (START, ["-m", "mine"], "place"),
    "code": (START, ["-c", "CODE"], "place"),
    "code behind a flag": (START, ["-sc", "CODE"], "place"),
    "a word of the script's own": (POP, ["mine.py", "mine"], "place"),
    "such a word for code": (POP, ["-c", "CODE", "mine"], "place"),
    "a script that knows its commands": (CHECKED, ["mine.py"], "place"),
    "another folder first": ("os.chdir('inner'); " + START, ["mine.py"], "inner"),
    "another folder first, for a module": ("os.chdir('inner'); " + START, ["-m", "mine"], "inner"),
    "what debugs or profiles a script": (START, ["-c", RUN_PATH, "mine.py"], "place"),
    "another name": ("sys.argv[0] = 'renamed'; " + START, ["mine.py"], "place"),
}


#: For each command, what is not proved by the table of command lines below; the others are long.
SHORT = {
    "run": ["another folder first, for a module", "code behind a flag", "what debugs or profiles a script"],
    "session": ["a word of the script's own"],
}


@pytest.mark.posix_only  # Windows tells a Python before 3.10 nothing of its command line
@pytest.mark.parametrize(
    "command, name",
    [
        pytest.param(command, name, marks=[] if name in short else pytest.mark.long)
        for command, short in SHORT.items()
        for name in WAYS
    ],
)
def test_whatever_has_led_to_the_adaptor_leads_to_it_again(script, command, name):
    text, way, folder = WAYS[name]
    farm = script(text, *way)
    farm.env["PYTHONPATH"] = os.pathsep.join([str(ROOT), "."] if "-m" in way else [str(ROOT)])
    lines = ["ran False [] 0 " + folder, "the rest of the script"]
    done = farm(command)
    assert done.code == 0 and done.lines.count(lines[0]) == 1, done
    if command == "run":
        assert (done.err, done.lines) == ("", lines)


@pytest.mark.posix_only
def test_the_options_of_python_lead_there_too(script):
    text = "sys.path.insert(0, %r); " % str(ROOT)
    farm = script(START, "-X", "dev", "-W", "error::UserWarning", "-I", "isolated.py")
    (farm.folder / "isolated.py").write_text("import sys\n" + text + "\n" + SCRIPT % START)
    done = farm("run")
    assert done.code == 0 and done.lines[0].startswith("ran True ['default', 'error::UserWarning'] 1"), done


BOMBS = {
    "run": ("sys.argv = [sys.argv[0], 'run']; " + START, 0, ["ran False [] 0 place", "the rest of the script"]),
    "a start that is caught": (
        "for _ in range(2):\n"
        "    sys.argv = [sys.argv[0], 'run']\n"
        "    try: %s\n"
        "    except SystemExit: print('caught')\n" % START,
        0,
        ["ran False [] 0 place"] * 2 + ["the rest of the script"],
    ),
    "session": ("sys.argv = [sys.argv[0], 'session']; " + START, 2, ["ERROR: this session plays itself: "] * 2),
    "a child that inherits the variable alone": (
        "import subprocess\n"
        "if os.environ.get('OPENJD_ADAPT_START') and 'child' not in sys.argv:\n"
        "    sys.exit(subprocess.call([sys.executable, *sys.argv, 'child']))\n" + START,
        1,
        ["%s: EntryPoint.start() in a process that the adaptor's has" % word for word in ("ERROR", "openjd_fail")],
    ),
    "a child of multiprocessing that imports the script": (
        "import multiprocessing\n"
        "def on_run(self, run_data):\n"
        "    child = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    child.start()\n"
        "    child.join()\n"
        "Mine.on_run = on_run\n"
        "sys.argv = [sys.argv[0], 'run']; " + START,
        0,
        ["%s: multiprocessing imports this script: " % word for word in ("ERROR", "openjd_fail")] + ["the rest of"],
    ),
    "a second start in the adaptor's process": (
        "Mine.on_run = lambda self, run_data: EntryPoint(Mine).start()\n" + START,
        1,
        ["openjd_fail: EntryPoint.start() has begun in this process already, which is the adaptor's"],
    ),
}


@root_only
@pytest.mark.posix_only
@pytest.mark.parametrize(
    "text, code, lines",
    [
        pytest.param(*row, id=name, marks=[] if name in ("run", "session") else pytest.mark.long)
        for name, row in BOMBS.items()
    ],
)
def test_a_script_that_starts_itself_whatever_it_is_given_is_no_bomb(script, text, code, lines):
    """In a PID namespace, which ends with its first process: a bomb ends with the test."""
    farm = script(text)
    farm.python = [tool("unshare"), "-pf", "--mount-proc", "timeout", "-k", "1", "30", sys.executable]
    if subprocess.call([*farm.python[:3], "true"], stderr=subprocess.DEVNULL):
        pytest.skip(NOT_ALLOWED + " namespaces")
    done = farm("run")
    said = [
        line for line in done.lines if line.startswith(("ran", "ERROR", "openjd_fail: E", "openjd_fail: m", "the rest"))
    ]
    assert done.code == code and len(said) == len(lines), done
    assert all(line.startswith(begin) for line, begin in zip(said, lines)), done


@pytest.mark.parametrize(
    "way, words",
    [(["-"], ["run"]), (["-"], ["daemon", "start"]), (["-"], ["session"]), ([], [])],
    ids=["- run", "- daemon start", "- session", "no word"],
)
def test_a_script_from_standard_input_is_refused_in_one_line(script, way, words):
    text = "sys.argv[1:] = sys.argv[1:] or ['run']; " + START
    farm = script(text)
    farm.command = lambda *arguments: [*farm.python, *way, *arguments]
    with open(str(farm.folder / "mine.py"), "rb") as stdin:
        done = farm.finish(farm.popen(*words, stdin=stdin))
    line = "a script from standard input cannot be run again for its adaptor: save it as a file"
    assert (done.code, done.err.splitlines()) == (2, ["ERROR: " + line]), done


def test_the_rest_of_the_script_runs_once_whatever_it_catches(script):
    at_the_end = "an exit function of each process"
    farm = script("import atexit\natexit.register(print, %r)\ntry: %s\nfinally: print('left')" % (at_the_end, START))
    done = farm("run")
    assert done.lines == ["ran False [] 0 place", at_the_end, "left", "the rest of the script", at_the_end]


@pytest.mark.posix_only
def test_options_that_a_script_has_passed_on_are_in_no_command_line_of_a_daemon(script):
    farm = script("sys.argv[1:1] = ['daemon']; " + START)
    path = ["--connection-file", str(farm.file)]
    assert farm("start", *path, "--init-data", '{"blob": "open sesame"}').code == 0
    assert not any(b"sesame" in Path("/proc/%d/cmdline" % pid).read_bytes() for pid in farm.pids())
    assert farm("run", *path).lines[0] == "ran False [] 0 place"
    assert farm("stop", *path).code == 0


# The command line of this process, by what Python keeps of it


def main_module(file=None, name=None):
    made = types.ModuleType("__main__")
    made.__spec__ = name and types.SimpleNamespace(name=name)
    if file:
        made.__file__ = file
    return made


@pytest.mark.posix_only  # paths
@pytest.mark.parametrize(
    "given, words, main, command",
    [
        ("python x.py run --a b", "run --a b", main_module("/f/x.py"), "PY FLAGS -u /f/x.py"),
        ("python -X dev ./x.py word run", "run", main_module("/f/x.py"), "PY FLAGS -u /f/x.py word"),
        ("python x.py", "run", main_module("x.py"), "PY FLAGS -u /f/x.py"),
        ("python x.py start --a b", "daemon start --a b", main_module("/f/x.py"), "PY FLAGS -u /f/x.py start"),
        ("python x.py b", "run --a b", main_module("/f/x.py"), "PY FLAGS -u /f/x.py b"),
        (
            "python -s -m a.b --adaptor x run",
            "run",
            main_module("/p", "a.b"),
            "PY FLAGS -u -m a.b --adaptor x",
        ),
        ("python -m pack run", "run", main_module("/f/pack/__main__.py", "pack.__main__"), "PY FLAGS -u -m pack"),
        ("python pack run", "run", main_module("pack/__main__.py", "__main__"), "PY FLAGS -u /f/pack"),
        ("python -m pdb x.py word run", "run", main_module("/f/x.py"), "PY FLAGS -u /f/x.py word"),
        ("python pdb.py x.py word run", "run", main_module("/f/x.py"), "PY FLAGS -u /f/x.py word"),
        ("python -c code word run", "run", main_module(), "PY FLAGS -u -c code word"),
        ("python -c code . run", "run", main_module(), "PY FLAGS -u -c code ."),
        ("python -Ic code run", "run", main_module(), "PY FLAGS -u -Ic code"),
        ("blender -b --python x.py -- run", "run", main_module("/f/x.py"), "blender -b --python x.py --"),
        ("bin/blender --python x.py -- run", "run", main_module("/f/x.py"), "/f/bin/blender --python x.py --"),
        ("", "run", main_module("/f/x.py"), "PY FLAGS -u here.py"),
        ("", "run", main_module("/f/pack/__main__.py", "pack.__main__"), "PY FLAGS -u -m pack.__main__"),
    ],
)
def test_the_command_that_leads_back_is_the_original_one(monkeypatch, given, words, main, command):
    monkeypatch.setattr(sys, "orig_argv", given.split(), raising=False)
    monkeypatch.setattr(sys, "argv", ["here.py", *words.split()])
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(interpreter, "_command_line", list)
    monkeypatch.setattr(interpreter, "flags", lambda: ["FLAGS"])
    program, what = interpreter.original_command(words.split(), "/f")
    assert " ".join([*program, *what]).replace(sys.executable, "PY") == command


@pytest.mark.skipif(sys.platform == "darwin", reason="only Linux and Windows keep it for older Pythons")
def test_before_python_3_10_the_system_knows_the_command_line():
    code = "import sys; from openjd_adapt.system import interpreter; sys.argv = []; print(interpreter._command_line())"
    out = subprocess.check_output([sys.executable, "-s", "-c", code, "\udc80", ""], cwd=str(ROOT), timeout=HANG_SECONDS)
    assert out.decode().strip() == repr([sys.executable, "-s", "-c", code, "\udc80", ""])


@pytest.mark.parametrize(
    "options",
    [
        *("", "-OO -bb -B -s -v -q", "-X dev -W error::UserWarning -W once"),
        *(pytest.param(options, marks=pytest.mark.long) for options in ("-E -d", "-I", "-X utf8 -X faulthandler")),
    ],
)
def test_another_interpreter_is_given_the_options_of_this_one(options):
    code = (
        "import sys; from openjd_adapt.system import interpreter\n"
        "print([interpreter.flags(), sys.flags, sys.warnoptions, sys._xoptions, 'subprocess' in sys.modules])"
    )
    command, found = options.split(), []
    for _ in range(2):
        code = "import sys; sys.path.insert(0, %r)\n" % str(ROOT) + code
        command = [sys.executable, *command, "-c", code]
        out = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=HANG_SECONDS).decode()
        found.append(out)
        command = ast.literal_eval(out[1 : out.index("]") + 1])
    assert found[0] == found[1]
    assert found[0].rstrip().endswith("False]") or sys.platform == "win32"  # whose system needs it anyway
    assert set(options.split()) <= {*command, *(item for word in command for item in ("-W", word[2:]))}


# Roles


def test_a_role_is_taken_once_and_from_the_environment(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(interpreter, "role", "")
    for name, value in interpreter.as_role(interpreter.WORKER, reader, reader).items():
        monkeypatch.setenv(name, value)
    interpreter.take_role()
    assert interpreter.role == interpreter.WORKER
    assert not any(name.startswith("OPENJD_ADAPT_START") for name in os.environ)
    with pytest.raises(AdaptError, match="already"):
        interpreter.take_role()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("stands_for_it", ["another", "none"])
def test_a_role_without_what_belongs_to_it_is_refused(monkeypatch, stands_for_it):
    reader, writer = os.pipe()
    monkeypatch.setattr(interpreter, "role", "")
    role = interpreter.as_role(interpreter.WORKER, reader, reader)
    with open(os.devnull) as null:
        os.dup2(null.fileno(), reader)
    if stands_for_it == "none":
        os.close(reader)
    for name, value in role.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="before its own EntryPoint.start"):
        interpreter.take_role()
    os.close(writer)
    if stands_for_it == "another":
        os.close(reader)


# Signals

AFTERWARDS = """
import json, signal, subprocess, sys

def facts():
    handlers = [str(signal.getsignal(number)) for number in range(1, signal.NSIG)]
    child = "import signal, sys; print([str(signal.getsignal(n)) for n in range(1, signal.NSIG)])"
    if hasattr(signal, "pthread_sigmask"):
        handlers.append(str(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))))
        child += "; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    handlers.append(subprocess.check_output([sys.executable, "-S", "-c", child]).decode())
    if sys.platform.startswith("linux"):
        import ctypes

        is_subreaper = ctypes.c_int()
        ctypes.CDLL(None).prctl(37, ctypes.byref(is_subreaper), 0, 0, 0)
        handlers.append(is_subreaper.value)
    return handlers

signal.signal(signal.SIGTERM, lambda *_: None)
if hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
before = facts()
try:
    EntryPoint(Mine).start()
except SystemExit as left:
    print("code", left.code)
print("as before", facts() == before, signal.set_wakeup_fd(-1), flush=True)
"""


@pytest.mark.parametrize(
    "words",
    [
        *("run", "daemon start", "session"),
        # Those without a daemon end at once.
        *(
            pytest.param(words, marks=pytest.mark.long)
            for words in ("daemon status", "daemon run", "daemon stop", "version-info")
        ),
    ],
)
def test_when_a_command_has_ended_signals_are_as_they_were_and_orphans_not_its_own(script, words):
    farm = script(AFTERWARDS)
    done = farm.daemon(words.split()[1]) if words.startswith("daemon") else farm(words)
    assert "as before True -1" in done.lines, done
    if words == "daemon start":
        assert farm.daemon("stop").code == 0


def test_a_command_in_a_thread_leaves_signals_alone(script):
    farm = script("import threading\nthread = threading.Thread(target=%s)\nthread.start()\nthread.join()" % START[:-2])
    done = farm("version-info")
    assert done.code == 0 and done.lines[-1] == "the rest of the script", done
