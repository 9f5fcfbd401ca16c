"""The walk from a winner to its ancestors in Polars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

Collect = Callable[[pl.LazyFrame], pl.DataFrame]


def walk(individuals: pl.LazyFrame, last: int, location: int, collect: Collect) -> pl.DataFrame:
    """Find every edge to a parent with one join, then walk the generations backwards over arrays.

    A parent is the row of that uuid and the lowest location in the nearest earlier generation.
    """
    ids = pl.col("ids")
    rows = (
        collect(
            individuals.select("generation", "location", "ids", "uuid_text", "parent_uuids_text")
            .with_columns(
                pl.coalesce(ids.list.first(), _packed(pl.col("uuid_text"))).alias("uuid"),
                pl.coalesce(ids.list.slice(1), pl.col("parent_uuids_text").list.eval(_packed(pl.element()))).alias(
                    "parent"
                ),
            )
            .select("generation", "location", "uuid", "parent")
        )
        .sort("generation", "location")
        .with_row_index("row")
    )
    known = rows.select("uuid", "generation", pl.col("row").alias("of")).drop_nulls()
    edges = (
        rows.lazy()
        .select("row", "generation", "parent")
        .explode("parent", keep_nulls=False)
        .drop_nulls()
        .join_asof(
            known.lazy().unique(("uuid", "generation"), keep="first", maintain_order=True),
            on="generation",
            by_left="parent",
            by_right="uuid",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .select("row", "generation", "of")
        .drop_nulls()
        .collect()
    )
    marked = np.zeros(rows.height, np.bool_)
    marked[rows.select(pl.arg_where((pl.col("generation") == last) & (pl.col("location") == location))).item()] = True
    child, parent, at = (edges[name].to_numpy() for name in ("row", "of", "generation"))
    # The children of a generation stand together: all of them have been seen when it is reached.
    for start, end in reversed(list(_spans(at))):
        marked[parent[start:end][marked[child[start:end]]]] = True
    return rows.select("generation", "location").filter(pl.Series(marked))


def _packed(text: pl.Expr) -> pl.Expr:
    """A uuid that is no canonical one is its letters."""
    return pl.coalesce(
        pl.when(text.str.contains("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")).then(
            text.str.replace_all("-", "", literal=True).str.decode("hex", strict=False)
        ),
        text.cast(pl.Binary),
    )


def _spans(sorted_values: npt.NDArray[np.int32]) -> zip[tuple[int, int]]:
    """Where each value starts and ends."""
    starts = np.flatnonzero(np.diff(sorted_values, prepend=sorted_values[:1] - 1))
    return zip(starts, [*starts[1:], len(sorted_values)], strict=True)
