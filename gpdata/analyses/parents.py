"""The line of best parents of chosen individuals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.ancestors import read_lines
from gpdata.analyses.frames import give_rows
from gpdata.schema import INDIVIDUALS, Column, Type

BEST_PARENT_CHAIN = (
    INDIVIDUALS["run_uuid"],
    Column("of_generation", Type.INT, "generation of the chosen individual", "of", unit="generation"),
    Column("of_location", Type.INT, "location of the chosen individual", "of"),
    Column("step", Type.INT, "steps back from the chosen individual, which is 0", "computed", unit="births"),
    *(INDIVIDUALS[name] for name in ("generation", "location", "uuid", "total_error")),
    Column("is_root", Type.BOOL, "whether the individual names no parent: parent_uuids is null or []", "parent_uuids"),
    Column("parents_missing", Type.INT, "parents that it names and that were not recorded, as a multiset",
           "parent_uuids", unit="parents"),
)  # fmt: skip
"""The result columns of `best_parent_chain`."""


def best_parent_chain(individuals: IntoFrameT, *, of: Any) -> IntoFrameT:
    """Follow the parent of least total error back from chosen individuals.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    of : frame
        The chosen individuals: any frame with their `run_uuid`, `generation` and `location`, such as `winner`
        returns. They may be many, and of several runs.

    Returns
    -------
    frame
        One row per chosen individual and step of its chain, ordered so, with the columns of `BEST_PARENT_CHAIN`:

        - `run_uuid`, `of_generation`, `of_location`: the chosen individual. Chosen twice, it has one chain.
        - `step`: 0 is the chosen individual, 1 its best parent, and so on.
        - `generation`, `location`, `uuid`, `total_error`: that individual, as in individuals.
        - `is_root`: whether it names no parent, a random individual or one of genesis: the chain begins here.
        - `parents_missing`: how many of the parents that it names were not recorded. One of them may have been
          better than the one that was followed.

        A chain that ends in somebody who is no root is broken there: no parent was recorded, or none of those that
        were has a total error.

    Raises
    ------
    InvalidInput
        A frame is none, or `individuals` lacks a row of `of`.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Of several parents of the same least error the first that the sender names is followed. A total error that is
    null or NaN is never the least. Which row a parent's uuid means is said with `ancestry_edges`.

    Keys, uuids, parents and total errors of the runs of `of` are collected, and the chains found in memory; the
    result is a frame of the engine of `individuals`.

    Source: McPhee, N. F., Donatucci, D., Helmuth, T. (2015), "Using graph databases to explore the dynamics of
    genetic programming runs", GPTP XIII.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 4,
    ...         "generation": [0, 0, 1, 2],
    ...         "location": [0, 1, 0, 0],
    ...         "uuid": ["p", "q", "r", "s"],
    ...         "parent_uuids": [None, None, ["p", "q"], ["r", "lost"]],
    ...         "total_error": [9.0, 7.0, 8.0, 2.0],
    ...     }
    ... )
    >>> chain = best_parent_chain(individuals, of=individuals.filter(uuid="s"))
    >>> chain.select("step", "uuid", "total_error", "is_root", "parents_missing").rows()
    [(0, 's', 2.0, False, 1), (1, 'r', 8.0, False, 0), (2, 'q', 7.0, True, 0)]
    """
    lines, chosen = read_lines(individuals, of, "total_error")
    error = np.array(lines.rows["total_error"].to_numpy(), dtype=np.float64)
    best = _best_parents(lines.child, lines.parent, error)
    place = np.argsort(lines.order)
    starts, steps, rows = [], [], []
    for start in sorted(set(chosen.tolist()), key=lambda row: place[row]):
        row, step = start, 0
        while row >= 0:
            starts.append(start)
            steps.append(step)
            rows.append(row)
            row, step = int(best[row]), step + 1
    chain, first = np.array(rows, dtype=np.int64), np.array(starts, dtype=np.int64)
    missing = np.bincount(lines.child[lines.parent < 0], minlength=len(lines.run))
    shown = lines.rows.take(pa.array(chain))
    columns = {name: shown[name] for name in ("run_uuid", "generation", "location", "uuid", "total_error")}
    return give_rows(
        columns
        | {
            "of_generation": lines.generation[first],
            "of_location": lines.location[first],
            "step": np.array(steps, dtype=np.int64),
            "is_root": lines.named[chain] == 0,
            "parents_missing": missing[chain],
        },
        BEST_PARENT_CHAIN,
        individuals,
        "best_parent_chain",
    )


def _best_parents(child: Any, parent: Any, error: Any) -> Any:
    """Return for each row its recorded parent of least error, the first of them, or -1."""
    best = np.full(len(error), -1)
    known = np.flatnonzero(parent >= 0)
    known = known[~np.isnan(error[parent[known]])]
    order = known[np.lexsort((known, error[parent[known]], child[known]))]
    first = order[np.diff(child[order], prepend=-1) != 0]
    best[child[first]] = parent[first]
    return best
