"""Age against total error."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import give_back, only_runs, run_names, take, with_parent_count
from gpdata.schema import INDIVIDUALS, Column, Type

AGE_ERROR = (
    *(INDIVIDUALS[name] for name in ("run_uuid", "generation", "location")),
    Column("age", Type.DOUBLE, "age; may be fractional", "age", unit="generations"),
    Column("total_error", Type.DOUBLE, "total error", "total_error", unit="error"),
    Column("is_genesis", Type.BOOL, "whether the individual was made by genesis: parent_uuids is []", "parent_uuids"),
)
"""The result columns of `age_error`."""


def age_error(individuals: IntoFrameT, *, runs: str | Sequence[str] | None = None) -> IntoFrameT:
    """Return the age and the total error of individuals, those of genesis marked.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    runs : str or sequence of str, optional
        The `run_uuid` of the runs that are asked about, all by default.

    Returns
    -------
    frame
        One row per individual whose age and total error are both numbers, in no order, with the columns of
        `AGE_ERROR`:

        - `run_uuid`, `generation`, `location`: the individual.
        - `age` (generations; it may be fractional) and `total_error`, never null or NaN.
        - `is_genesis`: whether it was made by genesis, that is, names no parent with an empty list. A random
          individual, of the first generation or a replacement, has null parents, as has every individual of a
          system that sends none, and is not marked.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame, or `runs` is neither a text nor a list of texts.
    UnknownColumn
        A column is missing.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [4] * 3,
    ...         "location": [0, 1, 2],
    ...         "parent_uuids": [["p", "q"], [], ["p"]],
    ...         "age": [2.5, 0.0, None],
    ...         "total_error": [3.0, 40.0, 5.0],
    ...     }
    ... )
    >>> age_error(individuals).select("location", "age", "total_error", "is_genesis").rows()
    [(0, 2.5, 3.0, False), (1, 0.0, 40.0, True)]
    """
    names = [column.name for column in AGE_ERROR[:-1]]
    counted = with_parent_count(individuals)
    given = individuals if counted is None else counted
    chosen = given if runs is None else only_runs(given, INDIVIDUALS, run_names("runs", runs))
    if counted is None:
        rows, parents = take(chosen, INDIVIDUALS, [*names, "parent_uuids"]), nw.col("parent_uuids").list.len()
    else:
        rows, parents = take(chosen, INDIVIDUALS, names, parents="parent_count"), nw.col("parents")
    rows = rows.filter(~nw.col("age").is_nan(), ~nw.col("total_error").is_nan())
    return give_back(rows.with_columns(is_genesis=(parents == 0).fill_null(False)), {}, AGE_ERROR, individuals)
