"""Genomes read at once by msgspec; refused where that would lose something."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

from gpdata.wire.columns import MINUS_ZERO, FloatText, json_texts
from gpdata.wire.genes import ATTRIBUTES, CODE_OF, JSON, Genomes, attribute, type_names
from gpdata.wire.lists import Unfit
from gpdata.wire.members import array_of


class _Gene(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="kebab"):
    instruction: Any = UNSET
    close: int | UnsetType = UNSET
    silent: bool | UnsetType = UNSET
    uuid: str | UnsetType = UNSET
    parent_uuid: str | UnsetType | None = UNSET
    random_insertion: bool | UnsetType = UNSET


_GETTERS = {name: attrgetter(name.replace("-", "_")) for name in ("instruction", *ATTRIBUTES)}
_read_objects = msgspec.json.Decoder(list[list[_Gene] | None], float_hook=FloatText).decode
_read_bare = msgspec.json.Decoder(list[list[Any] | None], float_hook=FloatText).decode
_ESCAPED_LETTERS = (b"\\u002d", b"\\u002D", b"\\u006", b"\\u007")


def typed_genomes(raws: Sequence[Raw]) -> Genomes:
    """Read the genome of each individual, or raise one of `UNREAD`."""
    joined = array_of(raws)
    if MINUS_ZERO.search(joined):
        raise Unfit
    try:
        return _objects(joined)
    except msgspec.ValidationError:
        return _bare(joined)


def _objects(joined: bytes) -> Genomes:
    """Read genomes of objects; refuse where a gene holds equal keys, of which msgspec hides all but the last.

    A second key makes the bytes longer than compact JSON of what was read, one more byte for each escape allowed.
    Longer escapes do so too: then the keys are counted.
    """
    lists = _read_objects(joined)
    genes: list[_Gene] = list(chain.from_iterable(filter(None, lists)))
    sizes = [None if genes is None else len(genes) for genes in lists]
    first = {name for name, get in _GETTERS.items() if genes and get(genes[0]) is not UNSET}
    escapes = joined.count(b"\\") - joined.count(b"\\\\") if b"\\" in joined else 0
    for names in (first, set(_GETTERS)):
        genomes = _gathered(sizes, genes, names)
        if genomes.compact_length() + escapes == len(joined):
            return genomes
    _count_keys(joined, genomes)
    return genomes


def _gathered(sizes: list[int | None], genes: list[_Gene], names: set[str]) -> Genomes:
    """Put the named attributes of all genes end to end."""
    values = {name: list(map(_GETTERS[name], genes)) for name in names}
    return Genomes(
        sizes,
        *_instructions(values.get("instruction") or [UNSET] * len(genes)),
        {name: attribute(values.get(name), len(genes), kind.arrow) for name, kind in ATTRIBUTES.items()},
    )


def _count_keys(joined: bytes, genomes: Genomes) -> None:
    """Refuse unless each key stands in the bytes as often as genes have it.

    Inside a string quotation marks are escaped, so `"close":` is a key, unless it is spelled otherwise.
    """
    if any(letter in joined for letter in _ESCAPED_LETTERS):
        raise Unfit
    if any(joined.count(f'"{name}":'.encode()) != sent for name, sent in genomes.sent().items()):
        raise Unfit


def _bare(joined: bytes) -> Genomes:
    lists = _read_bare(joined)
    values = list(chain.from_iterable(filter(None, lists)))
    return Genomes(
        [None if genes is None else len(genes) for genes in lists],
        *_instructions(values),
        {name: attribute(None, len(values), kind.arrow) for name, kind in ATTRIBUTES.items()},
    )


def _instructions(values: list[Any]) -> tuple[pa.Array, pa.Array]:
    """Return the texts and the JSON types of what msgspec read."""
    kinds = list(map(type, values))
    codes = np.frombuffer(bytes(map(CODE_OF.__getitem__, kinds)), dtype=np.uint8)
    if JSON in codes:
        raise Unfit
    texts = json_texts()
    for place in np.flatnonzero(codes).tolist():
        kind, value = kinds[place], values[place]
        if kind is not FloatText:
            values[place] = None if value is UNSET else texts[kind][value]
    return pa.array(values, pa.string()), type_names(pa.array(codes))
