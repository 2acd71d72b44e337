"""Init data, run data and path mapping rules, as the command line passes them: JSON, inline or ``file://``."""

from __future__ import annotations

import json

from .errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: The most that one document may have, in characters; however it is escaped, it then fits into a frame.
LIMIT = 10 * 1024 * 1024


def load(option: str, value: str) -> dict[str, Any]:
    """The object that ``value`` is or, if it begins with ``file://``, that the file holds.

    ``option`` names where the value comes from in the text of the :class:`InputError` that anything else raises.
    """
    where = option
    text = value
    if value.startswith("file://"):
        path = value[len("file://") :]
        where = "%s: %s" % (option, path)
        text = read_text(where, path)
    if len(text) > LIMIT:
        raise InputError("%s: has %d characters; the limit is %d" % (where, len(text), LIMIT))
    data = parse(where, text)
    if not isinstance(data, dict):
        raise InputError("%s: must be an object, not %s" % (where, _KINDS.get(type(data), type(data).__name__)))
    return data


def read_text(where: str, path: str) -> str:
    """The text of a UTF-8 file. Raises :class:`InputError`."""
    try:
        with open(path, "rb") as stream:
            return stream.read().decode("utf-8-sig")
    except OSError as error:
        raise InputError("%s: %s" % (where, error.strerror)) from None
    except UnicodeDecodeError as error:
        raise InputError("%s: is not UTF-8 text: byte %d" % (where, error.start)) from None


def parse(where: str, text: str) -> Any:
    """The value of a JSON text. Raises :class:`InputError` with line and column."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InputError(
            "%s: is not JSON: line %d, column %d: %s" % (where, error.lineno, error.colno, error.msg)
        ) from None
    except ValueError as error:
        raise InputError("%s: is not JSON: %s" % (where, error)) from None
    except RecursionError:
        raise InputError("%s: is nested too deeply" % where) from None


_KINDS = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("%s is out of range" % text)
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError("%s is no number of JSON" % constant)
