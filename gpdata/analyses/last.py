"""The last generation of each run: how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_columns, check_same_engine, group_keys, grouped_runs, names_of, take, wrap
from gpdata.schema import GENERATIONS

LAST_GENERATION = GENERATIONS.columns
"""The result columns of `last_generation` over `lab.generations`: those of the table, unchanged."""


def last_generation(generations: IntoFrameT) -> IntoFrameT:
    """Return the row of each run's greatest generation: its final outcome, best and statistics.

    A run that was killed has one too; its outcome is `continue`. The greatest generation present is what was
    recorded, not the run's budget.

    Parameters
    ----------
    generations : frame
        `lab.generations`, or any frame with `run_uuid` and `generation`.

    Returns
    -------
    frame
        One row per run, with all columns of the input, as the kind of frame that was given. Over
        `lab.generations` these are `LAST_GENERATION`, with their types, units and nulls. No order is given.

    Raises
    ------
    InvalidInput
        `generations` is not a frame.
    UnknownColumn
        It has no `run_uuid` or no `generation`.

    Notes
    -----
    By a window over the run: one pass on every engine, nothing joined. Where the key (run, generation) is not
    unique, every row of the greatest generation is returned.

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b"],
    ...         "generation": [0, 1, 0],
    ...         "outcome": ["continue", "success", "continue"],
    ...     }
    ... )
    >>> last_generation(generations).rows()
    [('a', 1, 'success'), ('b', 0, 'continue')]
    """
    given = wrap(generations, GENERATIONS.name)
    present = names_of(given)
    advice = f"Give a frame with the columns of lab.{GENERATIONS.name}."
    check_columns(["run_uuid", "generation"], present, GENERATIONS.name, advice)
    native: IntoFrameT = last_rows(given).to_native()
    return native


def ends_of_runs(
    last: Any, runs: Any, by: str | Sequence[str], names: Sequence[str]
) -> tuple[nw.LazyFrame[Any], dict[str, str]]:
    """Take columns of each run's last generation beside the run's group, ordered by group and run.

    Parameters
    ----------
    last, runs, by
        As `gpdata.success_table` takes them.
    names : sequence of str
        Columns of generations, `run_uuid` and `generation` among them.

    Returns
    -------
    ends : narwhals.LazyFrame
        One row per run that has a row in `last`: the keys and `names`.
    keys : dict
        As `grouped_runs` returns them.
    """
    check_same_engine(last=last, runs=runs)
    grouped, keys = grouped_runs(runs, by, ())
    ends = grouped.join(last_rows(take(last, GENERATIONS, names)), on="run_uuid", how="inner")
    return ends.sort(*group_keys(keys), "run_uuid"), keys


def last_rows(generations: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Keep the rows of each run's greatest generation, inside an analysis."""
    return generations.filter(nw.col("generation") == nw.col("generation").max().over("run_uuid"))
