"""Polars: lazy frames in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from gpdata.errors import InvalidInput
from gpdata.lake.encoding import STORAGE, TYPE_PATTERNS
from gpdata.lake.snapshot import Snapshot
from gpdata.schema import ERRORS, GENERATIONS, GENES, INDIVIDUALS, RUNS, Table
from gpdata.storage import ObjectPath
from gpdata.storage.reading import polars_options

_GENE_LISTS = {
    "instruction": "gene_instruction",
    "type": "gene_type",
    "close": "gene_close",
    "silent": "gene_silent",
    "uuid": "gene_uuid",
    "parent_uuid": "gene_parent_uuid",
    "random_insertion": "gene_random_insertion",
}
_KEY = ["run_uuid", "generation", "location"]


def _uuid(packed: pl.Expr) -> pl.Expr:
    return packed.bin.encode("hex").str.replace("^(.{8})(.{4})(.{4})(.{4})", "${1}-${2}-${3}-${4}-")


def _type_by_look(instruction: pl.Expr) -> pl.Expr:
    look = pl.lit("string")
    for name, pattern in reversed(TYPE_PATTERNS):
        look = pl.when(instruction.str.contains(pattern)).then(pl.lit(name)).otherwise(look)
    return look


def _decode() -> dict[str, dict[str, pl.Expr]]:
    """Say how a canonical column is made from the stored ones; all others are stored as they are."""
    ids, gene_ids = pl.col("ids"), pl.col("gene_ids")
    genes = pl.col("gene_instruction").list.len()
    uuids = _uuid(pl.element())
    return {
        GENERATIONS.name: {
            "line_sha256": pl.col("line_sha256").bin.encode("hex"),
            "best_so_far": pl.col("total_error_min").cum_min().forward_fill().over("run_uuid", order_by="generation"),
        },
        INDIVIDUALS.name: {
            "normalized_error": pl.when("normalized_is_total").then("total_error").otherwise("normalized_error"),
            "gene_type": pl.coalesce("gene_type", pl.col("gene_instruction").list.eval(_type_by_look(pl.element()))),
            "uuid": pl.when(ids.is_null()).then("uuid_text").otherwise(_uuid(ids.list.get(0, null_on_oob=True))),
            "parent_uuids": pl.when(ids.is_null())
            .then("parent_uuids_text")
            .when((ids.list.len() == 1) | ids.list.get(1, null_on_oob=True).is_not_null())
            .then(ids.list.slice(1).list.eval(uuids)),
            "gene_uuid": pl.when(gene_ids.is_null())
            .then("gene_uuid_text")
            .otherwise(gene_ids.list.slice(0, genes).list.eval(uuids)),
            "gene_parent_uuid": pl.when(gene_ids.is_null())
            .then("gene_parent_uuid_text")
            .when(gene_ids.list.len() > genes)
            .then(gene_ids.list.slice(genes).list.eval(uuids)),
        },
    }


class Polars:
    """Lazy frames; `sql` runs in Polars' own dialect."""

    name = "polars"

    def __init__(self) -> None:
        self._frames: dict[str, pl.LazyFrame] = {}

    def runs(self, table: pa.Table) -> pl.LazyFrame:
        """Return the `runs` frame, given in Arrow."""
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return self._named(RUNS, frame.lazy())

    def generations(self, snapshot: Snapshot, runs: Sequence[str] | None) -> pl.LazyFrame:
        """Return the `generations` frame."""
        return self._stored(GENERATIONS, snapshot, runs)

    def individuals(self, snapshot: Snapshot, runs: Sequence[str] | None) -> pl.LazyFrame:
        """Return the `individuals` frame."""
        return self._stored(INDIVIDUALS, snapshot, runs)

    def errors(self, individuals: pl.LazyFrame) -> pl.LazyFrame:
        """Return the `errors` view: one row per training case."""
        exploded = (
            individuals.filter(pl.col("errors").list.len() > 0)
            .select(*_KEY, _positions("errors").alias("case"), pl.col("errors").alias("error"))
            .explode("case", "error")
        )
        return self._named(ERRORS, exploded)

    def genes(self, individuals: pl.LazyFrame) -> pl.LazyFrame:
        """Return the `genes` view: one row per gene."""
        length = pl.col("gene_instruction").list.len()
        schema = individuals.collect_schema()
        lists = []
        for name, column in _GENE_LISTS.items():
            dtype = schema[column]
            assert isinstance(dtype, pl.List)
            nothing = pl.lit(None, dtype.inner).repeat_by(length)
            lists.append(pl.coalesce(column, nothing).alias(name))
        exploded = (
            individuals.filter(length > 0)
            .select(*_KEY, _positions("gene_instruction").alias("position"), *lists)
            .explode("position", *_GENE_LISTS)
        )
        return self._named(GENES, exploded)

    def sql(self, text: str) -> pl.LazyFrame:
        """Run a query over the tables and views by their names."""
        try:
            result = pl.SQLContext(self._frames).execute(text)
            result.collect_schema()  # a misspelt name is told here, not when rows are asked for
        except pl.exceptions.PolarsError as error:
            raise InvalidInput(f"Polars cannot run this query: {error}") from error
        return result

    def persist(self, table: Table, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Compute the frame of a table now, keep its rows in memory, and return the frame that reads them there."""
        return self._named(table, frame.collect().lazy())

    def unpersist(self, table: Table, frame: pl.LazyFrame) -> None:
        """Let go of what `persist` keeps of a table; `frame` is the one that it was given, which holds again."""
        self._named(table, frame)

    def anew(self) -> Polars:
        """Return such an engine for another lab."""
        return Polars()

    def _stored(self, table: Table, snapshot: Snapshot, runs: Sequence[str] | None) -> pl.LazyFrame:
        decode = _decode()[table.name]
        paths = snapshot.paths(table.name)
        if paths:
            # With no source of credentials of its own: what the environment says goes to every library alike.
            told: dict[str, Any] = (
                {"storage_options": polars_options(), "credential_provider": None}
                if isinstance(snapshot.path, ObjectPath)
                else {}
            )
            frame = pl.scan_parquet(paths, glob=False, hive_partitioning=False, **told)
        else:
            empty = pl.from_arrow(STORAGE[table.name].empty_table())
            assert isinstance(empty, pl.DataFrame)
            frame = empty.lazy()
        if snapshot.mixed(table.name):
            frame = frame.filter(pl.col("batch") <= snapshot.version)
        if runs is not None:
            frame = frame.filter(pl.col("run_uuid").is_in(list(runs)))
        columns = [decode[name].alias(name) if name in decode else pl.col(name) for name in table.names]
        return self._named(table, frame.select(columns))

    def _named(self, table: Table, frame: pl.LazyFrame) -> pl.LazyFrame:
        self._frames[table.name] = frame
        return frame


def _positions(column: str) -> pl.Expr:
    return pl.int_ranges(0, pl.col(column).list.len(), dtype=pl.Int32)
