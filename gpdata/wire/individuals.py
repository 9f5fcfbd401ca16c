"""Individuals: their columns, and `extra` for whatever no column holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from gpdata.schema import INDIVIDUALS, Type
from gpdata.wire.columns import (
    BOOL,
    DOUBLE,
    DOUBLES,
    INT,
    JSON_TEXTS,
    PROGRAM,
    TEXT,
    TEXT_OR_TEXTS,
    TEXTS,
    Kind,
)
from gpdata.wire.genome import read_genomes
from gpdata.wire.members import (
    DUPLICATE_KEYS,
    EMPTY_LIST,
    NULL,
    Members,
    compact,
    duplicates_text,
    object_text,
)

DROPPED = frozenset({"history", "ancestors", "reuse-info", "repetition-info"})
"""Fields without a column of which null and [] say nothing."""

_BY_TYPE: dict[Type, Kind] = {
    Type.STRING: TEXT,
    Type.STRINGS: TEXTS,
    Type.DOUBLE: DOUBLE,
    Type.DOUBLES: DOUBLES,
    Type.INT: INT,
    Type.BOOL: BOOL,
}
_BY_NAME: dict[str, Kind] = {
    "genetic_operators": TEXT_OR_TEXTS,
    "behaviors": JSON_TEXTS,
    "program": PROGRAM,
}
_GENOME = tuple(name for name in INDIVIDUALS.names if name.startswith("gene_"))
_KIND_OF = {
    column.name.replace("_", "-"): _BY_NAME.get(column.name, _BY_TYPE[column.type])
    for column in INDIVIDUALS.columns
    if column.name not in {*INDIVIDUALS.key, "extra", *_GENOME}
}
COLUMNS_OF = {field: (field.replace("-", "_"),) for field in _KIND_OF} | {"genome": _GENOME}
"""The columns of each field of the wire that has any."""


@dataclass(slots=True)
class Individuals:
    """Some individuals as columns.

    Parameters
    ----------
    members : sequence of Members
        The individuals as sent.
    columns : dict of str to pyarrow.Array
        Every column of INDIVIDUALS but the key and `extra`.
    left : list of dict
        For each individual the JSON texts that `extra` holds, by field.
    unfit, duplicates : bool
        Whether a value of any did not fit its column, and whether any, or a gene, held equal keys.
    """

    members: Sequence[Members]
    columns: dict[str, pa.Array]
    left: list[dict[str, str]]
    unfit: bool
    duplicates: bool

    def genomes_left(self, size: int) -> dict[int, str]:
        """Return what no column holds of the genomes of the first `size` individuals, by place."""
        return {place: left["genome"] for place, left in enumerate(self.left[:size]) if "genome" in left}

    def extra(self) -> list[str | None]:
        """Return `extra` of each individual."""
        return [object_text(left) if left else None for left in self.left]


def read_individuals(individuals: Sequence[Members], depth: int) -> Individuals:
    """Turn individuals into columns.

    Parameters
    ----------
    individuals : sequence of Members
        The individuals.
    depth : int
        The most arrays and objects that may be open in a field.

    Returns
    -------
    Individuals
        In the order given.

    Raises
    ------
    Rejected
        `too_deep`.
    """
    left: list[dict[str, str]] = [{} for _ in individuals]
    unfit = False
    sent = set(chain.from_iterable({tuple(individual.values) for individual in individuals}))

    def keep(place: int, field: str) -> None:
        left[place][field] = compact(individuals[place].values[field], depth)

    def raws(field: str) -> list[Raw]:
        return [individual.values.get(field, NULL) for individual in individuals]

    columns: dict[str, pa.Array] = {}
    for field, kind in _KIND_OF.items():
        name = COLUMNS_OF[field][0]
        if field not in sent:
            columns[name] = pa.nulls(len(individuals), kind.arrow)
            continue
        columns[name], places = kind.read(raws(field), depth)
        for place in places:
            keep(place, field)
            unfit = True

    genomes = read_genomes(raws("genome"), depth)
    unfit |= genomes.unfit
    for place, text in genomes.left.items():
        left[place]["genome"] = text
    given = columns["genome_size"]
    columns |= genomes.columns()
    counted = columns["genome_size"]
    if given.null_count < len(given):
        for place in pc.indices_nonzero(pc.fill_null(pc.not_equal(given, counted), False)).to_pylist():
            keep(place, "genome-size")
            unfit = True
        columns["genome_size"] = pc.coalesce(counted, given)

    for field in sent - COLUMNS_OF.keys():
        for place, raw in enumerate(raws(field)):
            if field in DROPPED and raw in (NULL, EMPTY_LIST):
                continue
            if field in individuals[place].values:
                keep(place, field)

    duplicates = genomes.duplicates
    for place, individual in enumerate(individuals):
        if individual.repeated:
            duplicates = True
            left[place][DUPLICATE_KEYS] = duplicates_text(
                {key: [compact(raw, depth) for raw in values] for key, values in individual.repeated.items()}
            )
    return Individuals(individuals, columns, left, unfit, duplicates)
