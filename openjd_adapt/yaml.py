"""YAML as job templates embed it: what PyYAML's ``safe_load`` reads, without anchors, tags and the like.

A value is equal to PyYAML's or the text is refused; nothing is guessed. What is meant to differ: a timestamp stays
text, and refused are duplicate keys, what the format has beyond data (anchors, aliases, tags, directives, several
documents, complex keys, merge keys, ``=``), more than 100 levels and numbers of more than 1,000 characters. Some of
PyYAML's rules are not those of the specification: plain text ends at a tab, a block scalar may begin in its key's
column, quotes and flow collections may go on without indentation.
"""

from __future__ import annotations

from .scanner import IN_BLOCK, IN_FLOW, KEY_LIMIT, KEY_TOO_LONG, Scanner, YAMLDecodeError as YAMLDecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .scalars import Scalar

#: How deep collections may be nested.
DEPTH_LIMIT = 100

_CLOSING = {"[": "]", "{": "}"}


def loads(text: str) -> Any:
    """The value of the one document in ``text``, None if it is empty. Raises :class:`YAMLDecodeError`.

    Source: YAML 1.1, and PyYAML where that differs.
    """
    scan = Scanner(text)
    scan.next()
    new_line = True
    if scan.at_marker("---"):
        new_line = scan.skip(3)
    elif scan.at_marker("..."):
        scan.refuse("a document cannot begin with its end")
    value = _block_node(scan, -1, 0, new_line) if scan.char else None
    if scan.char:
        scan.refuse("this belongs to nothing before it; is its indentation right?")
    while scan.at_marker("..."):
        scan.skip(3)
    if scan.at < len(text):
        scan.refuse("several documents are not supported")
    return value


def _block_node(scan: Scanner, indent: int, depth: int, new_line: bool) -> Any:
    """The node here, in a collection whose items stand at the column ``indent``; then go to the token behind it.

    ``new_line`` says whether a block collection may begin here, as it may not behind a key on the same line.
    """
    char, begin, line_begin, column = scan.char, scan.at, scan.line_begin, scan.column
    if scan.at_item():
        if not new_line:
            scan.refuse("a sequence cannot begin on the line of its key")
        return _sequence(scan, column, depth, False)
    value: Any
    if char in "|>":
        value = scan.block_scalar(indent)
    elif char in "[{":
        value = _flow_collection(scan, depth)
        if scan.at_colon():
            scan.refuse("complex keys are not supported", begin)
    else:
        value = scan.quoted() if char in "'\"" else scan.plain_line(IN_BLOCK)
        if scan.colon(begin, line_begin):
            if not new_line:
                scan.refuse(_TWO_COLONS, begin)
            return _mapping(scan, column, value if char in "'\"" else scan.resolve(value, begin), begin, depth)
        if char not in "'\"":
            value = scan.resolve(scan.plain_rest(value, IN_BLOCK, indent + 1), begin)
    if not scan.next() and scan.char:
        if scan.char != ":":
            scan.refuse("there is more behind the value; put quotes around all of it")
        scan.refuse("a blank is missing behind this colon" if scan.line_begin == line_begin else _KEY_OF_LINES)
    return value


_TWO_COLONS = "a mapping cannot begin on the line of its key; if this is text, put quotes around all of it"
_KEY_OF_LINES = (
    "a key cannot go on from an earlier line; is the indentation right, and is there a blank behind each colon?"
)


def _mapping(scan: Scanner, column: int, key: Scalar, begin: int, depth: int) -> dict[Scalar, Any]:
    """The block mapping at ``column`` whose first key, which begins at ``begin``, was read with its colon."""
    _check_depth(scan, depth, begin)
    mapping: dict[Scalar, Any] = {}
    while True:
        _check_key(scan, key, mapping, begin)
        new_line = scan.next()
        if _is_below(scan, column):
            mapping[key] = _block_node(scan, column, depth + 1, new_line)
        elif scan.column == column and scan.at_item():
            mapping[key] = _sequence(scan, column, depth + 1, True)
        else:
            mapping[key] = None
        if scan.column < column:
            return mapping
        if scan.column > column:
            scan.refuse("this is indented further than the mapping that it would belong to")
        begin, line_begin = scan.at, scan.line_begin
        key = scan.quoted() if scan.char in "'\"" else scan.resolve(scan.plain_line(IN_BLOCK), begin)
        if not scan.colon(begin, line_begin):
            scan.refuse("a key must be followed by a colon and a blank, on its line", begin)


def _sequence(scan: Scanner, column: int, depth: int, in_mapping: bool) -> list[Any]:
    """The block sequence at ``column``, where, if it is ``in_mapping``, that mapping's keys may stand, too."""
    _check_depth(scan, depth, scan.at)
    items = []
    while True:
        scan.skip(1)
        items.append(_block_node(scan, column, depth + 1, True) if _is_below(scan, column) else None)
        if scan.column < column or (in_mapping and scan.column == column and not scan.at_item()):
            return items
        if scan.column > column:
            scan.refuse("this is indented further than the sequence that it would belong to")
        if not scan.at_item():
            scan.refuse("an item of a sequence must begin with - and a blank")


def _is_below(scan: Scanner, column: int) -> bool:
    """Whether what stands here is the value of the key or item at ``column``."""
    return scan.column > column or (scan.column == column and scan.char in ("|", ">"))


def _flow_collection(scan: Scanner, depth: int) -> Any:
    """The ``[…]`` or ``{…}`` here; then stand right behind it."""
    begin = scan.at
    _check_depth(scan, depth, begin)
    closing = _CLOSING[scan.char]
    items: list[Any] = []
    mapping: dict[Scalar, Any] = {}
    scan.skip(1)
    while scan.char != closing:
        item_begin, line_begin = scan.at, scan.line_begin
        item = _flow_node(scan, depth)
        value = None
        if scan.char == ":":
            if scan.line_begin != line_begin:
                scan.refuse("a key and its colon must stand on one line")
            if scan.at - item_begin > KEY_LIMIT:
                scan.refuse(KEY_TOO_LONG, item_begin)
            scan.skip(1)
            value = None if scan.char in (",", closing) else _flow_node(scan, depth)
            if closing == "]":
                _check_key(scan, item, {}, item_begin)
                item = {item: value}
        if closing == "]":
            items.append(item)
        else:
            _check_key(scan, item, mapping, item_begin)
            mapping[item] = value
        if scan.char == ",":
            scan.skip(1)
        elif not scan.char:
            scan.refuse("this is not closed by a %s" % closing, begin)
        elif scan.char == "?":
            scan.refuse("put quotes around text with a ? within [] or {}")
        elif scan.char != closing:
            scan.refuse("a comma or %s is missing before this" % closing)
    scan.at += 1
    return items if closing == "]" else mapping


def _flow_node(scan: Scanner, depth: int) -> Any:
    """The node here, in a flow collection; then go to the token behind it."""
    value: Any
    if scan.char in ("[", "{"):
        value = _flow_collection(scan, depth + 1)
    elif scan.char in ("'", '"'):
        value = scan.quoted()
    else:
        begin = scan.at
        value = scan.resolve(scan.plain_rest(scan.plain_line(IN_FLOW), IN_FLOW, 0), begin)
    scan.next()
    return value


def _check_depth(scan: Scanner, depth: int, begin: int) -> None:
    """Refuse the collection that begins there, in ``depth`` others, if it is one too many."""
    if depth >= DEPTH_LIMIT:
        scan.refuse("more than %d levels are not supported" % DEPTH_LIMIT, begin)


def _check_key(scan: Scanner, key: Any, mapping: dict[Scalar, Any], begin: int) -> None:
    if isinstance(key, (list, dict)):
        scan.refuse(
            "complex keys are not supported; put quotes around text that begins with %s" % scan.text[begin], begin
        )
    if key in mapping:
        scan.refuse("the key %r stands twice in one mapping" % (key,), begin)
