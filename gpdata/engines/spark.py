"""Spark, classic and Connect: DataFrames of a session that somebody else started and will stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException

from gpdata.errors import InvalidInput
from gpdata.lake.encoding import STORAGE, TYPE_PATTERNS
from gpdata.lake.snapshot import Snapshot
from gpdata.schema import ERRORS, GENERATIONS, GENES, INDIVIDUALS, RUNS, Table
from gpdata.schema.relations import PARENT_COUNT
from gpdata.sessions.hdfs import read_files
from gpdata.sessions.partitions import fit
from gpdata.storage.place import hadoop_address

_UUID_PARTS = ((1, 4), (5, 2), (7, 2), (9, 2), (11, 6))
"""Where the bytes of each part of a uuid begin, from 1, and how many they are."""


def _uuid(packed: str) -> str:
    # Not by a pattern: in a list of parents, which Spark goes through without compiling, this takes half as long.
    parts = ", '-', ".join(f"hex(substring({packed}, {first}, {length}))" for first, length in _UUID_PARTS)
    return f"lower(concat({parts}))"


def _uuids(packed: str) -> str:
    return f"transform({packed}, x -> {_uuid('x')})"


_LOOKS = " ".join(f"WHEN x RLIKE r'{pattern}' THEN '{name}'" for name, pattern in TYPE_PATTERNS)

# How a canonical column is made from the stored ones; all others are stored as they are.
_DECODE = {
    GENERATIONS.name: {
        "line_sha256": "lower(hex(line_sha256))",
        "best_so_far": "min(total_error_min) OVER (PARTITION BY run_uuid ORDER BY generation)",
    },
    INDIVIDUALS.name: {
        "normalized_error": "CASE WHEN normalized_is_total THEN total_error ELSE normalized_error END",
        "gene_type": f"coalesce(gene_type, transform(gene_instruction, x -> CASE {_LOOKS} ELSE 'string' END))",
        "uuid": f"CASE WHEN ids IS NULL THEN uuid_text ELSE {_uuid('ids[0]')} END",
        "parent_uuids": "CASE WHEN ids IS NULL THEN parent_uuids_text WHEN size(ids) > 1 AND get(ids, 1) IS NULL "
        f"THEN NULL ELSE {_uuids('slice(ids, 2, size(ids))')} END",
        "gene_uuid": "CASE WHEN gene_ids IS NULL THEN gene_uuid_text "
        f"ELSE {_uuids('slice(gene_ids, 1, size(gene_instruction))')} END",
        "gene_parent_uuid": "CASE WHEN gene_ids IS NULL THEN gene_parent_uuid_text "
        "WHEN size(gene_ids) > size(gene_instruction) "
        f"THEN {_uuids('slice(gene_ids, size(gene_instruction) + 1, size(gene_ids))')} END",
    },
}
_KEY = ("run_uuid", "generation", "location")

_AT = {name: f"get(gene_{name}, position)" for name in GENES.names[5:]}
"""How a column of `genes` is made of an individual's lists, `position` and `instruction`."""
# The same from the lists as they are stored: no list of an individual is made for it, and only what is asked is read.
# Few instructions begin as something else than a string does: the others are not matched against a pattern.
_AT_STORED = _AT | {
    "type": "coalesce(get(gene_type, position), CASE WHEN instruction IS NULL OR ascii(instruction) NOT IN "
    f"({', '.join(str(ord(first)) for first in '-0123456789NItfn[{')}) THEN 'string' "
    f"{_LOOKS.replace('x RLIKE', 'instruction RLIKE')} ELSE 'string' END)",
    "uuid": "CASE WHEN gene_ids IS NULL THEN get(gene_uuid_text, position) "
    f"ELSE {_uuid('get(gene_ids, position)')} END",
    "parent_uuid": "CASE WHEN gene_ids IS NULL THEN get(gene_parent_uuid_text, position) WHEN size(gene_ids) > "
    f"size(gene_instruction) THEN {_uuid('get(gene_ids, size(gene_instruction) + position)')} END",
}


class Spark:
    """The frames of a Spark session; it is borrowed, and never stopped here."""

    name = "spark"

    def __init__(self, session: Any) -> None:
        self._session = session
        self._frames: dict[str, Any] = {}
        # The individuals as they are stored, and the frame that is made of them.
        self._undecoded: Any = None
        self._decoded: Any = None

    def runs(self, table: pa.Table) -> Any:
        """Return the `runs` frame, given in Arrow."""
        return self._named(RUNS, self._from_arrow(table))

    def generations(self, snapshot: Snapshot, runs: Sequence[str] | None) -> Any:
        """Return the `generations` frame."""
        return self._shown(GENERATIONS, self._stored(GENERATIONS, snapshot, runs))

    def individuals(self, snapshot: Snapshot, runs: Sequence[str] | None) -> Any:
        """Return the `individuals` frame; a session that gpdata started is fitted to its size."""
        fit(self._session, sum(file.size for file in snapshot.files[INDIVIDUALS.name]))
        self._undecoded = self._stored(INDIVIDUALS, snapshot, runs)
        self._decoded = self._shown(INDIVIDUALS, self._undecoded)
        # An attribute of this frame alone: whatever is made of it has other rows.
        setattr(self._decoded, PARENT_COUNT, partial(_counted, self._undecoded))
        return self._decoded

    def errors(self, individuals: Any) -> Any:
        """Return the `errors` view: one row per training case."""
        return self._named(ERRORS, individuals.selectExpr(*_KEY, "posexplode(errors) AS (`case`, error)"))

    def genes(self, individuals: Any) -> Any:
        """Return the `genes` view: one row per gene."""
        frame, made = (self._undecoded, _AT_STORED) if individuals is self._decoded else (individuals, _AT)
        exploded = frame.selectExpr("*", "posexplode(gene_instruction) AS (position, instruction)")
        columns = (f"{value} AS {name}" for name, value in made.items())
        return self._named(GENES, exploded.selectExpr(*_KEY, "position", "instruction", *columns))

    def sql(self, text: str) -> Any:
        """Run a query over the tables and views by their names, as temporary views of the session."""
        try:
            for name, frame in self._frames.items():
                frame.createOrReplaceTempView(name)
            result = self._session.sql(text)
            # Connect analyses late; another lab of the session may have its views there by then.
            result.schema  # noqa: B018
        except PySparkException as error:
            raise InvalidInput(f"Spark cannot run this query: {error}") from error
        return result

    def persist(self, table: Table, frame: Any) -> Any:
        """Compute the frame of a table now, keep its rows in the executors, and return the frame that reads them there.

        What has no room in memory goes to the executors' disks. It ends with the session, too.
        """
        frame.persist().count()
        # A frame that was computed before keeps the plan that reads the files; a new one finds what is kept.
        return self._named(table, frame.select("*"))

    def unpersist(self, table: Table, frame: Any) -> None:
        """Let go of what `persist` keeps of a table; `frame` is the one that it was given, which holds again."""
        frame.unpersist()
        self._named(table, frame)

    def read_files(self, addresses: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        """Read whole files that only the session reaches, as `gpdata.lake.mirror` asks for them."""
        return read_files(self._session, addresses)

    def anew(self) -> Spark:
        """Return such an engine for another lab."""
        return Spark(self._session)

    def _stored(self, table: Table, snapshot: Snapshot, runs: Sequence[str] | None) -> Any:
        """Return a table as it is stored."""
        paths = [hadoop_address(place) for place in snapshot.places(table.name)]
        schema = STORAGE[table.name]
        if paths:
            frame = self._session.read.schema(_spark_schema(schema)).parquet(*paths)
        else:
            frame = self._from_arrow(schema.empty_table())
        if snapshot.mixed(table.name):
            frame = frame.filter(f"batch <= {snapshot.version}")
        if runs is not None:
            frame = frame.filter(frame["run_uuid"].isin(list(runs)))
        return frame

    def _shown(self, table: Table, frame: Any) -> Any:
        decode = _DECODE[table.name]
        columns = [f"{decode[name]} AS {name}" if name in decode else name for name in table.names]
        return self._named(table, frame.selectExpr(*columns))

    def _from_arrow(self, table: pa.Table) -> Any:
        # Connect infers the schema of a table from its rows, and refuses one that has none.
        return self._session.createDataFrame(table if table.num_rows else [], _spark_schema(table.schema))

    def _named(self, table: Table, frame: Any) -> Any:
        self._frames[table.name] = frame
        return frame


def _counted(stored: Any) -> Any:
    """Return the individuals with the number of their parents, which needs no uuid."""
    return stored.selectExpr(
        *_KEY,
        "age",
        "total_error",
        "CASE WHEN ids IS NULL THEN array_size(parent_uuids_text) WHEN size(ids) > 1 AND get(ids, 1) IS NULL THEN NULL "
        "ELSE size(ids) - 1 END AS parent_count",
    )


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
