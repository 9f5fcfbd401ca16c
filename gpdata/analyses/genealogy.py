"""Who came from whom: the individuals of some runs and the edges to their parents, as arrays.

Lineage is walked in memory. What is read for it is narrow, the keys, uuids and parent uuids of the chosen runs,
and the engine skips every other run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.analyses.frames import only_runs, take
from gpdata.schema import INDIVIDUALS
from gpdata.schema.arrow import ARROW

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_NEEDED = ("run_uuid", "generation", "location", "uuid", "parent_uuids")
KEY = ("run_uuid", "generation", "location")


@dataclass(frozen=True)
class Genealogy:
    """Individuals, and an edge from each to every parent that it names. Rows and edges are numbered from 0.

    A parent is a uuid, and a uuid may be in many rows: the row meant is that of the lowest location in the nearest
    earlier generation that has it. A parent in no earlier recorded generation is missing, and its edge says so.
    """

    rows: pa.Table
    """The individuals, in no order: run_uuid, generation, location, uuid, parent_uuids and what else was asked for."""
    runs: pa.Array
    """The runs, sorted."""
    run: Numbers
    """Of each row: its run, a position in `runs`."""
    generation: Numbers
    location: Numbers
    identity: Numbers
    """Of each row: a number that two rows share if they are of one run and one uuid. Without a uuid, no two do."""
    child: Numbers
    """Of each edge: the row that names the parent. The edges of a row are together, in the sender's order."""
    parent: Numbers
    """Of each edge: the parent's row, or -1 where it is missing."""
    parent_uuid: pa.ChunkedArray
    """Of each edge."""

    @cached_property
    def order(self) -> Numbers:
        """The rows by run, generation and location."""
        return np.lexsort((self.location, self.generation, self.run))

    @cached_property
    def named(self) -> Numbers:
        """Of each row: how many parents it names, the missing ones included."""
        return np.bincount(self.child, minlength=len(self.run))

    def find(self, keys: pa.Table) -> Numbers:
        """Return the row of each (run_uuid, generation, location) of a table, -1 where there is none."""
        run = _numbers(pc.index_in(keys["run_uuid"], value_set=self.runs))
        generation, location = _numbers(keys["generation"]), _numbers(keys["location"])
        width, height = (
            max(a.max(initial=0), b.max(initial=0)) + 1
            for a, b in ((self.generation, generation), (self.location, location))
        )
        known = ((self.run * width + self.generation) * height + self.location)[self.order]
        wanted = (run * width + generation) * height + location
        if not len(known):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where((run >= 0) & (known[at] == wanted), self.order[at], -1)

    def ancestors(self, chosen: Numbers) -> Flags:
        """Mark the chosen rows and every row that a chain of parents leads to from them.

        One pass backwards over the generations: a parent is always of an earlier one, so that all children of a
        generation have been seen when it is reached, and no row is visited twice.
        """
        marked = np.zeros(len(self.run), dtype=np.bool_)
        marked[chosen] = True
        edges = np.flatnonzero(self.parent >= 0)
        edges = edges[np.argsort(-self.generation[self.child[edges]], kind="stable")]
        starts = np.flatnonzero(np.diff(self.generation[self.child[edges]], prepend=-1))
        for these in np.split(edges, starts[1:]):
            marked[self.parent[these[marked[self.child[these]]]]] = True
        return marked


def genealogy(individuals: Any, runs: Sequence[str] | None, *also: str) -> Genealogy:
    """Read the genealogy of some runs.

    Parameters
    ----------
    individuals : frame
        As `lab.individuals`.
    runs : sequence of str or None
        The runs to read; None: all of the frame.
    *also : str
        Further columns of individuals to read.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame.
    UnknownColumn
        It lacks a column.
    """
    names = list(dict.fromkeys([*_NEEDED, *also]))
    chosen = individuals if runs is None else only_runs(individuals, INDIVIDUALS, runs)
    rows: pa.Table = take(chosen, INDIVIDUALS, names).collect("pyarrow").to_native()
    rows = rows.cast(pa.schema([(name, ARROW[INDIVIDUALS[name].type]) for name in names]))

    uuids = rows["run_uuid"].unique()
    uuids = uuids.take(pc.sort_indices(uuids))
    run = _numbers(pc.index_in(rows["run_uuid"], value_set=uuids))
    generation, location = _numbers(rows["generation"]), _numbers(rows["location"])
    counts = pc.fill_null(pc.list_value_length(rows["parent_uuids"]), 0)
    child = np.repeat(np.arange(rows.num_rows), _numbers(counts))
    parent_uuid = pc.list_flatten(rows["parent_uuids"])

    code = _codes(pa.chunked_array([*rows["uuid"].chunks, *parent_uuid.chunks], pa.string()))
    unnamed = np.flatnonzero(code < 0)
    code[unnamed] = code.max(initial=0) + 1 + unnamed
    own, of_parent = np.split(code, [rows.num_rows])
    identity, wanted = own * len(uuids) + run, of_parent * len(uuids) + run[child]
    parent = _parent_rows(identity, wanted, generation, location, generation[child])
    return Genealogy(rows, uuids, run, generation, location, identity, child, parent, parent_uuid)


def _parent_rows(
    identity: Numbers, wanted: Numbers, generation: Numbers, location: Numbers, before: Numbers
) -> Numbers:
    """Find for each wanted identity the row of its lowest location in the nearest generation before a given one."""
    width = generation.max(initial=0) + 1
    key = identity * width + generation
    order = np.lexsort((location, key))
    first = order[np.diff(key[order], prepend=-1) != 0]
    known = key[first]
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.searchsorted(known, wanted * width + before) - 1
    return np.where((at >= 0) & (known[at] // width == wanted), first[at], -1)


def _codes(texts: pa.ChunkedArray) -> Numbers:
    """Number texts, equal ones alike; null is -1."""
    encoded = texts.cast(pa.large_string()).combine_chunks().dictionary_encode()
    return _numbers(encoded.indices)


def _numbers(column: pa.ChunkedArray | pa.Array) -> Numbers:
    """Read integers, null being -1."""
    return np.asarray(pc.fill_null(column, -1).to_numpy(), dtype=np.int64)
