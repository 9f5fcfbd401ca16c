"""What an engine does for a lab: a snapshot's files as frames of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from gpdata.lake.snapshot import Snapshot


class Engine(Protocol):
    """Turns a snapshot into native frames in canonical form, undoing `gpdata.lake.encoding`.

    Every frame is lazy: nothing is read before somebody asks for rows.
    """

    name: str

    def runs(self, table: pa.Table) -> Any:
        """Return the `runs` frame, given in Arrow."""

    def generations(self, snapshot: Snapshot, runs: Sequence[str] | None) -> Any:
        """Return the `generations` frame."""

    def individuals(self, snapshot: Snapshot, runs: Sequence[str] | None) -> Any:
        """Return the `individuals` frame."""

    def errors(self, individuals: Any) -> Any:
        """Return the `errors` view of an `individuals` frame: one row per training case."""

    def genes(self, individuals: Any) -> Any:
        """Return the `genes` view of an `individuals` frame: one row per gene."""

    def sql(self, text: str) -> Any:
        """Run a query over the tables and views by their names."""

    def anew(self) -> Engine:
        """Return such an engine for another lab."""
