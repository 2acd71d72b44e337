"""The adaptor that a command line is about: where its class is, and the command that leads to it again."""

from __future__ import annotations

import os
import sys

from . import data
from .errors import InputError, describe
from .system import interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

    from .adaptor import BaseAdaptor


#: The command of the daemon's own second start.
WORKER = "_worker"
#: The command of a keeper that is not a fork.
KEEPER = "_keeper"


class App:
    """An adaptor as the command line knows it: not loaded until somebody needs the class."""

    def __init__(
        self,
        name: str,
        load: Callable[[], type[BaseAdaptor]],
        arguments: list[str],
        reentry_exe: str | None = None,
        start_timeout: float | None = None,
        on_bootstrap_complete: Iterable[Callable[[], None]] = (),
        has_adaptor: bool = True,
    ) -> None:
        self.name = name
        self.load = load
        #: What stands before the command on the command line.
        self.arguments = arguments
        self.start_timeout = start_timeout
        self.on_bootstrap_complete = on_bootstrap_complete
        #: Whether one was named; the command line of the package itself is there without, too.
        self.has_adaptor = has_adaptor
        #: The program that leads to this adaptor again; a Python, or one that needs not be told the way.
        self.executable = reentry_exe or sys.executable
        self._knows_the_way = bool(reentry_exe or getattr(sys, "frozen", False))

    def command(self) -> list[str]:
        """The command line that leads to this adaptor again, without a command of it; with the interpreter's flags."""
        flags = [] if self._knows_the_way else [*interpreter.flags(), "-u"]
        return [self.executable, *flags, *self.program()]

    def program(self) -> list[str]:
        """What :attr:`executable` is to run: the module that was run with ``-m``, or the script; with its arguments."""
        if self._knows_the_way:
            return self.arguments
        module = _module()
        return [*(["-m", module] if module else [os.path.abspath(sys.argv[0])]), *self.arguments]

    @property
    def title(self) -> str:
        """How a person begins this command line."""
        module = "" if self._knows_the_way else _module()
        return " ".join(["python -m " + module if module else os.path.basename(sys.argv[0]), *self.arguments])


def _module() -> str:
    """The module that was run with ``-m``; empty where a script was run."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name if spec else "__main__"
    return "" if name == "__main__" else name[: -len(".__main__")] if name.endswith(".__main__") else name


def _split(text: str) -> tuple[str, str]:
    """The module and the class; no class if none is named (a drive's colon is not a separator)."""
    module, _, name = text.rpartition(":")
    return (module, name) if module and name.isidentifier() else (text, "")


def absolute(text: str) -> str:
    """What :func:`load_adaptor` takes, for a command that may run in another folder."""
    module, name = _split(text)
    return ":".join(filter(None, [os.path.abspath(module), name])) if module.endswith(".py") else text


def adaptor_name(text: str) -> str:
    """A name for what ``text`` names, without loading it."""
    module, name = _split(text)
    return name or os.path.splitext(os.path.basename(module))[0].rpartition(".")[2]


def load_adaptor(text: str) -> type[BaseAdaptor]:
    """The class that ``text`` names: ``package.module`` or a path to a .py file, and perhaps ``:Class``.

    Raises :class:`InputError` if it cannot be imported or is not an adaptor.
    """
    from .adaptor import BaseAdaptor

    where = "--adaptor %s" % text
    module_name, name = _split(text)
    module = _import(where, module_name)
    if name:
        return checked(where, name, getattr(module, name, None))
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, BaseAdaptor)]
    found = [item for item in classes if item.__module__ == module.__name__]
    if len(found) != 1:
        raise InputError("%s: has %d adaptors; name one as %s:Class" % (where, len(found), module_name))
    return checked(where, found[0].__name__, found[0])


def checked(where: str, name: str, adaptor: Any) -> type[BaseAdaptor]:
    """``adaptor``, if it is a class that adaptors can be made of; else raises :class:`InputError`."""
    from .adaptor import BaseAdaptor

    if not (isinstance(adaptor, type) and issubclass(adaptor, BaseAdaptor)):
        raise InputError("%s: %s is not an adaptor (no subclass of Adaptor or CommandAdaptor)" % (where, name))
    lacking = sorted(getattr(adaptor, "__abstractmethods__", ()))
    if lacking:
        raise InputError("%s: %s does not define %s" % (where, name, ", ".join(lacking)))
    return adaptor


def _import(where: str, name: str) -> ModuleType:
    from importlib import import_module, util

    path = ""
    try:
        if not name.endswith(".py"):
            return import_module(name)
        path = data.full_path(name)
        stem = os.path.splitext(os.path.basename(path))[0]
        spec = util.spec_from_file_location(stem, path)
        if spec is None or spec.loader is None:
            raise InputError("%s: is not a Python file" % where)
        sys.path.insert(0, os.path.dirname(path))
        module = sys.modules[stem] = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        reason = describe(error)
        if isinstance(error, FileNotFoundError) and error.filename == path:
            reason = "there is no such file"
        elif not isinstance(error, SyntaxError) and (frame.filename == path or "importlib" not in frame.filename):
            reason += " (%s, line %d)" % (frame.filename, frame.lineno or 0)  # the author's own code has failed there
        raise InputError("%s: cannot be imported: %s" % (where, reason)) from error
