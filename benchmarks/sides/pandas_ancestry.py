"""The walk from a winner to its ancestors in NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.sides.pandas_arrays import Numbers, codes_of, lengths_of


def walk(rows: pa.Table, last: int, place: int) -> pa.Table:
    """Number the uuids, find every parent's row with one search, then walk the generations backwards.

    A parent is the row of that uuid and the lowest location in the nearest earlier generation.
    """
    rows = rows.sort_by([("generation", "ascending"), ("location", "ascending")]).combine_chunks()
    generation, location = rows["generation"].to_numpy(), rows["location"].to_numpy()
    row, name, is_own = _names(rows)
    own_row, own = row[is_own], name[is_own]
    child, named = row[~is_own], name[~is_own]
    width = int(generation.max()) + 1
    # In order of rows, so that the first of equals is the one of the lowest location.
    known, first = np.unique(own * width + generation[own_row], return_index=True)
    found = np.searchsorted(known, named * width + generation[child]) - 1
    there = (found >= 0) & (known[found] // width == named)
    child, parent = child[there], own_row[first[found[there]]]
    marked = (generation == last) & (location == place)
    order = np.argsort(child, kind="stable")
    child, parent = child[order], parent[order]
    ends = np.searchsorted(generation[child], np.arange(width + 1))
    for start, end in reversed(list(pairwise(ends))):
        marked[parent[start:end][marked[child[start:end]]]] = True
    return rows.select(["generation", "location"]).filter(pa.array(marked))


def _names(rows: pa.Table) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Every uuid in its row, in order, as a number, and whether it is the row's own; nulls left out."""
    found = []
    ids, texts = rows["ids"].combine_chunks(), rows["parent_uuids_text"].combine_chunks()
    lengths = lengths_of(ids)
    row = np.repeat(np.arange(len(ids)), lengths)
    own = np.diff(row, prepend=-1) != 0
    found.append((row, ids.flatten(), own))
    if ids.null_count:
        unusual = np.flatnonzero(np.asarray(ids.is_null()))
        found.append((unusual, rows["uuid_text"].combine_chunks().take(unusual), np.ones(len(unusual), np.bool_)))
        row = np.repeat(np.arange(len(ids)), lengths_of(texts))
        found.append((row, texts.flatten(), np.zeros(len(row), np.bool_)))
        found = [(row, _packed(name), own) for row, name, own in found]
    row, own = (np.concatenate([part[index] for part in found]) for index in (0, 2))
    name = codes_of(pa.chunked_array([pa.concat_arrays([part[1] for part in found])]).dictionary_encode())
    order = np.argsort(row, kind="stable") if len(found) > 1 else np.arange(len(row))
    order = order[name[order] >= 0]
    return row[order], name[order], own[order]


def _packed(names: pa.Array) -> pa.Array:
    """A uuid that is no canonical one is its letters."""
    return pa.array([_bytes(name) for name in names.to_pylist()], pa.binary())


def _bytes(name: str | bytes | None) -> bytes | None:
    if not isinstance(name, str):
        return name
    plain = name.replace("-", "")
    canonical = len(name) == 36 and len(plain) == 32 and not set(plain) - set("0123456789abcdef")
    return bytes.fromhex(plain) if canonical else name.encode()
