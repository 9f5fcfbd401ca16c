"""DuckDB: the embedded default engine."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from gpdata.errors import InvalidInput
from gpdata.lake.encoding import STORAGE, TYPE_PATTERNS
from gpdata.lake.snapshot import Snapshot
from gpdata.schema import ERRORS, GENERATIONS, GENES, INDIVIDUALS, RUNS, Table
from gpdata.schema.looks import FIRST_OF_LOOKS
from gpdata.schema.relations import ERROR_VECTORS, GENOMES, PARENT_COUNT, other_form, remember
from gpdata.storage import ObjectPath
from gpdata.storage.reading import dataset

_UUID = "CAST(CAST({} AS UUID) AS VARCHAR)"
_UUIDS = f"list_transform({{}}, lambda x: {_UUID.format('x')})"

_LOOKS = f"WHEN NOT contains('{FIRST_OF_LOOKS}', x[1]) THEN 'string' " + " ".join(
    f"WHEN regexp_matches(x, '{pattern}') THEN '{name}'" for name, pattern in TYPE_PATTERNS
)

_REWRITE = "distinct_aggregate_rewrite"
"""What DuckDB calls the step of its optimizer that turns each count(DISTINCT ...) into a query of its own."""

# How a canonical column is made from the stored ones; all others are stored as they are.
_DECODE = {
    GENERATIONS.name: {
        "line_sha256": "lower(hex(line_sha256))",
        "best_so_far": "min(total_error_min) OVER (PARTITION BY run_uuid ORDER BY generation)",
    },
    INDIVIDUALS.name: {
        "normalized_error": "CASE WHEN normalized_is_total THEN total_error ELSE normalized_error END",
        "gene_type": "CASE WHEN gene_type IS NULL "
        f"THEN list_transform(gene_instruction, lambda x: CASE {_LOOKS} ELSE 'string' END) ELSE gene_type END",
        "uuid": f"CASE WHEN ids IS NULL THEN uuid_text ELSE {_UUID.format('ids[1]')} END",
        "parent_uuids": "CASE WHEN ids IS NULL THEN parent_uuids_text "
        f"WHEN len(ids) > 1 AND ids[2] IS NULL THEN NULL ELSE {_UUIDS.format('ids[2:]')} END",
        "gene_uuid": "CASE WHEN gene_ids IS NULL THEN gene_uuid_text "
        f"ELSE {_UUIDS.format('gene_ids[1:len(gene_instruction)]')} END",
        "gene_parent_uuid": "CASE WHEN gene_ids IS NULL THEN gene_parent_uuid_text "
        "WHEN len(gene_ids) > len(gene_instruction) "
        f"THEN {_UUIDS.format('gene_ids[len(gene_instruction) + 1:]')} END",
    },
}

_COUNTED = (
    "run_uuid, generation, location, age, total_error, CASE WHEN ids IS NULL THEN len(parent_uuids_text) "
    "WHEN len(ids) > 1 AND ids[2] IS NULL THEN NULL ELSE len(ids) - 1 END AS parent_count"
)
"""The individuals with the number of their parents, which needs no uuid."""

_AS_STORED = "run_uuid, generation, location, gene_instruction, gene_type"
"""The individuals with their genomes, of which no type is worked out."""

# One unnest, of the positions: DuckDB then reads only the lists that somebody asks for.
_ERRORS = """
SELECT run_uuid, generation, location, CAST(k - 1 AS INTEGER) AS "case", errors[k] AS error
FROM (SELECT *, unnest(range(1, len(errors) + 1)) AS k FROM individuals)"""
_GENES = """
SELECT run_uuid, generation, location, CAST(k - 1 AS INTEGER) AS position,
       gene_instruction[k] AS instruction, gene_type[k] AS type, gene_close[k] AS close, gene_silent[k] AS silent,
       gene_uuid[k] AS uuid, gene_parent_uuid[k] AS parent_uuid, gene_random_insertion[k] AS random_insertion
FROM (SELECT *, unnest(range(1, len(gene_instruction) + 1)) AS k FROM individuals)"""


class DuckDB:
    """A DuckDB connection of the lab's own, in memory."""

    name = "duckdb"

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._views: dict[str, str] = {}
        self._connection.execute("SET TimeZone = 'UTC'")
        # A file of the lake never changes under its name: its footer is read once, not at every step of every question.
        self._connection.execute("SET parquet_metadata_cache = true")
        # In a notebook a bar of a query that takes two seconds stays as an output, on slow machines only.
        self._connection.execute("SET enable_progress_bar = false")
        # Several count(DISTINCT ...) would first make all their columns, those too whose counts nobody asks for.
        if self._connection.sql(f"SELECT 1 FROM duckdb_optimizers() WHERE name = '{_REWRITE}'").fetchall():
            self._connection.execute(f"SET disabled_optimizers = '{_REWRITE}'")

    def runs(self, table: pa.Table) -> duckdb.DuckDBPyRelation:
        """Return the `runs` frame, given in Arrow."""
        self._connection.register("_runs", table)
        return self._view(RUNS, "SELECT * FROM _runs")

    def generations(self, snapshot: Snapshot, runs: Sequence[str] | None) -> duckdb.DuckDBPyRelation:
        """Return the `generations` frame."""
        return self._shown(GENERATIONS, self._source(GENERATIONS, snapshot, runs))

    def individuals(self, snapshot: Snapshot, runs: Sequence[str] | None) -> duckdb.DuckDBPyRelation:
        """Return the `individuals` frame."""
        stored = self._source(INDIVIDUALS, snapshot, runs)
        frame = self._shown(INDIVIDUALS, stored)
        connection = self._connection
        remember(frame, PARENT_COUNT, lambda: connection.sql(f"SELECT {_COUNTED} FROM {stored}"))
        remember(frame, GENOMES, lambda: connection.sql(f"SELECT {_AS_STORED} FROM {stored}"))
        return frame

    def errors(self, individuals: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Return the `errors` view: one row per training case."""
        frame = self._view(ERRORS, _ERRORS)
        remember(frame, ERROR_VECTORS, lambda: individuals)
        return frame

    def genes(self, individuals: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Return the `genes` view: one row per gene."""
        frame = self._view(GENES, _GENES)
        remember(frame, GENOMES, lambda: other_form(individuals, GENOMES))
        return frame

    def sql(self, text: str) -> duckdb.DuckDBPyRelation:
        """Run a query over the tables and views by their names."""
        try:
            relation = self._connection.sql(text)
        except duckdb.Error as error:
            raise InvalidInput(f"DuckDB cannot run this query: {error}") from error
        if relation is None:
            raise InvalidInput(f"the statement {text!r} returns no rows; give a query (SELECT, FROM, DESCRIBE ...)")
        return relation

    def persist(self, table: Table, frame: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Compute the frame of a table now, keep its rows in memory, and return the frame that reads them there."""
        self._connection.execute(f"CREATE OR REPLACE TABLE _kept_{table.name} AS FROM {table.name}")
        self._connection.execute(f"CREATE OR REPLACE VIEW {table.name} AS FROM _kept_{table.name}")
        return self._connection.table(table.name)

    def unpersist(self, table: Table, frame: duckdb.DuckDBPyRelation) -> None:
        """Let go of what `persist` keeps of a table; `frame` is the one that it was given, which holds again."""
        self._connection.execute(self._views[table.name])
        self._connection.execute(f"DROP TABLE _kept_{table.name}")

    def anew(self) -> DuckDB:
        """Return such an engine for another lab."""
        return DuckDB()

    def _source(self, table: Table, snapshot: Snapshot, runs: Sequence[str] | None) -> str:
        """Return where a table's rows are, as they are stored: what stands after FROM."""
        paths = snapshot.paths(table.name)
        places = [place for place in snapshot.places(table.name) if isinstance(place, ObjectPath)]
        if places:
            # Arrow reads from the store, and DuckDB pushes columns and filters into it: httpfs need not be had.
            source = f"_stored_{table.name}"
            self._connection.register(source, dataset(places, STORAGE[table.name]))
        elif paths:
            source = f"read_parquet([{', '.join(map(_literal, paths))}], hive_partitioning = false)"
        else:
            self._connection.register(f"_no_{table.name}", STORAGE[table.name].empty_table())
            source = f"_no_{table.name}"
        conditions = [f"batch <= {snapshot.version}"] if snapshot.mixed(table.name) else []
        if runs is not None:
            conditions.append(f"run_uuid IN ({', '.join(map(_literal, runs))})" if runs else "false")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return source + where

    def _shown(self, table: Table, source: str) -> duckdb.DuckDBPyRelation:
        decode = _DECODE[table.name]
        columns = ", ".join(f"{decode[name]} AS {name}" if name in decode else name for name in table.names)
        return self._view(table, f"SELECT {columns} FROM {source}")

    def _view(self, table: Table, query: str) -> duckdb.DuckDBPyRelation:
        self._views[table.name] = f"CREATE OR REPLACE VIEW {table.name} AS {query}"
        self._connection.execute(self._views[table.name])
        return self._connection.table(table.name)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
