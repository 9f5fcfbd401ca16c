"""How far an import is, so that one that was broken off need not read everything again.

Only time hangs on it: what it says is in the lake was committed before it was written, and without it everything is
read again and counts as stored before. It is removed when its import ends.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from gpdata.importers.work import STANDARD_INPUT, Order, Unit
from gpdata.lake import Account, Lake


class Done(msgspec.Struct):
    """How far a unit is."""

    done: int = 0
    """Its lines that are in the lake or in the quarantine."""
    ended: bool = False
    account: Account = msgspec.field(default_factory=Account)


class _Page(msgspec.Struct, frozen=True):
    batch: int
    """The lake's newest batch: a lake that was put back to an older state does not have what is said here."""
    units: dict[str, Done]


class Journal:
    """The journal of one import: the same paths, with the same settings.

    Parameters
    ----------
    lake : Lake
        Where it is kept, beside the receipts.
    order : Order
        The import's settings.
    paths : list of str
        What was named.
    """

    def __init__(self, lake: Lake, order: Order, paths: list[str]) -> None:
        self._lake = lake
        named = [path if "://" in path or path == STANDARD_INPUT else str(Path(path).absolute()) for path in paths]
        identity = msgspec.json.encode([msgspec.to_builtins(order), sorted(named)], order="sorted")
        self._path = lake.path / "receipts" / f"import-{hashlib.sha256(identity).hexdigest()[:24]}.json"
        self.units = self._read()
        self.begun = bool(self.units)
        """Whether an earlier import was broken off."""

    def of(self, unit: Unit) -> tuple[str | None, Done]:
        """Return the name of a unit, None where it cannot be known again, and how far it is."""
        if unit.path == STANDARD_INPUT or "://" in unit.path:
            return None, Done()
        path = Path(unit.path)
        try:
            facts = path.stat()
        except OSError:
            return None, Done()
        name = f"{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}"
        return name, self.units.get(name, Done())

    def write(self) -> None:
        """Keep what `units` says; call it only when all of that is in the lake."""
        page = _Page(self._batch(), self.units)
        self._lake.disk.write(self._path, msgspec.json.encode(page), self._lake.scratch)

    def end(self) -> None:
        """Remove the journal: the import is done."""
        self._lake.disk.remove(self._path)

    def _read(self) -> dict[str, Done]:
        try:
            page = msgspec.json.decode(self._path.read_bytes(), type=_Page)
        except (FileNotFoundError, msgspec.DecodeError):
            return {}
        return page.units if page.batch <= self._batch() else {}

    def _batch(self) -> int:
        return min(table.committed_batch() for table in self._lake.tables.values())
