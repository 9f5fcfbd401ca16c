"""The ancestors of chosen individuals, and how many there are in each generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import give_rows, take
from gpdata.analyses.genealogy import KEY, Flags, Genealogy, Numbers, genealogy
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, INDIVIDUALS, Column, Type
from gpdata.schema.arrow import ARROW

ANCESTRY = (
    *(INDIVIDUALS[name] for name in ("run_uuid", "generation", "location", "uuid")),
    Column("is_root", Type.BOOL, "whether the individual names no parent: parent_uuids is null or []", "parent_uuids"),
)
"""The result columns of `ancestry`."""

ANCESTRY_COUNTS = (
    GENERATIONS["generation"],
    Column("ancestors", Type.INT, "ancestors in this generation, by distinct uuid", "ancestry", unit="individuals"),
    Column("offspring", Type.INT, "individuals of which they are parents, by distinct uuid", "ancestry_edges",
           unit="individuals"),
    Column("ancestor_offspring", Type.INT, "those of the offspring that are ancestors themselves",
           "ancestry, ancestry_edges", unit="individuals"),
)  # fmt: skip
"""The result columns of `ancestry_counts`."""


def ancestry(individuals: IntoFrameT, *, of: Any) -> IntoFrameT:
    """Return all ancestors of chosen individuals, found generation by generation backwards.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    of : frame
        The chosen individuals: any frame with their `run_uuid`, `generation` and `location`, such as `winner`
        returns or rows of `lab.individuals`. They may be many, and of several runs.

    Returns
    -------
    frame
        One row per ancestor, ordered by run, generation and location, with the columns of `ANCESTRY`:

        - `run_uuid`, `generation`, `location`, `uuid`: as in individuals. The chosen individuals are in it
          too, each in its own generation: they are where the lines end. Leave them out with an anti join.
        - `is_root`: whether the line begins here, with an individual that names no parent: a random one (null
          parents), of the first generation or a replacement in the middle of the run, or one of genesis (`[]`).

    Raises
    ------
    InvalidInput
        A frame is none, or `individuals` lacks a row of `of`.
    UnknownColumn
        A column is missing.

    Notes
    -----
    An ancestor that names parents of which none was recorded is no root: its line is broken, not begun, and what
    was before is not known. `ancestry_edges` lists such parents. Which row a parent's uuid means is said there too.

    A uuid may be in several rows of a generation: one of them stands for all, the one of the lowest location, except
    that each chosen individual has its own row. Count ancestors of a generation by distinct uuid.

    Keys, uuids and parents of the runs of `of` are collected, of no other run, and walked in memory; the result is
    a frame of the engine of `individuals`.

    Source: McPhee, N. F., Donatucci, D., Helmuth, T. (2015), "Using graph databases to explore the dynamics of
    genetic programming runs", GPTP XIII.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 4,
    ...         "generation": [0, 0, 1, 1],
    ...         "location": [0, 1, 0, 1],
    ...         "uuid": ["p", "q", "r", "s"],
    ...         "parent_uuids": [None, None, ["q", "q"], ["p"]],
    ...     }
    ... )
    >>> ancestry(individuals, of=individuals.filter(uuid="r")).rows()
    [('a', 0, 1, 'q', True), ('a', 1, 0, 'r', False)]

    Do winners of one configuration have fewer ancestors than those of another? Choose the winners of all runs at
    once, count the ancestors of each run, and compare the counts by the columns of runs.

    >>> both = pl.concat([individuals, individuals.with_columns(run_uuid=pl.lit("b"))])
    >>> winners = both.filter((pl.col("uuid") == "r") | (pl.col("uuid") == "s") & (pl.col("run_uuid") == "b"))
    >>> found = ancestry(both, of=winners)
    >>> different = found.unique(["run_uuid", "generation", "uuid"])
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "parent-selection": ["lexicase", "tournament"]})
    >>> runs.join(different.group_by("run_uuid").len("ancestors"), on="run_uuid", how="left").rows()
    [('a', 'lexicase', 2), ('b', 'tournament', 4)]
    """
    lines, marked = _walk(individuals, of)
    found = lines.order[marked[lines.order]]
    rows = lines.rows.select([column.name for column in ANCESTRY[:-1]]).take(found)
    columns = {name: rows[name] for name in rows.column_names} | {"is_root": lines.named[found] == 0}
    return give_rows(columns, ANCESTRY, individuals, "ancestry")


def ancestry_counts(individuals: IntoFrameT, *, of: Any) -> IntoFrameT:
    """Count the ancestors of chosen individuals in each generation, their offspring, and who of these is one too.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    of : frame
        The chosen individuals, as `ancestry` takes them.

    Returns
    -------
    frame
        One row per recorded generation of their runs, from that of the oldest ancestor to that of the newest chosen
        one, ordered by generation, with the columns of `ANCESTRY_COUNTS`:

        - `generation`: of all runs together, where `of` is of several; a lost generation has no row.
        - `ancestors`: rows of `ancestry` in this generation, the chosen ones included, by distinct uuid.
        - `offspring`: the individuals that have an ancestor of this generation as a parent, normally of the next
          generation, by distinct uuid: one that is carried over counts once.
        - `ancestor_offspring`: those of the offspring that are ancestors themselves.

        No count is null.

    Raises
    ------
    InvalidInput
        A frame is none, or `individuals` lacks a row of `of`.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Individuals of two runs are never the same. One without a uuid is counted on its own. What is read, and where
    it is computed, is as for `ancestry`, and so is the source.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 4,
    ...         "generation": [0, 0, 1, 1],
    ...         "location": [0, 1, 0, 1],
    ...         "uuid": ["p", "q", "r", "s"],
    ...         "parent_uuids": [None, None, ["p", "q"], ["p"]],
    ...     }
    ... )
    >>> ancestry_counts(individuals, of=individuals.filter(uuid="r")).rows()
    [(0, 2, 2, 1), (1, 1, 0, 0)]
    """
    lines, marked = _walk(individuals, of)
    edges = np.flatnonzero(lines.parent >= 0)
    edges = edges[marked[lines.parent[edges]]]
    child, at = lines.child[edges], lines.generation[lines.parent[edges]]
    generations = np.unique(lines.generation)
    span = np.searchsorted(generations, lines.generation[marked])
    generations = generations[span.min(initial=len(generations)) : span.max(initial=-1) + 1]
    counts = {
        "generation": generations,
        "ancestors": _distinct(generations, lines.generation[marked], lines.identity[marked]),
        "offspring": _distinct(generations, at, lines.identity[child]),
        "ancestor_offspring": _distinct(generations, at[marked[child]], lines.identity[child[marked[child]]]),
    }
    return give_rows(counts, ANCESTRY_COUNTS, individuals, "ancestry_counts")


def read_lines(individuals: Any, of: Any, *also: str) -> tuple[Genealogy, Numbers]:
    """Read the genealogy of the runs of `of`, `also` further columns, and find the rows of the chosen individuals."""
    wanted: pa.Table = take(of, INDIVIDUALS, KEY).collect("pyarrow").to_native()
    wanted = wanted.cast(pa.schema([(name, ARROW[INDIVIDUALS[name].type]) for name in KEY]))
    lines = genealogy(individuals, wanted["run_uuid"].unique().to_pylist(), *also)
    chosen = lines.find(wanted)
    if (chosen < 0).any():
        example = wanted.slice(int(np.argmax(chosen < 0)), 1).to_pylist()[0]
        raise InvalidInput(
            f"of has {wanted.num_rows} individuals, {np.count_nonzero(chosen < 0)} of which are not in individuals, "
            f"such as {example}. Give rows of the same lab."
        )
    return lines, chosen


def _walk(individuals: Any, of: Any) -> tuple[Genealogy, Flags]:
    """Read the genealogy of the runs of `of`, and mark the chosen individuals and their ancestors in it."""
    lines, chosen = read_lines(individuals, of)
    return lines, lines.ancestors(chosen)


def _distinct(generations: Numbers, at: Numbers, identity: Numbers) -> Numbers:
    """Count for each of some generations, sorted, the different identities in it."""
    width = generations.max(initial=0) + 1
    different = np.unique(identity * width + at) % width
    return np.bincount(np.searchsorted(generations, different), minlength=len(generations))
