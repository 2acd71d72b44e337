"""For authors: writes a new adaptor's package that works as it is, with configuration, schemas, tests, job template."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import sys

from . import scaffold_texts, template
from .data import INIT_DATA, RUN_DATA, SCHEMA_FILES, full_path
from .errors import DONE, FAILED, InputError
from .front import answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def run(arguments: list[str]) -> int:
    """The command ``new``. Raises :class:`InputError` if there is something already, or the name can be no package."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise InputError("new: %s (see new --help)" % message)

        def _print_message(self, message: str, file: object = None) -> None:
            if answer(message) != DONE:
                raise SystemExit(FAILED)

    parser = Parser(
        prog="python -m openjd_adapt new",
        description="Write the package of a new adaptor, which works as it is. Nothing is overwritten.",
        epilog="Example: new my_render --kind application",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="the package: lower case, digits, underscores; or a path to it")
    parser.add_argument(
        "--kind",
        choices=scaffold_texts.KINDS,
        default="command",
        help="one command a task, or an application kept open",
    )
    options = parser.parse_args(arguments)
    folder, name = os.path.split(full_path(options.name))
    _check(folder, name)
    _write(os.path.join(folder, name), contents(folder, name, options.kind))
    _, _, init_data = scaffold_texts.KINDS[options.kind]
    parameters = " ".join('-p %s="%s"' % (key.capitalize(), value) for key, value in init_data.items())
    return answer(_filled(scaffold_texts.NEXT, name, folder).replace("PARAMETERS", parameters))


def contents(folder: str, name: str, kind: str) -> dict[str, str]:
    """The files of the package ``name`` in ``folder``, by their paths in it."""
    title = _title(name)
    texts, init_properties, init_data = scaffold_texts.KINDS[kind]
    schemas = {
        INIT_DATA: _schema("Init data of " + title, init_properties),
        RUN_DATA: _schema("Run data of " + title, scaffold_texts.RUN_PROPERTIES),
    }
    folders = [folder, *(place for place in template.import_folders([__name__]) if place != folder)]
    return {
        **{_filled(path, name, title): _filled(text, name, title) for path, text in texts.items()},
        **{"schemas/" + SCHEMA_FILES[data]: _json(schema) for data, schema in schemas.items()},
        title + ".json": _json(scaffold_texts.CONFIGURATION),
        "init_data.json": _json(init_data),
        "job.template.yaml": template.make(title, [sys.executable, "-m", name], folders, schemas),
    }


def _title(name: str) -> str:
    """The name of the adaptor's class; none that the written code has for something else."""
    title = "".join(word.capitalize() for word in name.split("_"))
    return title + "Adaptor" if title in _TAKEN else title


_TAKEN = {"ApplicationAdaptor", "Client", "CommandAdaptor", "EntryPoint", "FakeApplication", "Fatal"}
_TAKEN |= {"ManagedProcess", "Progress", "Render", "Session"}


def _check(folder: str, name: str) -> None:
    import importlib.util

    if not re.fullmatch(r"[a-z][a-z0-9_]{,63}", name) or keyword.iskeyword(name) or keyword.iskeyword(_title(name)):
        raise InputError("new: %r can be no package; use up to 64 lower case letters, digits and underscores" % name)
    if os.path.lexists(os.path.join(folder, name)):
        raise InputError("new: %s is there already; nothing was written" % os.path.join(folder, name))
    if not os.path.isdir(folder):
        raise InputError("new: %s: there is no such folder" % folder)
    if importlib.util.find_spec(name):
        raise InputError("new: there is a module %s already, which a package of that name would hide" % name)


def _write(folder: str, files: dict[str, str]) -> None:
    """Write all files, or leave nothing."""
    try:
        os.mkdir(folder)
        try:
            for path, text in files.items():
                place = os.path.join(folder, *path.split("/"))
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "x", encoding="utf-8") as stream:
                    stream.write(text)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError("new: %s: %s; nothing was written" % (folder, error.strerror)) from None


def _filled(text: str, name: str, title: str) -> str:
    return text.replace("NAME", name).replace("TITLE", title)


def _json(value: Any) -> str:
    return json.dumps(value, indent=4) + "\n"


def _schema(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
