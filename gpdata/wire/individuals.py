"""Individuals: their columns, and `extra` for whatever no column holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from operator import itemgetter

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
    left : dict of int to dict
        The JSON texts that `extra` holds, by field, of each individual that has any, by place.
    unfit, duplicates : set of int
        The places of the individuals of which a value did not fit its column, and of those where it, or a gene,
        held equal keys.
    """

    members: Sequence[Members]
    columns: dict[str, pa.Array]
    left: dict[int, dict[str, str]]
    unfit: set[int]
    duplicates: set[int]

    def genomes_left(self) -> dict[int, str]:
        """Return what no column holds of the genomes, by place."""
        return {place: left["genome"] for place, left in self.left.items() if "genome" in left}

    def extra(self) -> pa.StringArray:
        """Return `extra` of each individual."""
        if not self.left:
            return pa.nulls(len(self.members), pa.string())
        left = map(self.left.get, range(len(self.members)))
        return pa.array([None if texts is None else object_text(texts) for texts in left], pa.string())


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
    size = len(individuals)
    left: dict[int, dict[str, str]] = {}
    unfit: set[int] = set()
    sent = _by_field(individuals)
    nulls = [NULL] * size

    def keep(place: int, field: str) -> None:
        left.setdefault(place, {})[field] = compact(individuals[place].values[field], depth)

    columns: dict[str, pa.Array] = {}
    for field, kind in _KIND_OF.items():
        name = COLUMNS_OF[field][0]
        raws = sent.get(field)
        if raws is None or raws.count(NULL) == size:
            columns[name] = pa.nulls(size, kind.arrow)
            continue
        columns[name], places = kind.read(raws, depth)
        for place in places:
            keep(place, field)
            unfit.add(place)

    genomes = read_genomes(sent.get("genome", nulls), depth)
    unfit |= genomes.unfit
    for place, text in genomes.left.items():
        left.setdefault(place, {})["genome"] = text
    given = columns["genome_size"]
    columns |= genomes.columns()
    counted = columns["genome_size"]
    if given.null_count < size:
        for place in pc.indices_nonzero(pc.fill_null(pc.not_equal(given, counted), False)).to_pylist():
            keep(place, "genome-size")
            unfit.add(place)
        columns["genome_size"] = pc.coalesce(counted, given)

    for field in sent.keys() - COLUMNS_OF.keys():
        raws = sent[field]
        if field in DROPPED and raws.count(NULL) + raws.count(EMPTY_LIST) == size:
            continue
        for place, raw in enumerate(raws):
            if field in individuals[place].values and not (field in DROPPED and raw in (NULL, EMPTY_LIST)):
                keep(place, field)

    duplicates = set(genomes.duplicates)
    for place, individual in enumerate(individuals):
        if individual.repeated:
            duplicates.add(place)
            left.setdefault(place, {})[DUPLICATE_KEYS] = duplicates_text(
                {key: [compact(raw, depth) for raw in values] for key, values in individual.repeated.items()}
            )
    return Individuals(individuals, columns, left, unfit, duplicates)


def _by_field(individuals: Sequence[Members]) -> dict[str, list[Raw]]:
    """Return each field that any individual has: its value of each, `NULL` where there is none."""
    values = [individual.values for individual in individuals]
    alike = groupby(zip(map(tuple, values), values, strict=True), itemgetter(0))
    groups = [(fields, [of for _, of in group]) for fields, group in alike]
    found: dict[str, list[Raw]] = {field: [] for fields, _ in groups for field in fields}
    for fields, group in groups:
        sent = dict(zip(fields, zip(*map(dict.values, group), strict=True), strict=True))
        for field, raws in found.items():
            raws.extend(sent.get(field) or repeat(NULL, len(group)))
    return found
