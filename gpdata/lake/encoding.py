"""How rows lie in the lake's files: canonical record batches to storage, and the declaration of storage.

Storage differs from what a user sees where that makes files smaller or reading quicker; every difference is
declared here, and undone by the engines (`gpdata.engines`). See docs/decisions/0003-storage-encodings.md.

individuals
    `ids` = [uuid, parent, parent, ...] as 16 bytes each; [uuid, null] stands for null parents. In one list a
    parent's bytes repeat bytes that the compressor has seen, so that a parent costs 2 bytes instead of 9.
    Rows with an id that is no canonical uuid hold null there and `uuid_text`, `parent_uuids_text`.
    `gene_ids` = the gene uuids, then, where a gene has a parent, the parents; else the text columns.
    `gene_type` is null where each type is what `TYPE_PATTERNS` say of the instruction's text.
    `normalized_error` is null where `normalized_is_total`: most systems do not normalize.
generations
    hashes as bytes; `best_so_far` is not stored: an earlier generation may arrive later.
runs
    `config_sha256` tells whether a later line's config differs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake.uuids import binary, pack
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, STORED, Table, arrow_schema
from gpdata.schema.looks import TYPE_PATTERNS as TYPE_PATTERNS

_BATCH = pa.field("batch", pa.int64(), nullable=False)
_BINARIES = pa.list_(pa.binary())
_STRINGS = pa.list_(pa.string())

_INSTEAD: dict[str, dict[str, list[pa.Field]]] = {
    RUNS.name: {"flags": []},
    GENERATIONS.name: {
        "line_sha256": [pa.field("line_sha256", pa.binary(), nullable=False)],
        "best_so_far": [],
    },
    INDIVIDUALS.name: {
        "normalized_error": [
            pa.field("normalized_error", pa.float64()),
            pa.field("normalized_is_total", pa.bool_(), nullable=False),
        ],
        "uuid": [pa.field("ids", _BINARIES), pa.field("uuid_text", pa.string())],
        "parent_uuids": [pa.field("parent_uuids_text", _STRINGS)],
        "gene_uuid": [pa.field("gene_ids", _BINARIES), pa.field("gene_uuid_text", _STRINGS)],
        "gene_parent_uuid": [pa.field("gene_parent_uuid_text", _STRINGS)],
    },
}

_EXTRA_FIELDS = {RUNS.name: [pa.field("config_sha256", pa.binary(), nullable=False)]}


def storage_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table's files."""
    fields: list[pa.Field] = []
    for field in arrow_schema(table):
        fields += _INSTEAD[table.name].get(field.name, [field])
    fields += _EXTRA_FIELDS.get(table.name, [])
    # First the columns with statistics: Delta readers look for them among the first 32 only.
    return pa.schema([*fields[: len(table.key)], _BATCH, *fields[len(table.key) :]])


STORAGE = {table.name: storage_schema(table) for table in STORED}


def encode_run(run: pa.RecordBatch, config_sha256: str, batch: int) -> pa.RecordBatch:
    """Turn a canonical row of runs into storage."""
    made = {"config_sha256": pa.array([bytes.fromhex(config_sha256)], pa.binary())}
    return _assemble(RUNS, run, made, batch)


def encode_generation(row: pa.RecordBatch, batch: int) -> pa.RecordBatch:
    """Turn canonical rows of generations into storage."""
    hashes = [bytes.fromhex(h) for h in row.column("line_sha256").to_pylist()]
    return _assemble(GENERATIONS, row, {"line_sha256": pa.array(hashes, pa.binary())}, batch)


def encode_individuals(rows: pa.RecordBatch, batch: int) -> pa.RecordBatch:
    """Turn canonical rows of individuals into storage."""
    made = _individual_ids(rows.column("uuid"), rows.column("parent_uuids"))
    made |= _gene_ids(rows.column("gene_uuid"), rows.column("gene_parent_uuid"))
    made["gene_type"] = _unusual_types(rows.column("gene_instruction"), rows.column("gene_type"))
    total, normalized = rows.column("total_error"), rows.column("normalized_error")
    same = pc.fill_null(pc.equal(total, normalized), False)
    made["normalized_is_total"] = same
    made["normalized_error"] = pc.if_else(same, pa.scalar(None, pa.float64()), normalized)
    return _assemble(INDIVIDUALS, rows, made, batch)


ENCODERS: dict[str, Callable[..., pa.RecordBatch]] = {
    RUNS.name: encode_run,
    GENERATIONS.name: encode_generation,
    INDIVIDUALS.name: encode_individuals,
}


def _assemble(table: Table, rows: pa.RecordBatch, made: dict[str, pa.Array], batch: int) -> pa.RecordBatch:
    schema = STORAGE[table.name]
    made = made | {"batch": pa.repeat(pa.scalar(batch, pa.int64()), rows.num_rows)}
    columns = [made[name] if name in made else rows.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _individual_ids(uuid: pa.Array, parents: pa.ListArray) -> dict[str, pa.Array]:
    n = len(uuid)
    lengths, values = _lists(parents)
    null_parents = np.asarray(parents.is_null())
    own, own_good = pack(uuid)
    theirs, theirs_good = pack(values)
    good = own_good & _all_good(theirs_good, lengths)
    # Lay out [own, parents...] or [own, null]: slot 0 of each row, then the parents' slots.
    sizes = np.where(good, 1 + np.where(null_parents, 1, lengths), 0)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    packed = np.zeros((starts[-1], 16), np.uint8)
    valid = np.zeros(starts[-1], bool)
    packed[starts[:-1][good]] = own[good]
    valid[starts[:-1][good]] = True
    row = np.repeat(np.arange(n), lengths)
    slot = starts[row] + 1 + _within(lengths)
    keep = good[row]
    packed[slot[keep]] = theirs[keep]
    valid[slot[keep]] = True
    return {
        "ids": _list_array(starts, binary(packed, valid), good),
        "uuid_text": _where_not(good, uuid),
        "parent_uuids_text": _where_not(good, parents),
    }


def _gene_ids(uuid: pa.ListArray, parents: pa.ListArray) -> dict[str, pa.Array]:
    own_lengths, own_values = _lists(uuid)
    parent_lengths, parent_values = _lists(parents)
    has_own, has_parents = ~np.asarray(uuid.is_null()), ~np.asarray(parents.is_null())
    own, own_good = pack(own_values)
    theirs, theirs_good = pack(parent_values)
    own_null = np.asarray(own_values.is_null())
    parent_null = np.asarray(parent_values.is_null())
    good = (
        has_own
        & _all_good(own_good | own_null, own_lengths)
        & _all_good(theirs_good | parent_null, parent_lengths)
        & (~has_parents | (own_lengths == parent_lengths))
    )
    sizes = np.where(good, own_lengths + parent_lengths, 0)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    packed = np.zeros((starts[-1], 16), np.uint8)
    valid = np.zeros(starts[-1], bool)
    for lengths, values, filled, shift in (
        (own_lengths, own, own_good, np.zeros_like(own_lengths)),
        (parent_lengths, theirs, theirs_good, own_lengths),
    ):
        row = np.repeat(np.arange(len(lengths)), lengths)
        slot = starts[row] + shift[row] + _within(lengths)
        keep = good[row] & filled
        packed[slot[keep]] = values[keep]
        valid[slot[keep]] = True
    return {
        "gene_ids": _list_array(starts, binary(packed, valid), good),
        "gene_uuid_text": _where_not(good, uuid),
        "gene_parent_uuid_text": _where_not(good, parents),
    }


def _unusual_types(instructions: pa.ListArray, types: pa.ListArray) -> pa.Array:
    """Return the types, null for each genome whose types can be told from the look of its instructions."""
    texts = instructions.flatten().dictionary_encode()
    looks = pa.repeat("string", len(texts.dictionary))
    for name, pattern in reversed(TYPE_PATTERNS):
        looks = pc.if_else(pc.match_substring_regex(texts.dictionary, pattern), name, looks)
    # A gene without an instruction looks like nothing: its genome keeps its types.
    as_it_looks = np.asarray(pc.fill_null(pc.equal(looks.take(texts.indices), types.flatten()), False))
    lengths, _ = _lists(types)
    usual = _all_good(as_it_looks, lengths) & ~np.asarray(types.is_null())
    return pc.if_else(pa.array(usual), pa.scalar(None, types.type), types)


def _lists(array: pa.ListArray) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return each row's length (0 for null) and the values of all rows in order."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    return np.asarray(lengths).astype(np.int64), array.flatten()


def _within(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return 0 .. length - 1 for each row, one row after the other."""
    total = int(lengths.sum())
    return np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _all_good(good: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether all values of each row are good."""
    bad = np.concatenate(([0], np.cumsum(~good)))
    ends = np.cumsum(lengths)
    return np.asarray(bad[ends] == bad[ends - lengths])


def _list_array(starts: npt.NDArray[np.int64], values: pa.Array, valid: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.ListArray.from_arrays(
        pa.array(starts, pa.int32()), values, mask=None if valid.all() else pa.array(~valid)
    )


def _where_not(good: npt.NDArray[np.bool_], array: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(good), pa.scalar(None, array.type), array)
