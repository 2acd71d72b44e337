"""Path mapping: where a file lies on this host, from where it lay on the submitter's."""

from __future__ import annotations

import os
import re

from .errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable


_FORMATS = ("POSIX", "URI", "WINDOWS")
_FIELDS = ("source_path_format", "source_path", "destination_path", "destination_os")
#: What the reference takes for POSIX, too.
_MACS = ("MACOS", "DARWIN", "MAC", "MAC OS", "OS X")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WINDOWS = re.compile(r"[A-Za-z]:([/\\]|$)|\\\\")
_LOWER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


class PathMappingRule:
    r"""One rule of a ``pathmapping-1.0`` document.

    ``source_path_format`` is ``POSIX``, ``WINDOWS`` or ``URI``. A rule matches whole components, so ``/mnt/a`` does not
    match ``/mnt/ab``, nor an absolute source a relative path such as ``C:a``. Nothing is resolved: no ``..``, no link,
    no escape such as ``%20``.

    ``WINDOWS`` ignores case, takes both separators, and reads ``\\?\C:\a`` as ``C:\a`` and ``\\?\UNC\server\share`` as
    ``\\server\share``. ``URI`` ignores case in scheme and authority; what follows is taken by the letter, so ``a//b``
    is not ``a/b``, nothing but ``a/`` and ``a//b`` lies below ``a/``, and ``https://host:443`` is not ``https://host``.
    Case is that of ASCII alone. Letters and slashes count as in openjd-sessions 0.13: what the scheduler has mapped in
    a parameter and what an adaptor maps itself must land in one place.

    The result is ``destination_path`` and the rest of the path, joined with ``/`` if that is a URI, or else with the
    separator of ``destination_os`` (``Windows`` or anything else). If none is given, ``D:\a`` and ``\\server`` are
    taken for Windows's, and other destinations for this host's. Raises :class:`InputError`.

    Source: "Path Mapping" in the Open Job Description's "How Jobs Are Run"; URIs: RFC 0006, "Path Type Properties and
    Functions".
    """

    def __init__(
        self, source_path_format: str, source_path: str, destination_path: str, destination_os: str | None = None
    ) -> None:
        self.source_path_format = _format(str(source_path_format))
        self.source_path = source_path
        self.destination_path = destination_path
        self.destination_os = destination_os
        if self.source_path_format not in _FORMATS:
            known = ", ".join(_FORMATS)
            raise InputError("path mapping rule: source_path_format is %r; known are %s" % (source_path_format, known))
        for name, value in (("source_path", source_path), ("destination_path", destination_path)):
            if not isinstance(value, str) or not value:
                raise InputError("path mapping rule: %s must be a path, not %r" % (name, value))
        if not isinstance(destination_os, (str, type(None))):
            raise InputError("path mapping rule: destination_os must be a name, not %r" % (destination_os,))
        if self.source_path_format == "URI" and not _URI.match(source_path):
            raise InputError("path mapping rule: source_path must begin as s3://bucket does, not as %r" % source_path)
        _, key = _view(self.source_path_format, source_path)
        self._source = key if key[-1] or self.source_path_format == "URI" else key[:-1] or [""]
        #: How many components the source path has: of the rules that match, the deepest wins.
        self.depth = len(self._source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PathMappingRule) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.source_path, self.destination_path))

    def __repr__(self) -> str:
        return "PathMappingRule(%s %s -> %s)" % (self.source_path_format, self.source_path, self.destination_path)

    @staticmethod
    def from_dict(*, rule: dict[str, str]) -> PathMappingRule:
        """A rule from the object that stands in a document; unknown keys are ignored."""
        if not isinstance(rule, dict):
            raise InputError("path mapping rule: must be an object, not %r" % (rule,))
        missing = [name for name in _FIELDS[:3] if name not in rule]
        if missing:
            raise InputError("path mapping rule: lacks %s" % ", ".join(missing))
        return PathMappingRule(**{name: rule[name] for name in _FIELDS if name in rule})

    def to_dict(self) -> dict[str, str]:
        """The object that :meth:`from_dict` reads."""
        return {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}

    def apply(self, *, path: str | os.PathLike[str]) -> tuple[bool, str]:
        """Whether the rule matches ``path``, and the path on this host (``path`` itself if it does not), as text.

        A trailing separator is kept.
        """
        return _apply([self], path)

    def _mapped(self, components: list[str]) -> str:
        rest = components[self.depth :]
        if not rest and (self.depth == 1 or self._source[-1]):
            return self.destination_path
        separator = _separator(self.destination_path, self.destination_os)
        # Of a URI that ends in its source's slash, that is left. Only one goes, for the root of "file:///" has three.
        ends = self.destination_path.endswith(("/", separator) if separator == "\\" else "/")
        return separator.join([self.destination_path[: -1 if ends else None], *(rest or [""])])


def _format(name: str) -> str:
    name = name.strip().upper()
    if name in _MACS or name.startswith("LINUX"):  # as "linux2" does
        return "POSIX"
    return "WINDOWS" if name == "NT" or name.startswith("WIN") else name


def _separator(destination: str, system: str | None) -> str:
    if _URI.match(destination):
        return "/"
    if system is None:
        return "\\" if _WINDOWS.match(destination) else os.sep
    return "\\" if system.lower() == "windows" else "/"


def _view(kind: str, path: str) -> tuple[list[str], list[str]]:
    """``path`` as its anchor (empty if it is relative) and its components, and what of them counts in a comparison.

    The last component is empty after a separator.
    """
    if kind == "URI":
        scheme, mark, rest = path.partition("://")
        authority, *parts = rest.split("/")
        anchor = scheme + mark + authority
        return [anchor, *parts], [_fold(anchor), *parts]
    if kind == "WINDOWS":
        anchor, path = _windows(path)
    else:
        anchor = "/" if path.startswith("/") else ""
    end = [""] if path.endswith("/") else []
    components = [anchor, *[part for part in path.split("/") if part and part != "."], *end]
    return components, list(map(_fold, components)) if kind == "WINDOWS" else components


def _windows(path: str) -> tuple[str, str]:
    """The anchor of a Windows path, and what follows, with ``/`` as the separator."""
    path = path.replace("\\", "/")
    if path[:8].lower() == "//?/unc/":
        path = "//" + path[8:]
    elif path.startswith("//?/") and path[5:6] == ":":
        path = path[4:]
    drive = path[:2] if path[1:2] == ":" else ""
    path = path[len(drive) :]
    # Behind a drive any number of separators is its root; by themselves two begin the name of a server.
    root = "//" if path.startswith("//") and not drive else "/" if path.startswith("/") else ""
    return drive + root, path


def _fold(text: str) -> str:
    return text.translate(_LOWER)


def rules_from_document(document: Any, where: str = "path mapping rules") -> list[PathMappingRule]:
    """The rules of a ``pathmapping-1.0`` document; ``{}`` has none. Unknown keys are ignored.

    ``where`` the document comes from stands in the :class:`InputError` that a bad one raises.
    """
    if not document:
        return []
    if not isinstance(document, dict):
        raise InputError("%s: must be an object, not %r" % (where, document))
    version = document.get("version", "pathmapping-1.0")
    if version != "pathmapping-1.0":
        raise InputError("%s: version is %r, not 'pathmapping-1.0'" % (where, version))
    if "path_mapping_rules" not in document and document.keys() != {"version"}:
        raise InputError("%s: lacks path_mapping_rules" % where)
    rules = document.get("path_mapping_rules", [])
    if not isinstance(rules, list):
        raise InputError("%s: path_mapping_rules must be a list, not %r" % (where, rules))
    made = []
    for number, rule in enumerate(rules, 1):
        try:
            made.append(PathMappingRule.from_dict(rule=rule))
        except InputError as error:
            raise InputError("%s: rule %d: %s" % (where, number, str(error).partition(": ")[2])) from None
    return made


def map_path(rules: Iterable[PathMappingRule], path: str | os.PathLike[str]) -> str:
    """``path`` mapped once, by the matching rule with the longest source path; of several such, by the first."""
    return _apply(rules, path)[1]


def _apply(rules: Iterable[PathMappingRule], path: str | os.PathLike[str]) -> tuple[bool, str]:
    path, best = os.fspath(path), None
    views: dict[str, tuple[list[str], list[str]]] = {}
    for rule in rules:
        kind = rule.source_path_format
        if kind not in views:
            views[kind] = _view(kind, path)
        if (best is None or rule.depth > best.depth) and views[kind][1][: rule.depth] == rule._source:
            best = rule
    return (True, best._mapped(views[best.source_path_format][0])) if best else (False, path)
