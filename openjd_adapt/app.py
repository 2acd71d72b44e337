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


class App:
    """An adaptor as the command line knows it: not loaded until somebody needs the class."""

    def __init__(
        self,
        name: str,
        load: Callable[[], type[BaseAdaptor]],
        words: list[str],
        reentry_exe: str | None = None,
        start_timeout: float | None = None,
        on_bootstrap_complete: Iterable[Callable[[], object]] = (),
        has_adaptor: bool = True,
        folder: str = "",
    ) -> None:
        self.name = name
        self.load = load
        #: The command and its options.
        self.words = words
        self.start_timeout = start_timeout
        self.on_bootstrap_complete = on_bootstrap_complete
        #: Whether one was named; the command line of the package itself is there without, too.
        self.has_adaptor = has_adaptor
        self._reentry_exe = reentry_exe
        self._folder = folder

    def command(self) -> list[str]:
        """What leads to this adaptor again from :meth:`folder`. Raises :class:`InputError` where nothing can."""
        if getattr(sys.modules["__main__"], "__file__", None) == "<stdin>" and not self._reentry_exe:
            raise InputError("a script from standard input cannot be run again for its adaptor: save it as a file")
        program, what = self.program()
        return [*program, *what]

    def of_role(self, role: str) -> list[str]:
        """The command line of a process of this adaptor's: a script may look at the command, too."""
        debug = ["--debug"] if "--debug" in self.words else []
        return [*self.command(), *self.words[: 2 if self.words[0] == "daemon" else 1], *debug, role]

    def program(self) -> tuple[list[str], list[str]]:
        """What leads to this adaptor, with options if it is a Python; what that is to run, with arguments."""
        if self._reentry_exe:
            return [self._reentry_exe], []
        return interpreter.original_command(self.words, self._folder)

    @property
    def folder(self) -> str | None:
        """The current folder when this process began; None where it is that still."""
        return self._folder if self._folder and self._folder != os.getcwd() else None


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
    """The class that ``text`` names: a module or a .py file, and perhaps ``:Class``. Raises :class:`InputError`."""
    from .adaptor import BaseAdaptor

    where = "--adaptor %s" % text
    module_name, name = _split(text)
    module = _import(where, module_name)
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, BaseAdaptor)]
    whole = [item for item in classes if not _lacking(item)]
    names = ", ".join(dict.fromkeys(item.__name__ for item in whole))
    if name:
        return checked(where, name, getattr(module, name, None), "; %s has %s" % (module_name, names or "none"))
    own = [item for item in classes if item.__module__ == module.__name__]
    found = [item for item in own if item in whole] or own
    if len(found) != 1:
        what = where, len(found), module_name, names and " (%s)" % names
        raise InputError("%s: has %d adaptors; name one as %s:Class%s" % what)
    return checked(where, found[0].__name__, found[0])


def _lacking(adaptor: type[BaseAdaptor]) -> str:
    """What a class has to define and does not."""
    return ", ".join(sorted(getattr(adaptor, "__abstractmethods__", ())))


def checked(where: str, name: str, adaptor: Any, others: str = "") -> type[BaseAdaptor]:
    """``adaptor``, if it is a class that adaptors can be made of; else raises :class:`InputError`, with ``others``."""
    from .adaptor import BaseAdaptor

    if not (isinstance(adaptor, type) and issubclass(adaptor, BaseAdaptor)):
        raise InputError(
            "%s: %s is not an adaptor (no subclass of Adaptor or CommandAdaptor)%s" % (where, name, others)
        )
    if _lacking(adaptor):
        raise InputError("%s: %s does not define %s" % (where, name, _lacking(adaptor)))
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
        assert spec and spec.loader  # by the end of its name it is a Python file
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
