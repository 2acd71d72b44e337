"""Path mapping: where a file lies on this host, from where it lay on the submitter's."""

from __future__ import annotations

import os

from .errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

_SEPARATORS = {"POSIX": "/", "WINDOWS": "\\/", "URI": "/"}


class PathMappingRule:
    """One rule of a ``pathmapping-1.0`` document.

    ``source_path_format`` is ``POSIX``, ``WINDOWS`` or ``URI``. A rule matches whole components, so ``/mnt/a`` does not
    match ``/mnt/ab``; ``WINDOWS`` sources ignore case and take both separators; a relative path never matches an
    absolute source. ``destination_os`` (``Windows`` or anything else) picks the separator of the result and is this
    host's unless given. Raises :class:`InputError`.
    Source: "Path Mapping" in the Open Job Description's "How Jobs Are Run".
    """

    def __init__(
        self, *, source_path_format: str, source_path: str, destination_path: str, destination_os: str | None = None
    ) -> None:
        self.source_path_format = str(source_path_format).upper()
        self.source_path = source_path
        self.destination_path = destination_path
        self.destination_os = destination_os
        if self.source_path_format not in _SEPARATORS:
            raise InputError(
                "path mapping rule: source_path_format is %r; known are %s"
                % (source_path_format, ", ".join(sorted(_SEPARATORS)))
            )
        for name in ("source_path", "destination_path"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InputError("path mapping rule: %s must be a path, not %r" % (name, getattr(self, name)))
        if not isinstance(destination_os, (str, type(None))):
            raise InputError("path mapping rule: destination_os must be a name, not %r" % (destination_os,))
        self._separator = os.sep if destination_os is None else "\\" if destination_os.lower() == "windows" else "/"
        self._source = self._key(self._components(source_path))
        #: How many components the source path has: of the rules that match, the deepest wins.
        self.depth = len(self._source)

    def __repr__(self) -> str:
        return "PathMappingRule(%s %s -> %s)" % (self.source_path_format, self.source_path, self.destination_path)

    @staticmethod
    def from_dict(*, rule: dict[str, str]) -> PathMappingRule:
        """A rule from the object that stands in a document; unknown keys are ignored."""
        known = ("source_path_format", "source_path", "destination_path", "destination_os")
        if not isinstance(rule, dict):
            raise InputError("path mapping rule: must be an object, not %r" % (rule,))
        missing = [name for name in known[:3] if name not in rule]
        if missing:
            raise InputError("path mapping rule: lacks %s" % ", ".join(missing))
        return PathMappingRule(**{name: rule[name] for name in known if name in rule})

    def to_dict(self) -> dict[str, str]:
        """The object that :meth:`from_dict` reads."""
        rule = {
            "source_path_format": self.source_path_format,
            "source_path": self.source_path,
            "destination_path": self.destination_path,
        }
        if self.destination_os is not None:
            rule["destination_os"] = self.destination_os
        return rule

    def apply(self, *, path: str) -> tuple[bool, str]:
        """Whether the rule matches ``path``, and the path on this host (``path`` itself if it does not).

        A trailing separator is kept; ``..`` is not collapsed.
        """
        components = self._components(path)
        if self._key(components[: self.depth]) != self._source:
            return False, path
        mapped = self.destination_path
        rest = components[self.depth :]
        if path[-1:] in _SEPARATORS[self.source_path_format]:
            rest.append("")
        if rest:
            mapped = self._separator.join([mapped.rstrip("/\\" if self._separator == "\\" else "/"), *rest])
        return True, mapped

    def _components(self, path: str) -> list[str]:
        """``path`` as its anchor (empty for a relative path) and its components."""
        if self.source_path_format == "URI":
            anchor, mark, path = path.partition("://")
            authority, _, path = path.partition("/")
            anchor = (anchor + mark + authority).lower() if mark else ""
        elif self.source_path_format == "WINDOWS":
            path = path.replace("/", "\\")
            drive = path[:2] if path[1:2] == ":" else ""
            path = path[len(drive) :]
            anchor = drive + ("\\\\" if path.startswith("\\\\") else path[:1] if path.startswith("\\") else "")
        else:
            anchor = "/" if path.startswith("/") else ""
        separator = _SEPARATORS[self.source_path_format][0]
        return [anchor, *[part for part in path.split(separator) if part and part != "."]]

    def _key(self, components: list[str]) -> list[str]:
        if self.source_path_format == "WINDOWS":
            return [component.lower() for component in components]
        return components


def rules_from_document(document: Any) -> list[PathMappingRule]:
    """The rules of a ``pathmapping-1.0`` document; ``{}`` has none. Raises :class:`InputError`."""
    if not document:
        return []
    if not isinstance(document, dict):
        raise InputError("path mapping rules: must be an object, not %r" % (document,))
    version = document.get("version", "pathmapping-1.0")
    if version != "pathmapping-1.0":
        raise InputError("path mapping rules: version is %r, not 'pathmapping-1.0'" % (version,))
    rules = document.get("path_mapping_rules", [])
    if not isinstance(rules, list):
        raise InputError("path mapping rules: path_mapping_rules must be a list, not %r" % (rules,))
    return [PathMappingRule.from_dict(rule=rule) for rule in rules]


def map_path(rules: Iterable[PathMappingRule], path: str) -> str:
    """``path`` mapped once, by the matching rule with the longest source path."""
    for rule in sorted(rules, key=lambda rule: -rule.depth):
        matched, mapped = rule.apply(path=path)
        if matched:
            return mapped
    return path
