"""The edges of the genealogy: every individual and each parent that it names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import give_rows, run_names
from gpdata.analyses.genealogy import genealogy
from gpdata.schema import INDIVIDUALS, Column, Type

_LOST = "no earlier recorded generation has that uuid: its line was lost"

ANCESTRY_EDGES = (
    *(INDIVIDUALS[name] for name in ("run_uuid", "generation", "location", "uuid", "genetic_operators")),
    Column("position", Type.INT, "position of the parent in parent_uuids, from 0", "parent_uuids"),
    Column("parent_uuid", Type.STRING, "the parent", "parent_uuids", "the sender named a parent without a uuid"),
    Column(
        "parent_generation",
        Type.INT,
        "the nearest earlier generation that has the parent",
        "generation, uuid",
        _LOST,
        "generation",
    ),
    Column("parent_location", Type.INT, "the parent's lowest location there", "location, uuid", _LOST),
)
"""The result columns of `ancestry_edges`."""


def ancestry_edges(individuals: IntoFrameT, *, runs: str | Sequence[str] | None = None) -> IntoFrameT:
    """Return every individual with each of its parents, and the row that the parent is.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    runs : str or sequence of str, optional
        The `run_uuid` of the runs to read, all by default. Name them in a large lake: see the notes.

    Returns
    -------
    frame
        One row per individual and parent position, ordered by run, generation, location and position, with the
        columns of `ANCESTRY_EDGES`:

        - `run_uuid`, `generation`, `location`, `uuid`, `genetic_operators`: the child, as in individuals.
        - `position`, `parent_uuid`: the parent, as the sender wrote it. Parents are a multiset: one that was
          taken twice has two rows.
        - `parent_generation`, `parent_location`: the parent's row in individuals, of the same run; null where it
          is missing, as after a lost line. It is never invented.

        An individual that names no parent, random or of genesis, has no row.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame, or `runs` is neither a text nor a list of texts.
    UnknownColumn
        A column is missing.

    Notes
    -----
    A uuid is not a key: reproduction keeps it, and a preserved frontier carries individuals and their parents over.
    A parent's uuid therefore means the row of its lowest location in the nearest earlier generation that has it,
    which need not be the one before; a reproduced child, which lists itself, is its own parent a generation earlier.

    Keys, uuids, parents and operators of the chosen runs are collected, and the edges found in memory; the result
    is a frame of the engine that was given.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [0, 1, 1],
    ...         "location": [0, 0, 1],
    ...         "uuid": ["p", "q", "r"],
    ...         "parent_uuids": [None, ["p", "p"], ["lost"]],
    ...         "genetic_operators": [["random"], ["alternation"], ["uniform-mutation"]],
    ...     }
    ... )
    >>> edges = ancestry_edges(individuals)
    >>> edges.select("uuid", "position", "parent_uuid", "parent_generation", "parent_location").rows()
    [('q', 0, 'p', 0, 0), ('q', 1, 'p', 0, 0), ('r', 0, 'lost', None, None)]
    """
    lines = genealogy(individuals, None if runs is None else run_names("runs", runs), "genetic_operators")
    child = lines.child
    position = np.arange(len(child)) - np.searchsorted(child, child)
    order = np.lexsort((position, lines.location[child], lines.generation[child], lines.run[child]))
    rows, parent = lines.rows.take(child[order]), lines.parent[order]
    missing = parent < 0
    found = {
        "position": position[order],
        "parent_uuid": pc.take(lines.parent_uuid, pa.array(order)),
        "parent_generation": pa.array(lines.generation[parent] if len(parent) else parent, mask=missing),
        "parent_location": pa.array(lines.location[parent] if len(parent) else parent, mask=missing),
    }
    columns = {name: rows[name] for name in rows.column_names} | found
    return give_rows(columns, ANCESTRY_EDGES, individuals, "ancestry_edges")
