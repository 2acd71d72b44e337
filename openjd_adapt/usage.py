"""What a person reads of the command line: help, with examples to paste, and what is wrong with a command."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import shutil
import sys
import textwrap

from . import __version__, system
from .commands import COMMANDS, load, versions
from .daemon.frontend import answer
from .data import INIT_DATA, RUN_DATA
from .errors import InputError
from .system.interpreter import PACKAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from .app import App


_ADAPTOR = ("--adaptor WHAT", "the adaptor, before the command: package.module:Class or path/to/file.py")
_GENERAL = [
    ("-h, --help", "show this help; of a command: COMMAND --help"),
    ("--version", "print the version of openjd_adapt, and where it lies"),
]
#: Of each option, or of a command's, the form of its value and what it means.
OPTIONS = {
    "--init-data": "JSON|file://PATH  the session's data: an object, as JSON or YAML, or a file with it (default: {})",
    "--run-data": "JSON|file://PATH  the task's data: an object, as JSON or YAML, or a file with it (default: {})",
    "session --run-data": "JSON|file://PATH  a task's data, as --init-data; once for each task (default: one, {})",
    "--path-mapping-rules": "JSON|file://PATH  a pathmapping-1.0 document, or a file with it (default: no rules)",
    "--connection-file": "PATH  where the daemon can be reached (default: what OPENJD_ADAPTOR_SOCKET says)",
    "daemon start --connection-file": "PATH  the file to make, by which the daemon can be reached (default: one in"
    " OPENJD_SESSION_WORKING_DIR, or else in a temporary folder; openjd_env tells it)",
    "--config": "PATH|file://PATH  a JSON file whose keys go over all other configuration (default: none)",
    "daemon start --timeout": "SECONDS  give the start up after this long (default: never)",
    "daemon stop --timeout": "SECONDS  kill all that is left after this long (default: 60)",
    "daemon cancel --timeout": "SECONDS  kill the task after this long (default: 120)",
    "--owner": "PID  stop the daemon when this process has ended (default: what OPENJD_ADAPT_OWNER says)",
    "session --owner": "PID  cancel the session when this process has ended (default: what OPENJD_ADAPT_OWNER says)",
    "--idle-timeout": "SECONDS  stop the daemon when it has had no task for this long (default: never)",
    "--each": "NAME=RANGE  one task for each number, as NAME in its run data; RANGE is such as 1-10:3; may be repeated",
    "--chunk": "NUMBER  each task gets so many numbers of the last --each, as a range such as 1-10 (default: one, as it"
    " is)",
    "--part": "K/N  only the K-th of N even parts of all tasks (default: 1/1); in an array of Slurm's"
    " $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT",
    "--continue": "FOLDER  leave out the tasks that are done by the journals there, and write those that are run now"
    " (default: no journal)",
    "--keep-going": "  after a task that fails, go on with the next one, in a new daemon",
    "--trace": "PATH  write the phases there as trace events, which Chrome and Perfetto show (default: nowhere)",
    "--kind": "command|application|prompt  one process a task, an application that is kept open and has a Python, or"
    " one that is driven by its standard input (default: command)",
    "--debug": "  show the toolkit's own tracebacks",
    "--json": "  print JSON",
    "--openjd-adaptor-cli-version": "MAJOR.MINOR  the expected version of the command line",
    "--integration-data-interface-version": "MAJOR.MINOR  the expected version of init data and run data",
}
HELP = {
    "run": "start, run one task, stop, all in the foreground",
    "daemon": "keep the adaptor open between tasks",
    "daemon start": "start the adaptor in the background; returns when it is ready for tasks",
    "daemon run": "run one task on the daemon",
    "daemon stop": "stop the daemon, whatever state it is in",
    "daemon cancel": "cancel the running task",
    "daemon status": "tell what the daemon is doing",
    "session": "play a whole session as a scheduler would: daemon start, every task, daemon stop",
    "show-config": "print the configuration, and what set each key",
    "template": "print a job template for this adaptor: parameters of its schemas, start and stop, one task for each"
    " number",
    "version-info": "print the versions of the interfaces",
    "is-compatible": "tell whether the installed interfaces serve the expected versions",
    "new": "write the package NAME of a new adaptor, which works as it is; NAME may be a path, and nothing is"
    " overwritten",
    "compat": "print the folder of openjd-adaptor-runtime's import names; compat -- COMMAND ... runs a command with it",
}
_CODES = {"0": "done", "1": "failed", "2": "bad input: nothing was begun", "3": "no daemon to talk to", "4": "canceled"}
#: The exit codes of each command, where they are not "012".
_CODES_OF = {"": "01234", "run": "0124", "daemon start": "0124", "daemon stop": "0124"}
_CODES_OF.update(dict.fromkeys(("session", "daemon", "daemon run", "daemon cancel", "daemon status"), "01234"))
_MEANINGS = {
    "is-compatible": {"0": "they do", "2": "they do not, or bad input"},
    "compat": {"0": "done, or that of COMMAND"},
}

_START = "daemon start {file} --init-data {init}"
_STOP = "daemon stop {file}"
#: What can be pasted, after the program.
_EXAMPLES = {
    "run": ["run --init-data {init} --run-data {run}"],
    "daemon start": [_START, _STOP],
    "daemon run": [_START, "daemon run {file} --run-data {run}", _STOP],
    "daemon stop": [_START, _STOP],
    "daemon cancel": [_START, "daemon cancel {file} --timeout 30", _STOP],
    "daemon status": [_START, "daemon status {file} --json", _STOP],
    "session": ["session --init-data {init} {tasks}"],
    "template": ["template > job.template.yaml"],
    "is-compatible": ["is-compatible --openjd-adaptor-cli-version {0} --integration-data-interface-version {1}"],
    "new": ["new my_render"],
    "compat": ["compat", "compat -- python -c {code}"],
}
_EXAMPLES[""] = _EXAMPLES["session"]
_EXAMPLES["daemon"] = _EXAMPLES["daemon run"]


def leave(app: App, name: str, word: str) -> NoReturn:
    """Exit with help or the version, or raise :class:`InputError`: ``word`` is no option of the command ``name``, or
    no command of the group ``name``, which may be empty.
    """
    if word in ("-h", "--help"):
        raise SystemExit(answer(help_of(app, name)))
    if word == "--version" and not name:
        version = (__version__, PACKAGE, sys.version.split()[0])
        raise SystemExit(answer("openjd_adapt %s (%s), Python %s\n" % version))
    raise _no_option(name, word) if name in COMMANDS else _no_command(app, name, word)


def help_of(app: App, name: str) -> str:
    """The help of a command, of the group ``daemon``, or of all, whose name is empty."""
    program = _program(app)
    inner = [each for each in _known(app) if each.startswith(name + " " if name else "")]
    text = HELP.get(name) or (
        "run the adaptor %s" % app.name if app.has_adaptor else "run adaptors, and begin new ones"
    )
    operand = "COMMAND" if inner else COMMANDS[name].operand
    what = "" if app.has_adaptor or (operand and not inner) else "--adaptor WHAT" if name else "[--adaptor WHAT]"
    words = [program, what, name, operand, "[OPTION ...]"]
    lines = ["usage: " + " ".join(filter(None, words)), ""]
    lines += textwrap.wrap(text[0].upper() + text[1:] + ".", _width())
    if inner:
        lines += _rows("commands", [(each, HELP[each]) for each in inner])
    rows = [] if name or app.has_adaptor else [_ADAPTOR]
    for option in () if inner else COMMANDS[name].options:
        form, _, meaning = (OPTIONS.get("%s %s" % (name, option)) or OPTIONS[option]).partition("  ")
        rows.append((("%s %s" % (option, form)).rstrip(), meaning))
    lines += _rows("options", [*rows, *_GENERAL[: 1 if name else 2]])
    meanings = {**_CODES, **_MEANINGS.get(name, {})}
    codes = ", ".join("%s %s" % (code, meanings[code]) for code in _CODES_OF.get(name, "012"))
    lines += ["", *textwrap.wrap("exit codes: " + codes, _width(), subsequent_indent="    ")]
    return "\n".join([*lines, "", *_example(app, program, name), ""])


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 2, 60)


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines = ["", title + ":"]
    for begin, meaning in rows:
        first, *others = textwrap.wrap(meaning, _width() - 24)
        lines += ["  %-20s  %s" % (begin, first)] if len(begin) <= 20 else ["  " + begin, " " * 24 + first]
        lines += [" " * 24 + line for line in others]
    return lines


def _example(app: App, program: str, name: str) -> list[str]:
    """Lines that can be pasted: for this adaptor by its schemas, or else for one that ``new`` writes."""
    title = "example:"
    begin: list[str] = []
    init, run, tasks = "file://my_render/init_data.json", '{"frame": 1}', ["--each", "frame=1-3"]
    own: list[object] = ["0.1", "0.1"]
    if app.has_adaptor:
        init, run, tasks = "{}", "{}", ["--run-data", "{}"]
        with contextlib.suppress(Exception):  # help is shown of an adaptor that cannot be loaded, too
            init, run, tasks = _samples(app)
            own = list(versions(app).values()) if name == "is-compatible" else own
    elif not (name and name in COMMANDS and COMMANDS[name].operand):
        write = "%s new my_render" % program
        title, begin = ("example, after %s:" % write, []) if name else (title, ["    " + write])
        program += " --adaptor my_render"
    words = {"init": [init], "run": [run], "tasks": tasks, "code": ["import openjd.adaptor_runtime"]}
    facts = {key: system.quoted(value) for key, value in words.items()}
    forms = [
        form.format(*own, file="--connection-file connection.json", **facts) for form in _EXAMPLES.get(name, [name])
    ]
    return [title, *begin, *("    %s %s" % (program, form) for form in forms)]


def _samples(app: App) -> tuple[str, str, list[str]]:
    """Init data, run data, and what gives ``session`` its tasks, that fit the adaptor's schemas."""
    from .authoring import template  # which a copy may be made without

    documents = {kind: one.document for kind, one in load(app)._schemas().items()}
    needed = [template.needed(documents.get(kind)) for kind in (INIT_DATA, RUN_DATA)]
    init, run = (json.dumps({key: value.sample() for key, value in values.items()}) for values in needed)
    axes = ["%s=%s" % (key, value.numbers()) for key, value in needed[1].items() if value.type == "INT"]
    return init, run, ["--each", *axes] if len(axes) == len(needed[1]) == 1 else ["--run-data", run]


def _program(app: App) -> str:
    """How this command line is begun, to be pasted: by the names that are found on PATH, and else by paths."""
    (program, *_), what = app.program()
    words = [_short(program), *what]
    if what and what[0] != "-m" and not what[0].endswith(".py") and os.access(what[0], os.X_OK):
        words = [_short(what[0]), *what[1:]]  # what pip has made of a console script
    return system.quoted(words)


def _short(path: str) -> str:
    for name in ("python", os.path.basename(path)):
        if os.path.normcase(shutil.which(name) or "") == os.path.normcase(path):
            return name
    return path


def _known(app: App) -> list[str]:
    return [name for name, command in COMMANDS.items() if not (command.operand and app.has_adaptor)]


def _near(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest of what is known, by its last word."""
    by_end = {one.rpartition(" ")[2]: one for one in known}
    near = difflib.get_close_matches(word, by_end, 1, 0.75)
    return "; did you mean %s?" % by_end[near[0]] if near else ""


def _no_command(app: App, group: str, word: str) -> InputError:
    """What is wrong with ``word``, which is no command of the group here; empty where none was given."""
    known = [name for name in _known(app) if name.startswith(group)]
    if not word:
        return InputError("no command: give one of %s (see --help)" % ", ".join(known))
    if word in COMMANDS and not group:
        return InputError("%s is about no adaptor: python -m openjd_adapt %s" % (word, word))
    what = "option" if word.startswith("-") else "command"
    near = _near(word, [*known, *([] if group else ["daemon", "--adaptor", "--version"])])
    return InputError("there is no %s %s%s (see --help)" % (what, (group + " " + word).strip(), near))


def _no_option(name: str, word: str) -> InputError:
    """What is wrong with ``word``, which the command ``name`` does not take."""
    if word.startswith("-"):
        word = word.partition("=")[0]  # what follows may be secret
    if word in COMMANDS[name].options:
        return InputError("%s: %s takes no value (see %s --help)" % (name, word, name))
    hint = "; it stands before the command" if word == "--adaptor" else _near(word, COMMANDS[name].options)
    what = "option" if word.startswith("-") else "operand"
    return InputError("%s: there is no %s %s%s (see %s --help)" % (name, what, word, hint, name))
