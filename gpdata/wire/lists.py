"""Lists of many objects, cut into the texts of their items without a copy.

A cut may go through a string or an inner array. So whoever cuts reads each distinct text once more, joined as
they were cut: only where every cut is one between two items are there as many items as texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Raw


class Unfit(Exception):
    """Raised where a column, read at once, would change a value."""


@dataclass(frozen=True, slots=True)
class Brackets:
    """How a list that is not empty begins and ends, and what stands between two items."""

    opening: str
    closing: str
    between: str

    def joined(self, items: Sequence[str]) -> str:
        """Return the list of some items."""
        return f"{self.opening}{self.between.join(items)}{self.closing}"

    def trimmed(self, text: str) -> str:
        """Return the item that a text begins with."""
        for tail in (f"{self.closing},{self.opening}", self.between, self.closing):
            if text.endswith(tail):
                break
        return text[: -len(tail)]


BARE = Brackets("[", "]", ",")
OBJECTS = Brackets("[{", "}]", "},{")
"""Lists of objects, without the braces of each."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Some lists, cut.

    Parameters
    ----------
    brackets : Brackets
        How they were cut.
    sizes : int64 array
        The number of texts of each list, 0 for null.
    missing : bool array
        Which lists are null.
    texts : pyarrow.StringArray
        All items; behind each what stands between it and the next one.
    """

    brackets: Brackets
    sizes: npt.NDArray[np.int64]
    missing: npt.NDArray[np.bool_]
    texts: pa.StringArray

    def lists(self, items: pa.Array) -> pa.ListArray:
        """Return the lists of some items, one for each text."""
        return list_array(self.sizes, self.missing, items)

    def coded(self) -> tuple[list[str], pa.Array]:
        """Return the distinct items, and the place of each item there; refuse where reading all is as quick."""
        encoded = self.texts.dictionary_encode()
        if 2 * len(encoded.dictionary) > len(encoded):
            raise Unfit
        return [self.brackets.trimmed(text) for text in encoded.dictionary.to_pylist()], encoded.indices


def list_array(sizes: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_], items: pa.Array) -> pa.ListArray:
    """Return lists of the given sizes, null where missing."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items, mask=pa.array(missing) if missing.any() else None)


def cut(raws: Sequence[Raw], brackets: Brackets = BARE) -> Cut:
    """Cut lists between their items.

    Parameters
    ----------
    raws : sequence of Raw
        JSON without white space: lists or null.
    brackets : Brackets, optional
        How to cut them.

    Raises
    ------
    Unfit
        A value is neither null nor a list of that kind.

    Examples
    --------
    >>> found = cut([Raw(b"[7,7,7,2.50]"), Raw(b"null"), Raw(b"[]")])
    >>> items, places = found.coded()
    >>> found.lists(pa.array(items).take(places)).to_pylist()
    [['7', '7', '7', '2.50'], None, []]
    """
    lengths = np.fromiter(map(len, raws), dtype=np.int64, count=len(raws))
    joined = b"".join(raws)
    first = np.frombuffer(joined, np.uint8)[np.cumsum(lengths) - lengths]
    missing = (lengths == len("null")) & (first == ord("n"))
    filled = ~(missing | (lengths == len("[]")) & (first == ord("[")))
    sizes = np.zeros(len(raws), dtype=np.int64)
    if not filled.any():
        return Cut(brackets, sizes, missing, pa.array([], pa.string()))
    texts, sizes[filled] = _texts(b",".join(compress(raws, filled)), lengths[filled], brackets)
    return Cut(brackets, sizes, missing, texts)


def _texts(
    joined: bytes, lengths: npt.NDArray[np.int64], brackets: Brackets
) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """Return the texts of lists that stand end to end, a comma between two, and the number of each one's."""
    data = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(lengths + 1) - 1
    width = len(brackets.opening)
    if lengths.min() < 2 * width:
        raise Unfit
    for place, letter in enumerate(brackets.opening):
        if (data[ends - lengths + place] != ord(letter)).any():
            raise Unfit
    for place, letter in enumerate(reversed(brackets.closing), start=1):
        if (data[ends - place] != ord(letter)).any():
            raise Unfit
    commas = np.flatnonzero(data == ord(","))
    of_lists = np.zeros(len(commas), dtype=bool)
    of_lists[np.searchsorted(commas, ends[:-1])] = True
    before, _, behind = brackets.between.rpartition(",")
    if before:
        between = (data[commas - 1] == ord(before)) & (data[commas + 1] == ord(behind))
        commas, of_lists = commas[between | of_lists], of_lists[between | of_lists]
    offsets = np.empty(len(commas) + 2, dtype=np.int32)
    offsets[0], offsets[-1] = width, len(joined)
    offsets[1:-1] = commas + width + of_lists
    texts = pa.StringArray.from_buffers(len(commas) + 1, pa.py_buffer(offsets), pa.py_buffer(joined))
    return texts, np.diff(np.flatnonzero(of_lists), prepend=-1, append=len(commas))
