"""The values of one field, over all individuals, as an Arrow column.

msgspec reads a whole column at once. Where it refuses, or the bytes say that a value would be changed, each value
is read lexically: what fits goes into the column, and the places of the values that do not are returned.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from gpdata.wire.lexical import Node, Verbatim, dump, parse, quote
from gpdata.wire.lists import BARE, Unfit, cut
from gpdata.wire.members import REFUSED, array_of, compact, text_of
from gpdata.wire.values import LARGEST_EXACT, number, utf8

MINUS_ZERO = re.compile(rb"-0(?<=[\[,:]-0)(?![.0-9eE])")
"""An integer `-0`, whose sign no Python int can keep."""

_INT32 = range(-(2**31), 2**31)
_LONG_INT = re.compile(rb"[\[,]-?[0-9]{16,}[,\]]")

_Double = float | Literal["NaN", "Infinity", "-Infinity"] | None


class FloatText(str):
    """The digits of a number with a fraction or an exponent, as sent: what msgspec's `float_hook` makes."""

    __slots__ = ()


UNREAD = (*REFUSED, Unfit, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)
"""What a typed reader raises where the lexical one has to look."""


class _Texts(dict[Any, str]):
    """JSON texts by value, each made once."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: object) -> str:
        text = self[value] = self._make(value)
        return text


def json_texts() -> dict[type, dict[Any, str]]:
    """Return the JSON text of what msgspec can read, by type and value; `FloatText` is its own."""
    return {
        str: _Texts(quote),
        int: _Texts(str),
        bool: {True: "true", False: "false"},
        type(None): {None: "null"},
    }


class Kind(ABC):
    """How the values of one Arrow type are read."""

    arrow: pa.DataType

    def read(self, raws: Sequence[Raw], depth: int) -> tuple[pa.Array, Collection[int]]:
        """Read one field of some objects.

        Parameters
        ----------
        raws : sequence of Raw
            The value of each object, `NULL` where it has none.
        depth : int
            The most arrays and objects that may be open in a value.

        Returns
        -------
        array : pyarrow.Array
            As long as `raws`; null where a value is null or does not fit.
        unfit : collection of int
            The places of the values that the column does not hold as they were sent.

        Raises
        ------
        Rejected
            `too_deep`.

        Examples
        --------
        >>> array, unfit = DOUBLE.read([Raw(b"1"), Raw(b'"NaN"'), Raw(b'"1"'), Raw(b"1e999")], depth=8)
        >>> array.to_pylist(), sorted(unfit)
        ([1.0, nan, None, None], [2, 3])
        """
        try:
            return self.at_once(raws), ()
        except UNREAD:
            pass
        if len(raws) < 2:
            read = [self._one(raw, depth) for raw in raws]
            return pa.array([value for value, _ in read], self.arrow), [0] if read and not read[0][1] else []
        half = len(raws) // 2
        left, left_unfit = self.read(raws[:half], depth)
        right, right_unfit = self.read(raws[half:], depth)
        return pa.concat_arrays([left, right]), [*left_unfit, *(place + half for place in right_unfit)]

    def _one(self, raw: Raw, depth: int) -> tuple[Any, bool]:
        return self.lexical(parse(text_of(raw), depth))

    def at_once(self, raws: Sequence[Raw]) -> pa.Array:
        """Read the values of many objects at once, or raise one of `UNREAD`."""
        return self.typed(array_of(raws))

    @abstractmethod
    def typed(self, joined: bytes) -> pa.Array:
        """Read a JSON array of values at once, or raise one of `UNREAD`."""

    @abstractmethod
    def lexical(self, node: Node) -> tuple[Any, bool]:
        """Return a value for the column, and whether it says all that was sent."""


def _exact(joined: bytes, numbers: pa.Array) -> pa.Array:
    """Return the numbers if none can be a long integer that lost digits."""
    values = numbers.to_numpy(zero_copy_only=False)
    if (np.isfinite(values) & (np.abs(values) >= LARGEST_EXACT)).any() and _LONG_INT.search(joined):
        raise Unfit
    return numbers


class _Text(Kind):
    arrow = pa.string()
    _decode = msgspec.json.Decoder(list[str | None]).decode

    def typed(self, joined: bytes) -> pa.Array:
        return pa.array(self._decode(joined), self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        return utf8(node) if type(node) is str else (None, node is None)


class _TextLists(Kind):
    arrow = pa.list_(pa.string())
    _decode = msgspec.json.Decoder(list[list[str] | None]).decode

    def typed(self, joined: bytes) -> pa.Array:
        return pa.array(self._decode(joined), self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        if not isinstance(node, list):
            return None, node is None
        texts = [utf8(item) for item in node if type(item) is str]
        if len(texts) < len(node):
            return None, False
        return [text for text, _ in texts], all(fits for _, fits in texts)


class _TextOrTexts(_TextLists):
    _either = msgspec.json.Decoder(list[str | list[str] | None]).decode

    def typed(self, joined: bytes) -> pa.Array:
        values = self._either(joined)
        return pa.array([[value] if type(value) is str else value for value in values], self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        return super().lexical([node] if type(node) is str else node)


class _DoubleColumn(Kind):
    arrow = pa.float64()
    _decode = msgspec.json.Decoder(list[_Double]).decode

    def typed(self, joined: bytes) -> pa.Array:
        values = self._decode(joined)
        if b'"' in joined:
            values = [float(value) if type(value) is str else value for value in values]
        return _exact(joined, pa.array(values, self.arrow))

    def lexical(self, node: Node) -> tuple[Any, bool]:
        return number(node)


class _Doubles(Kind):
    arrow = pa.list_(pa.float64())
    _decode = msgspec.json.Decoder(list[list[_Double] | None]).decode

    def at_once(self, raws: Sequence[Raw]) -> pa.Array:
        joined = array_of(raws)
        if b'"' not in joined and not (b"-0" in joined and MINUS_ZERO.search(joined)):
            try:
                return self._cast(raws, joined)
            except UNREAD:
                pass
        return self.typed(joined)

    def _cast(self, raws: Sequence[Raw], joined: bytes) -> pa.Array:
        """Read lists of numbers; any other item is none that Arrow casts."""
        lists = cut(raws)
        numbers = _exact(joined, pc.utf8_rtrim(lists.texts, "],[").cast(pa.float64()))
        if not np.isfinite(numbers.to_numpy()).all():
            raise Unfit
        return lists.lists(numbers)

    def typed(self, joined: bytes) -> pa.Array:
        values = self._decode(joined)
        if b'"' in joined:
            values = [row and [float(value) if type(value) is str else value for value in row] for row in values]
        lists = pa.array(values, self.arrow)
        _exact(joined, lists.values)
        return lists

    def lexical(self, node: Node) -> tuple[Any, bool]:
        if not isinstance(node, list):
            return None, node is None
        numbers = [number(item) for item in node]
        return [value for value, _ in numbers], all(fits for _, fits in numbers)


class _Int(Kind):
    arrow = pa.int32()
    _decode = msgspec.json.Decoder(list[int | None]).decode

    def typed(self, joined: bytes) -> pa.Array:
        return pa.array(self._decode(joined), self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        if type(node) is Verbatim:
            value, exact = number(node)
            if exact and value is not None and value.is_integer() and int(value) in _INT32:
                return int(value), True
        return None, node is None


class _Bool(Kind):
    arrow = pa.bool_()
    _decode = msgspec.json.Decoder(list[bool | None]).decode

    def typed(self, joined: bytes) -> pa.Array:
        return pa.array(self._decode(joined), self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        return (node, True) if type(node) is bool else (None, node is None)


class _Program(_Text):
    """Text as sent, any other JSON as JSON text."""

    def _one(self, raw: Raw, depth: int) -> tuple[Any, bool]:
        text = compact(raw, depth)
        return (text, True) if text[0] not in '"n' else super()._one(raw, depth)


class _JsonTexts(Kind):
    """A list of any values, each as JSON text."""

    arrow = pa.list_(pa.string())
    _decode = msgspec.json.Decoder(list[list[Any] | None], float_hook=FloatText).decode

    def at_once(self, raws: Sequence[Raw]) -> pa.Array:
        try:
            lists = cut(raws)
            distinct, places = lists.coded()
            texts = self.typed(f"[{BARE.joined(distinct)}]".encode()).values
            if len(texts) == len(distinct):
                return lists.lists(texts.take(places))
        except UNREAD:
            pass
        return self.typed(array_of(raws))

    def typed(self, joined: bytes) -> pa.Array:
        if MINUS_ZERO.search(joined):
            raise Unfit
        texts = json_texts()
        try:
            rows = [
                row and [item if type(item) is FloatText else texts[type(item)][item] for item in row]
                for row in self._decode(joined)
            ]
        except KeyError:  # an array or an object
            raise Unfit from None
        return pa.array(rows, self.arrow)

    def lexical(self, node: Node) -> tuple[Any, bool]:
        if not isinstance(node, list):
            return None, node is None
        return [dump(item) for item in node], True


TEXT = _Text()
TEXTS = _TextLists()
TEXT_OR_TEXTS = _TextOrTexts()
DOUBLE = _DoubleColumn()
DOUBLES = _Doubles()
INT = _Int()
BOOL = _Bool()
PROGRAM = _Program()
JSON_TEXTS = _JsonTexts()
