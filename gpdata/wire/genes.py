"""Genomes: a list of genes each, as parallel list columns.

A Plush gene is an object, a Plushy gene a bare value; a genome may hold both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, UnsetType

from gpdata.wire.columns import BOOL, INT, TEXT, FloatText, Kind
from gpdata.wire.lists import list_array

ATTRIBUTES: dict[str, Kind] = {
    "close": INT,
    "silent": BOOL,
    "uuid": TEXT,
    "parent-uuid": TEXT,
    "random-insertion": BOOL,
}
"""What a gene may carry beside its instruction, by wire name."""

JSON = 5
CODE_OF = {
    str: 0,
    int: 1,
    FloatText: 2,
    bool: 3,
    type(None): 4,
    list: JSON,
    dict: JSON,
    tuple: JSON,
    UnsetType: 6,
}
"""The code of each Python type that an instruction is read as: see `type_names`."""

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Genomes:
    """The genes of some genomes, end to end.

    Parameters
    ----------
    sizes : list of int or None
        Number of genes of each genome; None where there is no genome.
    instruction, type : pyarrow.Array
        The text and the JSON type of each gene's instruction.
    attributes : dict
        For each of `ATTRIBUTES` the value of each gene, and whether the gene has the attribute.
    left : dict of int to str
        What no column holds of a genome, as JSON text: fields by position, or all of it where it is no list.
    unfit, duplicates : set of int
        The genomes of which a value did not fit its column, and those of which a gene held equal keys.
    """

    sizes: list[int | None]
    instruction: pa.Array
    type: pa.Array
    attributes: dict[str, tuple[pa.Array, Flags]]
    left: dict[int, str] = field(default_factory=dict)
    unfit: set[int] = field(default_factory=set)
    duplicates: set[int] = field(default_factory=set)

    def sent(self) -> dict[str, int]:
        """Return how many genes have each attribute."""
        attributes = {name: int(np.count_nonzero(present)) for name, (_, present) in self.attributes.items()}
        return {"instruction": len(self.type) - self.type.null_count, **attributes}

    def compact_length(self) -> int:
        """Return the length of the genomes as a compact JSON array without escapes, genes being objects."""
        length = 1 + sum(5 if size is None else max(size, 1) + 2 for size in self.sizes)
        sent = self.sent()
        length += len(self.type) + sum((len(name) + 4) * count for name, count in sent.items())
        length += _bytes(self.instruction) + 2 * int(pc.sum(pc.equal(self.type, "string"), min_count=0).as_py())
        return length + sum(_json_length(values, sent[name]) for name, (values, _) in self.attributes.items())

    def columns(self) -> dict[str, pa.Array]:
        """Return the list columns, one row per genome, named as in the schema."""
        missing = np.array([size is None for size in self.sizes], dtype=bool)
        sizes = np.array([size or 0 for size in self.sizes], dtype=np.int64)
        lists = {
            "genome_size": pa.array(self.sizes, pa.int32()),
            "gene_instruction": list_array(sizes, missing, self.instruction),
            "gene_type": list_array(sizes, missing, self.type),
        }
        ends = np.cumsum(sizes)
        for name, (values, present) in self.attributes.items():
            column = f"gene_{name.replace('-', '_')}"
            if not present.any():
                lists[column] = pa.nulls(len(sizes), pa.list_(values.type))
                continue
            counted = np.concatenate([[0], np.cumsum(present)])
            without = counted[ends] == counted[ends - sizes]
            if without.any():
                values = values.filter(pa.array(np.repeat(~without, sizes)))
            lists[column] = list_array(np.where(without, 0, sizes), without, values)
        return lists


@cache
def _names() -> pa.Array:
    return pa.array(["string", "int", "float", "bool", "null", "json", None])


def type_names(codes: pa.Array) -> pa.Array:
    """Return the JSON type of each code of `CODE_OF`; null where a gene has no instruction."""
    return _names().take(codes)


def attribute(values: list[Any] | None, size: int, arrow: pa.DataType) -> tuple[pa.Array, Flags]:
    """Return the values of one attribute of `size` genes, and which genes have it; None where none has."""
    missing = size if values is None else values.count(UNSET)
    if values is None or missing == size:
        return pa.nulls(size, arrow), np.zeros(size, dtype=bool)
    if not missing:
        return pa.array(values, arrow), np.ones(size, dtype=bool)
    present = np.array([value is not UNSET for value in values], dtype=bool)
    return pa.array([None if value is UNSET else value for value in values], arrow), present


def _bytes(texts: pa.Array) -> int:
    return int(pc.sum(pc.binary_length(texts), min_count=0).as_py())


def _json_length(values: pa.Array, sent: int) -> int:
    """Return the length of some values as JSON without escapes; `sent` of them are no gaps."""
    valid = len(values) - int(values.null_count)
    nulls = 4 * (sent - valid)
    if not valid:
        return nulls
    if pa.types.is_string(values.type):
        return nulls + 2 * valid + _bytes(values)
    if pa.types.is_boolean(values.type):
        return nulls + 5 * valid - int(values.true_count)
    numbers = values.drop_null().to_numpy().astype(np.int64)
    powers = 10 ** np.arange(1, len(str(max(numbers.max(), -numbers.min()))))
    digits = valid + sum(int(np.count_nonzero(np.abs(numbers) >= power)) for power in powers)
    return nulls + digits + int(np.count_nonzero(numbers < 0))
