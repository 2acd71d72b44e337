"""The named formats of JSON Schema that can be asserted, each as a function of the text."""

from __future__ import annotations

import re

from .patterns import compile_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _matches(pattern: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        return re.fullmatch(pattern, text, re.ASCII) is not None

    return fits


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether ``read`` takes the text."""

    def fits(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return fits


def _date(text: str) -> None:
    import datetime

    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError
    datetime.date(*map(int, text.split("-")))


def _date_time(text: str) -> None:
    if not re.fullmatch(_TIME, text[11:], re.ASCII) or text[10:11] not in ("T", "t"):
        raise ValueError
    _date(text[:10])


#: The module ipaddress takes a leading zero up to Python 3.9.4.
_is_ipv4 = _matches(r"%s(?:\.%s){3}" % (_OCTET, _OCTET))


def _ipv6(text: str) -> None:
    import ipaddress

    if "%" in text or ("." in text and not _is_ipv4(text.rpartition(":")[2])):
        raise ValueError
    ipaddress.IPv6Address(text)


#: Source: RFC 3339 (dates and times), RFC 1123 (host names), RFC 3986 (URIs), RFC 4122 (UUIDs), RFC 6901 (pointers).
FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _reads(_date),
    "time": _matches(_TIME),
    "date-time": _reads(_date_time),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(r"(?=.{1,253}\Z)%s(?:\.%s)*" % (_LABEL, _LABEL)),
    "ipv4": _is_ipv4,
    "ipv6": _reads(_ipv6),
    "uri": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[^\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}%]|%[0-9A-Fa-f]{2})*"),
    "uuid": _matches(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json-pointer": _matches(r"(?:/(?:[^/~]|~[01])*)*"),
    "regex": _reads(compile_pattern),
}
