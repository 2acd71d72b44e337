"""What the keywords of JSON Schema have in common: where they stand, what they find, what is wrong with a schema."""

from __future__ import annotations

from collections import namedtuple

from ..errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn, Optional, Sequence, Tuple, Union

    #: Keys and indexes, from the outside in.
    Path = Tuple[Union[str, int], ...]
    #: What references have found already, by the schema, the path and the value; None while they are looking.
    Memory = Dict[Tuple[int, Path, int], Optional[Sequence["Fault"]]]
    #: Gives what is wrong with a value that stands at a path.
    Check = Callable[[Any, Path, Memory], Sequence["Fault"]]
    #: Makes the check from a keyword's argument; None if there is nothing to check.
    Keyword = Callable[[Any, "Site"], Optional[Check]]


#: How many faults of one value are compared to find the best.
FAULT_LIMIT = 10_000
#: The most that a message quotes of one value, in characters.
_QUOTE_LIMIT = 200


class Located(InputError):
    """``message`` says what is wrong, ``path`` (a tuple of keys and indexes) at which place, ``where`` in what.

    ``str()`` has all of it, in one line.
    """

    where = ""

    def __init__(self, message: str, path: Path = (), *more: Any) -> None:
        super().__init__(message, path, *more)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        text = locate(self.path, self.message)
        return "%s: %s" % (self.where, text) if self.where else text


class SchemaError(Located):
    """A schema that is wrong, or that uses what is left out."""


class Fault(namedtuple("Fault", "site instance path text context", defaults=[()])):
    """What is wrong with a value. Its text is made when somebody reads it, for values can be large.

    ``text`` is a format and its arguments, ``context`` the faults of alternatives of which none fits.
    """

    __slots__ = ()

    @property
    def message(self) -> str:
        try:
            return str(self.text[0].format(*self.text[1:]))
        except ValueError:  # Python writes no number of more than 4300 digits
            return "has a number with too many digits, and is not as %r wants it" % self.site.keyword


class Listed(list):  # type: ignore[type-arg]
    """Values in a fault's text, one after the other."""

    def __str__(self) -> str:
        return ", ".join(map(repr, self))


class Node:
    """A schema, ready to look at values."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        #: The checks, each with the kind of values that it is for.
        self.checks: list[tuple[type, Check]] = []

    def faults(self, instance: Any, path: Path, memory: Memory) -> Sequence[Fault]:
        """All that is wrong with ``instance``."""
        found: list[Fault] = []
        for kind, check in self.checks:
            if isinstance(instance, kind):
                found += check(instance, path, memory)
        if len(found) > FAULT_LIMIT:  # the best is one of those that are nearest to the root
            found = sorted(found, key=lambda fault: len(fault.path))[:FAULT_LIMIT]
        return found


class Site(namedtuple("Site", "document base keyword schema path")):
    """Where a keyword stands: the schema around it, and the way to the schemas below and elsewhere.

    ``base`` is the address of the resource in ``document`` that it belongs to.
    """

    def node(self, schema: Any, *steps: str | int) -> Node:
        """The schema that stands below the keyword, by so many steps."""
        node: Node = self.document.compile(schema, self.path + steps, self.base)
        return node

    def beside(self, keyword: str) -> Site:
        """Where another keyword of the same schema stands, or would stand."""
        return self._replace(keyword=keyword, path=(*self.path[:-1], keyword))

    def refuse(self, message: str) -> NoReturn:
        raise SchemaError(message, self.path)

    def demand(self, is_right: bool, argument: Any, what: str) -> None:
        """Refuse the keyword's argument unless it is right."""
        if not is_right:
            self.refuse("must be %s, not %s" % (what, quote(argument)))

    def fault(
        self, instance: Any, path: Path, text: str, *arguments: Any, context: Sequence[Fault] = ()
    ) -> Sequence[Fault]:
        """One fault; ``text`` is a format for ``arguments``."""
        return [Fault(self, instance, path, (text, *arguments), context)]


def locate(path: Path, message: str) -> str:
    """``message`` behind the place that it is about, as in ``cameras[0].name: …``, in one line."""
    place = "".join("." + step if isinstance(step, str) and step.isidentifier() else "[%r]" % (step,) for step in path)
    text = short("%s: %s" % (place.lstrip("."), message) if place else message)
    return text if text.isprintable() else "".join([char if char.isprintable() else " " for char in text])


def quote(value: Any) -> str:
    """``value`` as a message about a schema shows it."""
    try:
        return short(repr(value))
    except ValueError:
        return "a number with too many digits"


def short(text: str) -> str:
    """``text``, without its middle if it is long."""
    if len(text) <= 2 * _QUOTE_LIMIT:
        return text
    return "%s ... %s" % (text[:_QUOTE_LIMIT], text[-_QUOTE_LIMIT:])
