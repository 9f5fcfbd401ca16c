"""What makes a hundred thousand recoveries affordable, and changes nothing of what they do.

Rare things happen often (checkpoints of the log), costly ones cheaply (compression; trials in child processes,
which other tests start); delta-rs reads each different content of a log once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from deltalake import DeltaTable

CHECKPOINT_EVERY = 4
_NOW = 1_767_225_600
_CACHED = 3000


class _Logs:
    """The logs that were read, by the names and bytes of their files."""

    def __init__(self) -> None:
        self.contents: dict[Any, dict[str, Any]] = {}
        self.read: dict[str, tuple[Any, Any]] = {}
        """By path the log as it was read last: its files' marks, and their content."""

    def content(self, path: str) -> Any:
        """Return names and bytes of a log's files."""
        with os.scandir(f"{path}/_delta_log") as entries:
            found = sorted((e.name, e.stat()) for e in entries if e.is_file())
        marks = [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found]
        known = self.read.get(path)
        if known is None or known[0] != marks:
            names = [name for name, _ in found]
            content = frozenset((name, _bytes(f"{path}/_delta_log/{name}")) for name in names)
            known = self.read[path] = (marks, content)
        return known[1]


class CachedTable:
    """A `DeltaTable` that reads a log only where no log of the same content was read before."""

    is_deltatable = staticmethod(DeltaTable.is_deltatable)
    create = staticmethod(DeltaTable.create)

    def __init__(self, logs: _Logs, path: str) -> None:
        self._path = path
        try:
            content = logs.content(path)
        except OSError:
            DeltaTable(path)  # says in its own words what is missing
            raise
        known = logs.contents.get(content)
        if known is None:
            table = DeltaTable(path)
            known = {
                "version": table.version(),
                "batch": table.transaction_version("gpdata"),
                "files": table.get_add_actions(flatten=True),
            }
            if len(logs.contents) >= _CACHED:
                logs.contents.clear()
                logs.read.clear()
            logs.contents[content] = known
        self._known = known

    def version(self) -> int:
        return self._known["version"]  # type: ignore[no-any-return]

    def transaction_version(self, app: str) -> int | None:
        assert app == "gpdata"
        return self._known["batch"]  # type: ignore[no-any-return]

    def get_add_actions(self, *, flatten: bool) -> Any:
        assert flatten
        return self._known["files"]

    def create_checkpoint(self) -> None:
        DeltaTable(self._path).create_checkpoint()


@contextmanager
def quick() -> Iterator[None]:
    """Make recoveries quick for a while."""
    table = partial(CachedTable, _Logs())
    table.is_deltatable, table.create = CachedTable.is_deltatable, CachedTable.create  # type: ignore[attr-defined]
    clock = SimpleNamespace(time=lambda: _NOW, time_ns=iter(range(_NOW * 10**9, 10**20)).__next__)
    with (
        patch("gpdata.lake.compaction.SEALED", 1),
        patch("gpdata.lake.delta.CHECKPOINT_EVERY", CHECKPOINT_EVERY),
        patch("gpdata.lake.transform.heavy_lines", lambda *_, **__: frozenset()),
        patch("gpdata.lake.delta.DeltaTable", table),
        patch("gpdata.lake.delta.time", clock),
    ):
        yield


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 (a million times)
        return file.read()
