"""For authors: writes a new adaptor's package that works as it is, with configuration, schemas, tests, job template."""

from __future__ import annotations

import importlib.util
import json
import keyword
import os
import re
import shutil
import sys

from ..daemon.frontend import answer
from ..data import SCHEMA_FILES, full_path, read_text
from ..errors import InputError
from ..system.interpreter import PACKAGE
from . import template

#: What ``new`` prints when it is done.
NEXT = """\
%(name)s works as it is, with a stand-in for what you drive. In %(folder)s:
    python -m %(name)s session --init-data file://%(name)s/init_data.json --each frame=1-3
    python -m pytest %(name)s
    openjd run %(name)s/job.template.yaml %(parameters)s
Next: put what you drive into %(name)s/__init__.py, its data into %(name)s/schemas, then renew the job template:
    python -m %(name)s template > %(name)s/job.template.yaml
"""

_TEMPLATES = os.path.join(PACKAGE, "authoring", "templates")
_BOTH = ["both/__main__.py", "both/MyRender.json", "both/tests/__init__.py", "both/schemas/run_data.schema.json"]
_EACH = ["__init__.py", "init_data.json", "schemas/init_data.schema.json", "tests/my_render_tests.py"]
#: The templates of each kind of adaptor. They are a package ``my_render`` that works, of an adaptor ``MyRender``.
KINDS = {
    "command": [*_BOTH, *("command/" + path for path in [*_EACH, "program.py"])],
    "application": [*_BOTH, *("application/" + path for path in [*_EACH, "client.py"])],
}


def new(path: str, kind: str) -> int:
    """The command ``new``. Raises :class:`InputError` if something is there, or the name cannot be a package."""
    if kind not in KINDS:
        raise InputError("new: --kind: %r is none of: %s" % (kind, ", ".join(KINDS)))
    folder, name = os.path.split(full_path(path))
    _check(folder, name)
    files = contents(folder, name, kind)
    _write(os.path.join(folder, name), files)
    init_data = json.loads(files["init_data.json"])
    parameters = " ".join('-p %s="%s"' % (key.capitalize(), value) for key, value in init_data.items())
    return answer(NEXT % {"name": name, "folder": folder, "parameters": parameters})


def contents(folder: str, name: str, kind: str) -> dict[str, str]:
    """The files of the package ``name`` in ``folder``, by their paths in it."""
    title = _title(name)

    def named(text: str) -> str:
        return text.replace("my_render", name).replace("MyRender", title)

    files = {}
    for path in KINDS[kind]:
        text = read_text("new: " + path, os.path.join(_TEMPLATES, *path.split("/")))
        # pytest shall not take the templates for this project's own tests.
        place = path.partition("/")[2].replace("my_render_tests", "test_my_render")
        files[named(place)] = named(text.replace("\r\n", "\n"))  # Git for Windows makes these, and so does the writing
    schemas = {data: json.loads(files["schemas/" + file]) for data, file in SCHEMA_FILES.items()}
    folders = [folder, *(place for place in template.import_folders([__name__]) if place != folder)]
    return {**files, "job.template.yaml": template.make(title, [sys.executable, "-m", name], folders, schemas)}


def _title(name: str) -> str:
    """The name of the adaptor's class; none that the written code has for something else."""
    title = "".join(word.capitalize() for word in name.split("_"))
    return title + "Adaptor" if title in _TAKEN else title


_TAKEN = {"ApplicationAdaptor", "Client", "CommandAdaptor", "EntryPoint", "FakeApplication", "Fatal"}
_TAKEN |= {"ManagedProcess", "Progress", "Render", "Session"}


def _check(folder: str, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{,63}", name) or keyword.iskeyword(name) or keyword.iskeyword(_title(name)):
        raise InputError("new: %r cannot be a package; use up to 64 lower case letters, digits and underscores" % name)
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
