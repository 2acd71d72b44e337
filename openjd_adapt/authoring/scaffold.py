"""For authors: writes a new adaptor's package that works as it is, with configuration, schemas, tests, job template."""

from __future__ import annotations

import importlib.util
import json
import keyword
import os
import re
import shutil
import sys

from .. import __version__
from ..daemon.frontend import answer
from ..data import SCHEMA_FILES, full_path, read_text
from ..errors import InputError
from ..schema import Validator
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
Installed, it is a command of its own:
    python -m pip install ./%(name)s
    %(script)s --help
"""

_TEMPLATES = os.path.join(PACKAGE, "authoring", "templates")
_ALL = ["pyproject.toml", "__main__.py", "MyRender.json", "tests/__init__.py", "schemas/run_data.schema.json"]
_CODE = ["__init__.py", "tests/my_render_tests.py"]
_DATA = ["init_data.json", "schemas/init_data.schema.json"]
#: The templates of each kind of adaptor, by their folders. They are a package ``my_render`` that works, of an adaptor
#: ``MyRender``.
KINDS = {
    kind: [folder + "/" + path for folder, paths in places.items() for path in paths]
    for kind, places in {
        "command": {"both": _ALL, "command": [*_CODE, *_DATA, "program.py"]},
        "application": {"both": _ALL, "application": [*_CODE, *_DATA, "client.py"]},
        "prompt": {"both": _ALL, "application": _DATA, "prompt": [*_CODE, "program.py"]},
    }.items()
}
#: By what name this package is imported here: a copy of it may be a part of another one.
_TOOLKIT = __name__.rpartition(".authoring.")[0]


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
    return answer(NEXT % {"name": name, "folder": folder, "parameters": parameters, "script": _script(name)})


def contents(folder: str, name: str, kind: str) -> dict[str, str]:
    """The files of the package ``name`` in ``folder``, by their paths in it."""
    title = _title(name)

    def named(text: str, toolkit: str = _TOOLKIT) -> str:
        text = text.replace("my-render-openjd", _script(name)).replace("my_render", name).replace("MyRender", title)
        return re.sub(r"\bopenjd_adapt\b", toolkit, text)

    files = {}
    for path in KINDS[kind]:
        text = read_text("new: " + path, os.path.join(_TEMPLATES, *path.split("/")))
        # pytest shall not take the templates for this project's own tests.
        place = path.partition("/")[2].replace("my_render_tests", "test_my_render")
        text = text.replace("\r\n", "\n")  # Git for Windows makes these, and so does the writing
        # Nothing is installed for what is a part of something; what runs in an application finds it by its last name.
        needs = '"openjd_adapt~=%s"' % __version__ if _TOOLKIT == "openjd_adapt" else ""
        text = text.replace('"openjd_adapt"', needs)
        files[named(place)] = named(text, _TOOLKIT.rpartition(".")[2]) if place == "client.py" else named(text)
    schemas = {data: Validator(json.loads(files["schemas/" + file])) for data, file in SCHEMA_FILES.items()}
    folders = [folder, *(place for place in template.import_folders([__name__]) if place != folder)]
    return {**files, "job.template.yaml": template.make(title, [sys.executable, "-m", name], folders, schemas)}


def _script(name: str) -> str:
    """The command that pip makes: not the name alone, which may be that of the application's own program."""
    return name.replace("_", "-") + "-openjd"


def _title(name: str) -> str:
    """The name of the adaptor's class; none that the written code has for something else."""
    title = "".join(word.capitalize() for word in name.split("_"))
    return title + "Adaptor" if title in _TAKEN else title


_TAKEN = {"ApplicationAdaptor", "Client", "CommandAdaptor", "EntryPoint", "FakeApplication", "Fatal"}
_TAKEN |= {"ManagedProcess", "Progress", "Render", "Session"}


def _is_package(name: str) -> bool:
    is_word = re.fullmatch(r"[a-z][a-z0-9_]{,63}", name)
    return bool(is_word) and not keyword.iskeyword(name) and not keyword.iskeyword(_title(name))


def _suggestion(name: str) -> str:
    """A name that is like ``name`` and can be a package's."""
    better = "_".join(re.findall("[A-Z]*[a-z0-9]+|[A-Z]+", name)).lower()[:64] or "my_render"
    better = better if better[0].isalpha() else "my_" + better
    return better if _is_package(better) and not importlib.util.find_spec(better) else better[:56] + "_adaptor"


def _check(folder: str, name: str) -> None:
    if not _is_package(name):
        rule = "use up to 64 lower case letters, digits and underscores"
        raise InputError("new: %r cannot be a package; %s, such as %s" % (name, rule, _suggestion(name)))
    if os.path.lexists(os.path.join(folder, name)):
        raise InputError("new: %s is there already; nothing was written" % os.path.join(folder, name))
    if not os.path.isdir(folder):
        raise InputError("new: %s: there is no such folder" % folder)
    if importlib.util.find_spec(name):
        reason = "there is a module %s already, which a package of that name would hide" % name
        raise InputError("new: %s; %s would do" % (reason, _suggestion(name)))


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
