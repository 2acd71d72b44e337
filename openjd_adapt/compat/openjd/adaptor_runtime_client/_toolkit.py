"""Finds the toolkit by this file's own place on disk, so that nothing but the shim's folder need be on the path."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAME = "openjd_adapt"


def _folder() -> str:
    place = os.path.abspath(__file__)
    for _ in ("adaptor_runtime_client", "openjd", "compat", "the package"):
        place = os.path.dirname(place)
    return place


def _find() -> ModuleType:
    """The toolkit around this file: as it was imported already, whatever its name is there, or imported now."""
    begin = os.path.join(os.path.realpath(_folder()), "__init__.py")
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        # Other modules' __getattr__ may give anything; in an archive the file is the compiled one.
        if isinstance(file, str) and "__init__.py" in file and os.path.realpath(file) in (begin, begin + "c"):
            return module
    if not os.path.isfile(begin):
        return _find_in_archive(os.path.dirname(begin))
    # Not by the path: the folder above, which may be an application's site-packages, is not to come with it.
    name = _NAME if _NAME not in sys.modules else "_%s_of_compat" % _NAME
    spec = importlib.util.spec_from_file_location(name, begin, submodule_search_locations=[os.path.dirname(begin)])
    if spec is None or spec.loader is None:
        raise ImportError("%s is not there" % begin)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _find_in_archive(folder: str) -> ModuleType:
    """The toolkit in a zip archive, or the one of its name that was imported already."""
    place, name = os.path.split(folder)
    sys.path.insert(0, place)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(place)


#: The package ``openjd_adapt``; its public names are loaded when they are first asked for.
toolkit: Any = _find()


def part(name: str) -> Any:
    """One of its modules."""
    return importlib.import_module("." + name, toolkit.__name__)
