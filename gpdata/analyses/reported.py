"""The numbers that a sender reported of its generations, as columns: narwhals does not look into maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw

from gpdata.analyses.frames import check_columns, names_of, wrap
from gpdata.schema import GENERATIONS


def with_reported(generations: Any, names: Mapping[str, str]) -> Any:
    """Add numbers of the sender's report to generations.

    Parameters
    ----------
    generations : frame
        A native frame with the column `report`.
    names : mapping
        The new columns, each with the sender's name of the number that it holds.

    Returns
    -------
    frame
        Native, lazy where the frame was; null where the sender did not report the number.

    Raises
    ------
    InvalidInput
        `generations` is not a frame.
    UnknownColumn
        It has no `report`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> reports = pa.array([[("mean-age", 1.5)], None], pa.map_(pa.string(), pa.float64()))
    >>> with_reported(pa.table({"report": reports}), {"age": "mean-age"})["age"].to_pylist()
    [1.5, None]
    """
    given = wrap(generations, GENERATIONS.name)
    present = names_of(given)
    check_columns(["report"], present, GENERATIONS.name, f"Give a frame with the columns of lab.{GENERATIONS.name}.")
    engine = given.implementation
    if engine.is_duckdb():
        return generations.project(", ".join(["*", *(f"report['{said}'] AS {new}" for new, said in names.items())]))
    if engine.is_spark_like():
        values = (f"try_element_at(report, '{said}') AS {new}" for new, said in names.items())
        return generations.selectExpr("*", *values)
    if engine.is_polars():
        report = nw.get_native_namespace(given).col("report")
        return generations.with_columns(**{new: report.map.get(said) for new, said in names.items()})
    reports = [dict(report) if _is_report(report) else {} for report in given["report"].to_list()]
    columns = (
        nw.new_series(new, [report.get(said) for report in reports], nw.Float64, backend=engine)
        for new, said in names.items()
    )
    return given.with_columns(*columns).to_native()


def _is_report(value: Any) -> bool:
    """Tell a map, which pandas and Arrow give as a dict or as pairs, from any kind of null."""
    return isinstance(value, Mapping) or hasattr(value, "__len__")
