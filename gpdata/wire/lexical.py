"""JSON as it was written: numbers keep their digits, objects keep every key, depth never meets Python's stack.

`json` and msgspec turn numbers into numbers and keep the last of two equal keys, and both recurse. Whatever
gpdata keeps as JSON text, and every value that does not fit its column, is read and written here.
"""

from __future__ import annotations

import json
import re
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeAlias, cast

from gpdata.wire.rejection import Rejected


class Verbatim(str):
    """JSON text that is written exactly as it stands: a number's digits."""

    __slots__ = ()


Object: TypeAlias = "tuple[tuple[str, Node], ...]"
"""A JSON object: its members in order, equal keys included."""

Node: TypeAlias = "bool | str | Verbatim | list[Node] | Object | None"
"""A JSON value; an array is a list."""

_SPACE = r"[ \t\r\n]*+"
# Only single characters repeat possessively: Python before 3.11.5 misreads a possessive group that can backtrack.
_CHARS = r'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*+)*'
_KEY = rf'{_SPACE}"({_CHARS})"{_SPACE}:'
_VALUE = (
    rf'{_SPACE}(?:"({_CHARS})"|(-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)'
    rf"|(true|false|null|NaN|-?Infinity)|([\[{{]))(?:{_SPACE}([,\]}}]))?"
)
_CUT_OFF = re.compile(
    rf'(?:{_KEY})?{_SPACE}(?:"{_CHARS}(?:\\(?:u[0-9A-Fa-f]{{0,3}})?)?'
    r"|-?(?:0|[1-9][0-9]*+)(?:\.|(?:\.[0-9]++)?[eE][+-]?)|-(?:I(?:n(?:f(?:i(?:n(?:it?)?)?)?)?)?)?"
    r"|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|Na?|I(?:n(?:f(?:i(?:n(?:it?)?)?)?)?)?)?"
    rf'|{_SPACE}"{_CHARS}"{_SPACE}'
)
"""What can stand before the end of a line that was cut off inside a member or an item."""

_MEMBER = re.compile(_KEY + _VALUE)
_ITEM = re.compile("()" + _VALUE)
_KEY_ALONE = re.compile(_KEY)
_AFTER = re.compile(rf"{_SPACE}([,\]}}])")
_WORDS: dict[str, Node] = {"true": True, "false": False, "null": None}
_TEXTS = {True: "true", False: "false", None: "null"}
_SURROGATE = re.compile("[\ud800-\udfff]")

_encode = json.encoder.encode_basestring


def check(text: str, depth: int) -> None:
    """Raise what `parse` raises, in the memory of the text alone: a line that breaks off can be very long.

    Examples
    --------
    >>> check('{"a": [1, 2', depth=2)
    Traceback (most recent call last):
    ...
    gpdata.wire.rejection.Rejected: torn: the line ends after 11 characters, where ',' or ']' was due
    """
    _read(text, depth, build=False)


def parse(text: str, depth: int) -> Node:
    """Read one JSON value without losing a digit or a key.

    Parameters
    ----------
    text : str
        The JSON text. Bare `NaN`, `Infinity` and `-Infinity`, which Python writes, are read as the strings
        of that name, which Clojush writes.
    depth : int
        The most arrays and objects that may be open at once.

    Returns
    -------
    Node
        Numbers are `Verbatim`, arrays lists, objects tuples of members.

    Raises
    ------
    Rejected
        `torn`, `not_json` or `too_deep`.

    Examples
    --------
    >>> parse('{"a": 1.0E101, "a": [12345678901234567890]}', depth=2)
    (('a', '1.0E101'), ('a', ['12345678901234567890']))
    """
    return _read(text, depth, build=True)


def _read(text: str, depth: int, *, build: bool) -> Node:
    """Read one JSON value, or only look whether it is one."""
    items: list[Any] = []  # of the innermost array or object that is open
    in_object = False
    stack: list[tuple[list[Any], bool, str]] = []
    position = 0
    while True:
        start = position
        match = (_MEMBER if in_object else _ITEM).match(text, start)
        if match is None:
            raise _no_value(text, start, in_object)
        key, chars, number, word, bracket, after = match.groups()
        position = match.end()
        if bracket is not None:
            if len(stack) == depth:
                raise Rejected("too_deep", f"over {depth} arrays and objects are open at character {position}")
            stack.append((items, in_object, key))
            items, in_object = [], bracket == "{"
            if after is None:
                continue
            if after == ",":
                raise _rejected(text, position - 1, start, "a value")
        elif build:
            node: Node
            if chars is not None:
                node = unescape(chars)
            elif number is not None:
                node = Verbatim(number)
            else:
                node = _WORDS.get(word, word)
            items.append((unescape(key), node) if in_object else node)
        while after != ",":
            if not stack:
                if after is None and not text[position:].strip(" \t\r\n"):
                    return cast(Node, items[0]) if build else None
                raise _rejected(text, position - len(after or ""), start, "the end of the line")
            closer = "}" if in_object else "]"
            if after != closer:
                raise _rejected(text, position - len(after or ""), start, f"',' or '{closer}'")
            node = tuple(items) if in_object else items
            items, in_object, key = stack.pop()
            if build:
                items.append((unescape(key), node) if in_object else node)
            start = position
            closed = _AFTER.match(text, position) if stack else None
            after = closed and closed[1]
            position = closed.end() if closed else position
        if not stack:
            raise _rejected(text, position - 1, start, "the end of the line")


def _no_value(text: str, start: int, in_object: bool) -> Rejected:
    key = _KEY_ALONE.match(text, start)
    if in_object and key is None:
        return _rejected(text, start, start, "a key and ':'")
    return _rejected(text, key.end() if in_object and key else start, start, "a value")


def _rejected(text: str, position: int, start: int, expected: str) -> Rejected:
    """Say what is wrong at `position`, in the member or item that begins at `start`."""
    if not text[position:].strip(" \t\r\n") or _CUT_OFF.fullmatch(text, start):
        return Rejected("torn", f"the line ends after {len(text)} characters, where {expected} was due")
    given = text[position : position + 20]
    return Rejected("not_json", f"{quote(given)} at character {position}; valid is {expected}")


def unescape(chars: str) -> str:
    """Return the string that stands between two quotation marks."""
    return str(json.loads(f'"{chars}"')) if "\\" in chars else chars


def quote(text: str) -> str:
    r"""Return a string as JSON text: non-ASCII as it is, lone surrogates (which UTF-8 cannot hold) escaped.

    Examples
    --------
    >>> quote('é "\ud800"')
    '"é \\"\\ud800\\""'
    """
    quoted = _encode(text)
    if text.isascii():
        return quoted
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def dump(node: Node, *, sort_keys: bool = False) -> str:
    """Write a node as compact JSON text, numbers as they were sent.

    Examples
    --------
    >>> dump(parse(' { "b" : 1.0E5, "a" : [ "é", NaN ] } ', depth=2), sort_keys=True)
    '{"a":["é","NaN"],"b":1.0E5}'
    """
    parts: list[str] = []
    todo: list[Node] = [node]
    while todo:
        item = todo.pop()
        if type(item) is Verbatim:
            parts.append(item)
        elif isinstance(item, str):
            parts.append(quote(item))
        elif isinstance(item, tuple):
            members = sorted(item, key=itemgetter(0)) if sort_keys else item
            todo.append(Verbatim("}"))
            for place in range(len(members) - 1, -1, -1):
                key, value = members[place]
                todo.append(value)
                todo.append(Verbatim(f"{',' if place else ''}{quote(key)}:"))
            todo.append(Verbatim("{"))
        elif isinstance(item, list):
            if all(map(isinstance, item, repeat(str))):  # most lists are of texts or numbers, and some are long
                texts = (text if type(text) is Verbatim else quote(text) for text in cast("list[str]", item))
                parts.append(f"[{','.join(texts)}]")
                continue
            todo.append(Verbatim("]"))
            for place in range(len(item) - 1, -1, -1):
                todo.append(item[place])
                if place:
                    todo.append(Verbatim(","))
            todo.append(Verbatim("["))
        else:
            parts.append(_TEXTS[item])
    return "".join(parts)
