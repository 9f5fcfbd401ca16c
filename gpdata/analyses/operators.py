"""What each genetic operator does to error and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import (
    check_choice,
    check_same_engine,
    give_back,
    give_rows,
    group_keys,
    grouped_runs,
    take,
)
from gpdata.analyses.genealogy import Genealogy, Numbers, genealogy
from gpdata.analyses.selection import births
from gpdata.schema import INDIVIDUALS, RUNS, Column, Table, Type
from gpdata.schema.arrow import ARROW

Parent = Literal["best", "mean"]
Doubles = npt.NDArray[np.float64]

_QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
_OF = {
    "error": ("total_error", "total error", "error"),
    "genome_size": ("genome_size", "genome size", "genes"),
    "program_size": ("program_size", "program size", "points"),
}


def _children(name: str, what: str) -> Column:
    return Column(name, Type.INT, f"children {what}", "parent_uuids, total_error", unit="individuals")


OPERATOR_EFFECTS = (
    INDIVIDUALS["genetic_operators"],
    _children("children", "that these operators made, in this order"),
    _children("lost", "with a parent that was not recorded"),
    _children("compared", "that have parents, all of them known, and an error as they have"),
    _children("improved", "of less error than the parent"),
    _children("same", "of the same error"),
    _children("worse", "of more error"),
    *(
        Column(f"{name}_change_{at}", Type.DOUBLE, f"{at} of the child's {what} less the parent's", source,
               "no child is compared that has one, as its parents do", unit)
        for name, (source, what, unit) in _OF.items()
        for at in _QUARTILES
    ),
)  # fmt: skip
"""The columns that `operator_effects` adds to the columns of `by`."""

_FOUND = Table(
    "operator_effects",
    "one row per group and pipeline of operators",
    ("run_uuid", "place"),
    (RUNS["run_uuid"], Column("place", Type.INT, "place in the order of rows", "computed"), *OPERATOR_EFFECTS),
)
"""What is found in memory, the least run of a group standing for it."""


def operator_effects(
    individuals: IntoFrameT, runs: IntoFrameT, *, by: str | Sequence[str], parent: Parent = "best"
) -> IntoFrameT:
    """Summarise by genetic operator how error and size change from parents to child.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    runs : frame
        `lab.runs`: the runs that are asked about. Of other runs nothing is read.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    parent : {"best", "mean"}
        What a child of several parents is compared with: "best", the one of them of least error, the first of
        equals, in error and in size; "mean", the mean over its parents, a multiset.

    Returns
    -------
    frame
        One row per group and pipeline of operators, ordered by the columns of `by`, nulls first, and `children`, the
        most first; the columns of `by`, then those of `OPERATOR_EFFECTS`:

        - `genetic_operators`: the operators that made the individuals, in order; null where none were sent.
        - `children`: how many individuals they made, those without parents too, as the random ones of the start.
        - `lost`: those with a parent that was not recorded. They are not compared: who the best is cannot be said.
        - `compared`: those that have parents, all recorded, and a total error that is a number, as all parents have.
        - `improved`, `same`, `worse`: of these, those of less, the same and more error. The three add up to it.
        - `error_change_*` (error), `genome_size_change_*` (genes), `program_size_change_*` (points): `q1`, `median`
          and `q3` over the compared of child less parent, by linear interpolation; below 0 is better, or smaller.
          A child whose size, or a parent's, is not known has no change of size. Null where there is no change.

    Raises
    ------
    InvalidInput
        `parent` is not valid, a frame is none, the frames are of different engines, or a column of `by` is called
        like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    A birth counts, not a row, as `selection_counts` says, and a parent's uuid means the row that it says. From
    infinite to infinite error the change is 0. Errors with a penalty have changes as large: look at the quartiles.

    Keys, uuids, parents, operators, errors and sizes of the chosen runs are collected and compared in memory; the
    result is a frame of the engine of `individuals`.

    Source: the change from parents to child by operator of Clojush-Tools.

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
    ...         "genetic_operators": [["random"], ["random"], ["alternation"], ["uniform-mutation"]],
    ...         "total_error": [4.0, 8.0, 1.0, 6.0],
    ...         "genome_size": [10, 20, 12, 9],
    ...         "program_size": [None] * 4,
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]})
    >>> effects = operator_effects(individuals, runs, by="problem")
    >>> effects = effects.select("genetic_operators", "children", "improved", "worse", "error_change_median")
    >>> for row in effects.rows():
    ...     print(row)
    (['random'], 2, 0, 0, None)
    (['alternation'], 1, 1, 0, -3.0)
    (['uniform-mutation'], 1, 0, 1, 2.0)
    """
    check_choice("parent", parent, get_args(Parent))
    check_same_engine(individuals=individuals, runs=runs)
    grouped, keys = grouped_runs(runs, by, OPERATOR_EFFECTS)
    group = group_keys(keys)
    # A group's least run stands for it: only that is known here, whatever the columns of `by` hold.
    standing = grouped.with_columns(nw.col("run_uuid").min().over(*group).alias("group"))
    groups: pa.Table = standing.select("run_uuid", "group").collect("pyarrow").to_native()
    lines = genealogy(
        individuals, groups["run_uuid"].to_pylist(), "genetic_operators", *(source for source, *_ in _OF.values())
    )
    group_of = dict(zip(*(column.to_pylist() for column in groups.columns), strict=True))
    rows = sorted(_effects(lines, group_of, parent), key=lambda row: (-row["children"], row["genetic_operators"] or []))
    columns = {
        column.name: pa.array([row.get(column.name, place) for place, row in enumerate(rows)], ARROW[column.type])
        for column in _FOUND.columns
    }
    found = give_rows(columns, _FOUND.columns, individuals, _FOUND.name)
    effects = take(found, _FOUND, _FOUND.names).join(grouped, on="run_uuid", how="inner").sort(*group, "place")
    return give_back(effects, keys, OPERATOR_EFFECTS, individuals)


def _effects(lines: Genealogy, group_of: dict[str, str], parent: Parent) -> Iterator[dict[str, Any]]:
    """Yield the row of each group and pipeline."""
    born = births(lines)
    edges = np.flatnonzero(born[lines.child])
    values = {name: _doubles(lines.rows[source]) for name, (source, *_) in _OF.items()}
    reference = _reference(lines, edges, values, parent)
    named = np.bincount(lines.child[edges], minlength=len(born))
    lost = np.bincount(lines.child[edges[lines.parent[edges] < 0]], minlength=len(born)) > 0
    own, theirs = values["error"], reference["error"]
    known = (named > 0) & ~lost & ~np.isnan(own) & ~np.isnan(theirs)
    change = {name: _change(values[name], reference[name]) for name in _OF}

    pipelines = pc.binary_join(lines.rows["genetic_operators"], "\x1f").combine_chunks().dictionary_encode()
    pipeline = np.asarray(pc.fill_null(pipelines.indices, -1).to_numpy(), dtype=np.int64)
    leaders = sorted(set(group_of.values()))
    leader = np.array([leaders.index(group_of[run]) for run in lines.runs.to_pylist()], dtype=np.int64)
    key = leader[lines.run] * (len(pipelines.dictionary) + 1) + pipeline + 1
    rows = np.flatnonzero(born)
    rows = rows[np.argsort(key[rows], kind="stable")]
    for these in np.split(rows, np.flatnonzero(np.diff(key[rows])) + 1) if len(rows) else []:
        compared = these[known[these]]
        yield {
            "run_uuid": leaders[leader[lines.run[these[0]]]],
            "genetic_operators": lines.rows["genetic_operators"][int(these[0])].as_py(),
            "children": len(these),
            "lost": np.count_nonzero(lost[these]),
            "compared": len(compared),
            "improved": np.count_nonzero(own[compared] < theirs[compared]),
            "same": np.count_nonzero(own[compared] == theirs[compared]),
            "worse": np.count_nonzero(own[compared] > theirs[compared]),
        } | {
            f"{name}_change_{at}": _quantile(change[name][compared], share)
            for name in _OF
            for at, share in _QUARTILES.items()
        }


def _reference(lines: Genealogy, edges: Numbers, values: dict[str, Doubles], parent: Parent) -> dict[str, Doubles]:
    """Return for each row the values of the parent that it is compared with, NaN where there is none."""
    child, at = lines.child[edges], lines.parent[edges]
    of_parent = {name: np.where(at >= 0, column[at], np.nan) for name, column in values.items()}
    if parent == "mean":
        counts = np.bincount(child, minlength=len(lines.run))
        with np.errstate(invalid="ignore"):
            return {name: np.bincount(child, of, len(counts)) / counts for name, of in of_parent.items()}
    # The first of the least error; a parent without an error leaves nothing to compare with.
    order = np.lexsort((edges, of_parent["error"], child))
    first = order[np.diff(child[order], prepend=-1) != 0]
    unknown = np.bincount(child, np.isnan(of_parent["error"]), len(lines.run)) > 0
    best = {name: np.full(len(lines.run), np.nan) for name in values}
    for name, of in of_parent.items():
        best[name][child[first]] = of[first]
    best["error"][unknown] = np.nan
    return best


def _change(own: Doubles, theirs: Doubles) -> Doubles:
    with np.errstate(invalid="ignore"):
        return np.where(own == theirs, 0.0, own - theirs)


def _doubles(column: pa.ChunkedArray) -> Doubles:
    """Read numbers, null as NaN."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(), dtype=np.float64)


def _quantile(values: Doubles, share: float) -> float | None:
    """Interpolate linearly between the numbers, which may be infinite; None where there are none."""
    ascending = np.sort(values[~np.isnan(values)])
    if not len(ascending):
        return None
    position = share * (len(ascending) - 1)
    low, high = float(ascending[int(position)]), float(ascending[int(np.ceil(position))])
    weight = position - int(position)
    return low if low == high or np.isinf(low) else low * (1 - weight) + high * weight
