"""What a question reads, from DuckDB's own log: the queries, the files, the row groups and the columns. No clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpdata.lake.encoding import STORAGE

_LOGS = "['QueryLog', 'FileSystem', 'PhysicalOperator']"
_NAMING = {"Projections", "Filters", "Dynamic Filters"}


@dataclass
class Reading:
    """What was read while a block ran; tables are told by the directory that their files are in."""

    queries: list[str] = field(default_factory=list)
    opened: dict[str, set[str]] = field(default_factory=dict)
    """Files that were opened, by table."""
    row_groups: dict[str, Counter[tuple[str, int]]] = field(default_factory=dict)
    """How often each row group was read: its file and number, by table."""
    columns: dict[str, set[str]] = field(default_factory=dict)
    """Columns that were read, by table."""

    def passes(self, table: str) -> int:
        """How often the row group that was read most was read; 0: none was."""
        return max(self.row_groups.get(table, Counter()).values(), default=0)


@contextmanager
def reading(lab: Any) -> Iterator[Reading]:
    """Give what the DuckDB of a lab reads in a block; it is filled when the block ends."""

    def rows(text: str) -> list[tuple[Any, ...]]:
        return list(lab.sql(text).fetchall())

    found = Reading()
    rows("CALL truncate_duckdb_logs()")
    rows(f"CALL enable_logging({_LOGS}, level = 'trace')")
    yield found
    rows("CALL disable_logging()")
    said = rows("SELECT message FROM duckdb_logs WHERE type = 'QueryLog' ORDER BY timestamp")
    # The first is the end of the call that switched it on.
    found.queries = [text for (text,) in said if "able_logging(" not in text][1:]
    for (path,) in rows(
        "SELECT DISTINCT path FROM duckdb_logs_parsed('FileSystem') WHERE op = 'OPEN' AND path LIKE '%.parquet'"
    ):
        found.opened.setdefault(Path(path).parent.name, set()).add(Path(path).name)
    for info, parameters in rows(
        "SELECT info, parameters FROM duckdb_logs_parsed('PhysicalOperator') WHERE event = 'ReadRowGroup'"
    ):
        file = Path(info["file"])
        found.row_groups.setdefault(file.parent.name, Counter())[file.name, int(info["row_group_id"])] += 1
        # A column that only a filter reads is not among the projections.
        words = {word for name, text in parameters.items() if name in _NAMING for word in re.findall(r"\w+", text)}
        found.columns.setdefault(file.parent.name, set()).update(words & set(STORAGE[file.parent.name].names))
