"""Objects and arrays one level deep: each value stays the bytes it was sent as.

msgspec splits a level fast, but of two equal keys it keeps the last without a word. So what it returns is held
against the bytes, and where they hold more than that, or msgspec refuses, the level is read lexically. All bytes
here come from `without_space`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import contains

import msgspec
from msgspec import Raw

from gpdata.wire.lexical import Node, Object, check, dump, parse, quote

NULL = Raw(b"null")
EMPTY_LIST = Raw(b"[]")
DUPLICATE_KEYS = "duplicate_keys"
"""The flag of a generation, and the field of `extra`, where an object held equal keys."""

REFUSED = (msgspec.DecodeError, RecursionError)
"""What msgspec raises where the lexical reader has to look."""

_without_space = msgspec.json.format
_split_object = msgspec.json.Decoder(dict[str, Raw]).decode
_split_array = msgspec.json.Decoder(list[Raw]).decode
_split_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_KEY_END = b'":'
# A string that never ends is passed over whole, or each of its quotes would be tried as a beginning.
# A bare name that stands for a key is left, and refused: it is none of Python's.
_STRING_OR_BARE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)|(NaN|-?Infinity)(?!\s*:)', re.DOTALL)


class Members(msgspec.Struct, gc=False):
    """The members of one JSON object.

    Parameters
    ----------
    values : dict of str to Raw
        The value of each key; of equal keys the last, as every JSON reader has it.
    repeated : dict of str to list of Raw
        All values of each key that stands there more than once.
    """

    values: dict[str, Raw]
    repeated: dict[str, list[Raw]] = {}


def array_of(raws: Iterable[Raw]) -> bytes:
    """Return the JSON array of some values."""
    return b"[" + b",".join(raws) + b"]"


def quote_bare(data: bytes) -> bytes:
    """Turn the bare NaN, Infinity and -Infinity that Python writes into the strings that Clojush writes.

    Examples
    --------
    >>> quote_bare(b'[NaN, "NaN", -Infinity]')
    b'["NaN", "NaN", "-Infinity"]'
    """
    return _STRING_OR_BARE.sub(lambda found: b'"%b"' % found[1] if found[1] else found[0], data)


def without_space(text: bytes, depth: int) -> bytes:
    r"""Return JSON without the white space between its tokens, and without Python's bare names.

    Parameters
    ----------
    text : bytes
        JSON text.
    depth : int
        The most arrays and objects that may be open at once.

    Raises
    ------
    Rejected
        `torn`, `not_json` or `too_deep`.

    Examples
    --------
    >>> without_space(b'{ "a b" : [NaN, 1.0E5, "\\u0041"] }', depth=2)
    b'{"a b":["NaN",1.0E5,"\\u0041"]}'
    """
    for spelling in (bytes, quote_bare):
        try:
            return _without_space(spelling(text), indent=-1)
        except REFUSED:
            continue
    read = text_of(text)
    check(read, depth)  # first: what is no JSON is not held in memory piece by piece
    return dump(parse(read, depth)).encode()


def _held_once(raw: bytes | Raw, objects: Sequence[dict[str, Raw]], brackets: int) -> bool:
    """Whether the bytes of some objects hold no more members than msgspec returned.

    The members make up the whole length of the objects, where no key is escaped; a second equal key only adds to
    it. Otherwise the ends of keys are counted, inside the values too: strings that look like one are on both
    sides, and nothing can hide one.
    """
    if any(map(contains, objects, repeat(DUPLICATE_KEYS))):
        return False
    keys, values = chain.from_iterable(objects), chain.from_iterable(map(dict.values, objects))
    length = brackets + 4 * sum(map(len, objects)) + sum(map(len, keys)) + sum(map(len, values))
    if len(raw) == length:
        return True
    inner = array_of(value for values in objects for value in values.values())
    return bytes(raw).count(_KEY_END) == sum(map(len, objects)) + inner.count(_KEY_END)


def members(raw: bytes | Raw, depth: int) -> Members | None:
    """Split a JSON object into its members.

    Parameters
    ----------
    raw : bytes or Raw
        JSON text.
    depth : int
        The most arrays and objects that may be open at once.

    Returns
    -------
    Members or None
        None where the value is not an object.

    Raises
    ------
    Rejected
        `torn`, `not_json` or `too_deep`.

    Examples
    --------
    >>> members(b'{"a":1,"b":2,"a":3}', depth=1).repeated["a"]
    [...]
    """
    try:
        values = _split_object(raw)
        if _held_once(raw, [values], brackets=1):
            return Members(values)
    except REFUSED:
        pass
    node = parse(text_of(raw), depth)
    return _members(node) if isinstance(node, tuple) else None


def objects(raw: Raw, depth: int) -> list[Members | None] | None:
    """Split a JSON array of objects, as `members` does each; None where it is no array."""
    try:
        split = _split_objects(raw)
        if _held_once(raw, split, brackets=2 * len(split) + 1):
            return [Members(values) for values in split]
    except REFUSED:
        pass
    try:
        return [members(item, depth - 1) for item in _split_array(raw)]
    except REFUSED:
        node = parse(text_of(raw), depth)
    if not isinstance(node, list):
        return None
    return [_members(item) if isinstance(item, tuple) else None for item in node]


def _members(node: Object) -> Members:
    last, repeated = grouped(node)
    return Members(
        {key: raw_of(value) for key, value in last.items()},
        {key: [raw_of(value) for value in values] for key, values in repeated.items()},
    )


def grouped(node: Object) -> tuple[dict[str, Node], dict[str, list[Node]]]:
    """Return the last value of each key, and all values of the keys that stand there more than once.

    A key that is itself spelled `duplicate_keys` counts as repeated, so that it cannot be mistaken for ours.
    """
    last = dict(node)
    if len(last) == len(node) and DUPLICATE_KEYS not in last:
        return last, {}
    every: dict[str, list[Node]] = {}
    for key, value in node:
        every.setdefault(key, []).append(value)
    return last, {key: values for key, values in every.items() if len(values) > 1 or key == DUPLICATE_KEYS}


def raw_of(node: Node) -> Raw:
    """Return a node as the bytes that `compact` would give."""
    return Raw(dump(node).encode())


def text_of(raw: bytes | Raw) -> str:
    """Return JSON bytes, known to be UTF-8, as text."""
    return str(raw, "utf-8")


def compact(raw: Raw, depth: int) -> str:
    r"""Return a value as JSON text with escapes only where they are needed, and digits as sent.

    Examples
    --------
    >>> compact(Raw(b'[1.0E5,"\\u0041"]'), depth=1)
    '[1.0E5,"A"]'
    """
    text = text_of(raw)
    if "\\" not in text and text.count("[") + text.count("{") <= depth:
        return text
    return dump(parse(text, depth))


def object_text(fields: Mapping[str, str]) -> str:
    """Return the JSON object of some JSON texts, keys sorted."""
    return "{" + ",".join(f"{quote(key)}:{fields[key]}" for key in sorted(fields)) + "}"


def duplicates_text(repeated: Mapping[str, list[str]]) -> str:
    """Return the JSON object that lists every value of each repeated key."""
    return object_text({key: f"[{','.join(values)}]" for key, values in repeated.items()})
