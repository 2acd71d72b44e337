"""JSON by the C parts of ``json``, whose Python parts load ``re`` and ``enum``: a fifth of a short command's start.

What the C parts cannot do is left to ``json`` itself: above all errors, which are its own.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


_SPACE = " \t\n\r"
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _refuse(value: object) -> NoReturn:
    raise TypeError(type(value).__name__)


_encoder: Any
_make_scanner: Any
try:
    import _json as parts

    # Without a dict of what it is in: an object that holds itself is as well found by its endless depth.
    _encoder = parts.make_encoder(None, _refuse, parts.encode_basestring_ascii, None, ":", ",", False, False, False)
    _make_scanner = parts.make_scanner
    if hasattr(sys, "gettotalrefcount"):
        raise ImportError("a debug build of Python does not survive a scanner without words")
except (ImportError, AttributeError, TypeError):
    _encoder = _make_scanner = None  # another Python than CPython, or with other parts: all is left to json


def dumps(value: Any) -> str:
    """As :func:`json.dumps`, without blanks; of NaN and infinity, which are not JSON, :class:`ValueError`."""
    if _encoder:
        try:
            return "".join(_encoder(value, 0))
        except (TypeError, ValueError, RecursionError):
            pass  # the same follows, in better words
    import json

    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def copied(value: Any) -> Any:
    """A JSON value that shares nothing with ``value``; the module copy costs a short command more than its own work."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


class Reader:
    """Reads JSON; the hooks are those of :func:`json.loads`."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_int, parse_float, parse_constant = int, float, _CONSTANTS.__getitem__

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        self._hooks: dict[str, Any] = hooks
        vars(self).update(hooks)
        self._scan = _make_scanner and _make_scanner(self)

    def read(self, text: str) -> Any:
        """The value of a text. Raises :class:`json.JSONDecodeError`, which is a :class:`ValueError`."""
        if self._scan:
            try:
                value, end = self._scan(text, len(text) - len(text.lstrip(_SPACE)))
            except (StopIteration, ValueError, SystemError):
                pass  # json says what is wrong; where it is not loaded, most Pythons' scanner does not find the words
            else:
                if end == len(text) or not text[end:].strip(_SPACE):
                    return value
        import json

        return json.loads(text, **self._hooks)


#: As :func:`json.loads`.
loads = Reader().read
