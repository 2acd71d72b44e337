"""Init data, run data and path mapping rules, as the command line passes them: JSON or YAML, inline or ``file://``."""

from __future__ import annotations

import os

from . import plain_json, system
from .errors import InputError, MissingFile, as_utf8
from .system import interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


INIT_DATA = "init data"
RUN_DATA = "run data"
#: The kinds of data that an adaptor may have a JSON Schema for, and the names of those.
SCHEMA_FILES = {INIT_DATA: "init_data.schema.json", RUN_DATA: "run_data.schema.json"}

#: The most that a file may have, in bytes, each of which is sent as six at the most, by an escape: a frame has room.
LIMIT = 10 * 1024 * 1024
#: What a whole number may have: conversion takes quadratic time in older Pythons, and newer ones refuse more.
_DIGITS_LIMIT = 1000
_FILE = "file://"


def schema_paths(folder: str) -> dict[str, str]:
    """The schemas that lie in a folder, by the kind of data."""
    paths = {kind: os.path.join(folder, name) for kind, name in SCHEMA_FILES.items()}
    return {kind: path for kind, path in paths.items() if exists("schema %s" % path, path)}


def load(option: str, value: str) -> dict[str, Any]:
    """The object that ``value`` is or, if it begins with ``file://``, that the file holds, as JSON or else as YAML.

    ``option`` names where the value comes from in the text of the :class:`InputError` that anything else raises.
    """
    where = source(option, value)
    text = as_utf8(value) or "{}"  # as the reference takes an empty option
    if value.startswith(_FILE):
        text = read_text(where, path_of(value))
    if not text.strip():
        raise InputError("%s: is empty" % where)
    return as_object(where, _json_or_yaml(where, text), value)


def as_object(where: str, data: Any, value: str = "") -> dict[str, Any]:
    """``data``, which must be an object; ``value`` is what was given for it. Raises :class:`InputError`."""
    if not isinstance(data, dict):
        hint = "; for a file write %s%s" % (_FILE, value) if isinstance(data, str) and os.path.isfile(value) else ""
        kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        raise InputError("%s: must be an object, not %s%s" % (where, kinds.get(type(data), "a number"), hint))
    return data


def full_path(path: str) -> str:
    """A path of the command line, from the root. Raises :class:`InputError` where there is no folder to begin at."""
    try:
        return os.path.abspath(path)
    except OSError:
        raise InputError("%s: is relative to the current folder, which is gone" % path) from None


def path_of(value: str) -> str:
    """The path that ``value`` is or, if it begins with ``file://``, that stands behind that."""
    return system.path_of_uri(value[len(_FILE) :]) if value.startswith(_FILE) else value


def source(option: str, value: str) -> str:
    """Where the data of an option come from, for messages."""
    return "%s: %s" % (option, path_of(value)) if value.startswith(_FILE) else option


def exists(where: str, path: str) -> bool:
    """Whether there is a file, perhaps in an archive. Raises :class:`InputError` where that cannot be told."""
    try:
        return interpreter.is_there(path)
    except OSError as error:
        raise InputError("%s: %s" % (where, error.strerror)) from None


def read_text(where: str, path: str) -> str:
    """The text of a UTF-8 file, which may lie in an archive. Raises :class:`InputError`."""
    try:
        found = interpreter.read_bytes(path, LIMIT + 1)  # no more, for it may never end
        if len(found) > LIMIT:
            raise InputError("%s: has more than %d bytes" % (where, LIMIT))
        return found.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingFile("%s: %s" % (where, error.strerror)) from None
    except OSError as error:
        raise InputError("%s: %s" % (where, error.strerror)) from None
    except UnicodeDecodeError as error:
        raise InputError("%s: is not UTF-8 text: byte %d" % (where, error.start)) from None


def _json_or_yaml(where: str, text: str) -> Any:
    try:
        return parse(where, text)
    except _NotJson as error:
        not_json = error.reason
    from . import yaml  # which takes its time to load, and most tasks come with JSON

    try:
        value = yaml.loads(text)
    except yaml.YAMLDecodeError as error:
        if text.lstrip().startswith(("{", "[")):
            raise InputError("%s: is neither JSON (%s) nor YAML (%s)" % (where, not_json, error)) from None
        raise InputError("%s: is not YAML: %s" % (where, error)) from None
    _check_portable(where, value)
    return value


class _NotJson(InputError):
    """A text is not JSON; ``reason`` says where in it and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__("%s: is not JSON: %s" % (where, reason))
        self.reason = reason


def parse(where: str, text: str) -> Any:
    """The value of a JSON text, without what only Python takes for JSON. Raises :class:`InputError` with the place."""
    faults: list[str] = []

    def whole(digits: str) -> int:
        if len(digits) > _DIGITS_LIMIT:
            faults.append("a number has more than %d digits" % _DIGITS_LIMIT)
            return 0
        return int(digits)

    def real(digits: str) -> float:
        number = float(digits)
        if number - number != 0:
            faults.append("%s is out of range" % digits)
        return number

    def obj(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            once = dict(made)
            twice = next(name for name, _ in pairs if once.pop(name, faults) is faults)
            faults.append("the key %r stands twice in one object" % twice)
        return made

    def constant(name: str) -> None:
        faults.append("%s is not a number of JSON" % name)

    reader = plain_json.Reader(parse_int=whole, parse_float=real, object_pairs_hook=obj, parse_constant=constant)
    try:
        value = reader.read(text)
    except RecursionError:
        raise InputError("%s: is nested too deeply" % where) from None
    except ValueError as failure:
        error: Any = failure  # json's own, which is not loaded here
        raise _NotJson(where, "line %d, column %d: %s" % (error.lineno, error.colno, error.msg)) from None
    if faults:
        raise InputError("%s: %s" % (where, faults[0]))
    return value


def _check_portable(where: str, value: Any) -> None:
    """Refuse what YAML can say and JSON cannot carry."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError("%s: the key %r is not text; put quotes around it" % (where, key))
            _check_portable(where, item)
    elif isinstance(value, list):
        for item in value:
            _check_portable(where, item)
    elif isinstance(value, float) and value - value != 0:
        raise InputError("%s: %r is not a number of JSON; put quotes around it if it is text" % (where, value))
