"""`gpdata import`: whatever a lab has, from files, directories and archives, restartable, exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpdata.errors import GpdataError, InvalidInput, LakeDamaged, near
from gpdata.importers.finding import find_files, without_superseded
from gpdata.importers.formats import FORMATS
from gpdata.importers.journal import Done, Journal
from gpdata.importers.names import Pattern, check_field, configuration
from gpdata.importers.work import (
    STANDARD_INPUT,
    Began,
    Broke,
    Ended,
    Order,
    PassedBy,
    SetAside,
    Told,
    Unit,
    Wrote,
    load,
)
from gpdata.importers.workers import load_in_processes
from gpdata.lake import Account, Lake, Transformer
from gpdata.spool import SpoolFile
from gpdata.storage import as_place

Loader = Callable[[list[tuple[int, Unit]], Order], Iterator[tuple[int, Told]]]
"""What loads numbered units, anywhere, and tells what happens."""

_FILES_EACH = 4
"""Spool files of a batch: what is read of a stream is safe after so much of one."""
_SHOWN = 1000
"""Refused files and lines that are told one by one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    source: str
    sources_done: int
    sources: int
    bytes_done: int
    """Bytes read of all sources, as they lie on the disk."""
    bytes: int
    """Bytes of all sources; standard input counts as none."""
    account: Account


@dataclass(slots=True)
class Imported:
    """What an import did.

    Parameters
    ----------
    account : Account
        What became of the lines; those that an import which was broken off had stored count as duplicates.
    formats : dict of str to int
        How many files of each format were read.
    set_aside : list of SetAside
        What went to the quarantine before the lake saw it, the first thousand.
    refused : list of PassedBy
        Files that could not be read, or not to their end.
    skipped : list of PassedBy
        Files that are of no known format, and the like.
    resumed : bool
        Whether an import that was broken off was gone on with.
    """

    account: Account = field(default_factory=Account)
    formats: dict[str, int] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    refused: list[PassedBy] = field(default_factory=list)
    skipped: list[PassedBy] = field(default_factory=list)
    resumed: bool = False


def import_archives(
    paths: Iterable[str | Path],
    lake: Lake,
    *,
    owner: str | None = None,
    pattern: str | None = None,
    given: Mapping[str, str] | None = None,
    formats: Iterable[str] = (),
    workers: int = 1,
    loader: Loader | None = None,
    max_line_bytes: int = 256 << 20,
    batch_bytes: int = 64 << 20,
    progress: Callable[[Progress], None] | None = None,
) -> Imported:
    """Import runs from files of any format that gpdata knows into a lake.

    Killed at any moment and run again, it goes on where it was and ends in the same lake.

    Parameters
    ----------
    paths : iterable of str or Path
        As `find_files` takes them.
    lake : Lake
        The lake.
    owner : str, optional
        Who the runs belong to.
    pattern : str, optional
        What file names say, as `gpdata.importers.names.Pattern` has it.
    given : mapping of str to str, optional
        What is known of all runs: the fields of a pattern, and their values.
    formats : iterable of str, optional
        The formats that are taken; all by default.
    workers : int, optional
        Processes that read; with 1 this process does.
    loader : callable, optional
        What loads the files instead, such as `gpdata.sessions.importing.SparkLoader`.
    max_line_bytes : int, optional
        A longer line goes to the quarantine.
    batch_bytes : int, optional
        Raw bytes after which what was read is committed; bounds memory.
    progress : callable, optional
        Called now and then with a `Progress`.

    Returns
    -------
    Imported
        What became of the files and their lines.

    Raises
    ------
    InvalidInput
        An argument cannot be used; nothing is imported then.
    """
    wanted = tuple(dict.fromkeys(formats))
    check_arguments(pattern=pattern, given=given, formats=wanted, workers=workers)
    named = [str(path) for path in paths]
    order = Order(
        str(lake.path.absolute()), owner, max_line_bytes, max(1, batch_bytes // _FILES_EACH), pattern,
        configuration(dict(given or {})), wanted or tuple(FORMATS),
    )  # fmt: skip
    units, superseded = without_superseded(find_files(named), max_line_bytes)
    run = Run(lake, order, named, units, batch_bytes, progress)
    run.result.skipped += superseded
    run.go(loader or (_in_processes(workers) if workers > 1 else load_here(lake)))
    return run.result


def check_arguments(
    *, pattern: str | None, given: Mapping[str, str] | None, formats: Iterable[str] = (), workers: int = 1
) -> None:
    """Raise where an argument of `import_archives` cannot be used, before anything is made.

    Raises
    ------
    InvalidInput
        What was given, and what is valid.
    """
    for name in formats:
        if name not in FORMATS:
            raise InvalidInput(f"the format {name!r} is not known; {near(name, FORMATS)}")
    for name in given or {}:
        check_field(name, "what is given")
    if pattern is not None:
        Pattern(pattern)
    if workers < 1:
        raise InvalidInput(f"{workers} workers were asked for; valid is 1 or more")


def load_here(lake: Lake) -> Loader:
    """Return what loads files in this process."""

    def loaded(units: list[tuple[int, Unit]], order: Order) -> Iterator[tuple[int, Told]]:
        reading = order.reading()
        for number, unit in units:
            for told in load(unit, order, lake, reading):
                yield number, told

    return loaded


def _in_processes(count: int) -> Loader:
    def loaded(units: list[tuple[int, Unit]], order: Order) -> Iterator[tuple[int, Told]]:
        inputs = [number for number, unit in units if unit.path == STANDARD_INPUT]
        if inputs:
            raise InvalidInput("standard input was named with several workers, which cannot share it; use one")
        return load_in_processes(units, order, count)

    return loaded


class Run:
    """An import at work: takes what loaders tell, transforms, and keeps the journal.

    Parameters
    ----------
    lake : Lake
        The lake.
    order : Order
        The import's settings.
    named : list of str
        The paths as they were named.
    units : list of Unit
        The files.
    batch_bytes : int
        Raw bytes after which the spool is transformed.
    progress : callable, optional
        Called with a `Progress`.
    """

    def __init__(
        self,
        lake: Lake,
        order: Order,
        named: list[str],
        units: list[Unit],
        batch_bytes: int,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._lake, self._order, self._units, self._progress = lake, order, units, progress
        self._transformer = Transformer(lake, batch_bytes=batch_bytes)
        self._batch_bytes = batch_bytes
        self._journal = Journal(lake, order, named)
        self._names: list[str | None] = []
        self._dones: list[Done] = []
        for unit in units:
            name, done = self._journal.of(unit)
            self._names.append(name)
            self._dones.append(done)
        self._sizes = [_size(unit) for unit in units]
        self._positions = [0] * len(units)
        self._ended = 0
        self._waiting: list[tuple[int, Wrote, int]] = []
        self._unsettled: dict[int, tuple[Ended, int]] = {}
        self._aside: Counter[int] = Counter()
        """Lines of a unit that were set aside since its last spool file."""
        self._bytes = 0
        self.result = Imported(resumed=self._journal.begun)

    def go(self, loader: Loader) -> None:
        """Load every unit that is not done."""
        todo = []
        for number, (unit, done) in enumerate(zip(self._units, self._dones, strict=True)):
            before = done.account
            self.result.account.add(
                Account(before.lines, duplicates=before.accepted + before.duplicates, quarantined=before.quarantined)
            )
            if done.ended:
                self._ended += 1
                self._positions[number] = self._sizes[number]
            else:
                todo.append((number, Unit(unit.path, unit.named, done.done)))
        for number, told in loader(todo, self._order):
            self._take(number, told)
        self._flush()
        self._journal.end()
        self._show(len(self._units) - 1)

    def _take(self, number: int, told: Told) -> None:
        result = self.result
        if isinstance(told, Broke):
            raise GpdataError(told.reason)
        if isinstance(told, Wrote):
            self._waiting.append((number, told, self._aside.pop(number, 0)))
            self._bytes += told.raw_bytes
            self._positions[number] = told.position
            if self._bytes >= self._batch_bytes:
                self._flush()
            self._show(number)
        elif isinstance(told, SetAside):
            result.account.add(Account(lines=1, quarantined=1))
            self._aside[number] += 1
            if len(result.set_aside) < _SHOWN:
                result.set_aside.append(told)
        elif isinstance(told, PassedBy):
            (result.refused if told.refused else result.skipped).append(told)
        elif isinstance(told, Began):
            result.formats[told.format] = result.formats.get(told.format, 0) + 1
        else:
            self._ended += 1
            self._positions[number] = self._sizes[number]
            self._unsettled[number] = told, self._aside.pop(number, 0)
            self._show(number)

    def _flush(self) -> None:
        """Transform what waits in the spool, account for it, and write down how far everything is."""
        if self._waiting:
            self._transformer.run()
        for number, wrote, aside in self._waiting:
            account = self._transformer.receipt(SpoolFile(wrote.id, self._lake.path, 0))
            if account is None:
                raise LakeDamaged(
                    f"the spool file {wrote.id} was transformed without a receipt; import the same files again: "
                    "what is stored already counts as a duplicate"
                )
            self.result.account.add(account)
            self._dones[number].account.add(account)
            self._dones[number].account.add(Account(lines=aside, quarantined=aside))
            self._dones[number].done = max(self._dones[number].done, wrote.done)
        for number, (ended, aside) in self._unsettled.items():
            self._dones[number].account.add(Account(lines=aside, quarantined=aside))
            self._dones[number].done, self._dones[number].ended = ended.done, True
        for number in {number for number, _, _ in self._waiting} | set(self._unsettled):
            name = self._names[number]
            if name is not None:
                self._journal.units[name] = self._dones[number]
        if self._waiting:
            self._journal.write()
        self._waiting, self._bytes, self._unsettled = [], 0, {}

    def _show(self, number: int) -> None:
        if self._progress is not None and self._units:
            self._progress(
                Progress(
                    self._units[number].path,
                    self._ended,
                    len(self._units),
                    sum(self._positions),
                    sum(self._sizes),
                    self.result.account,
                )
            )


def _size(unit: Unit) -> int:
    try:
        return 0 if unit.path == STANDARD_INPUT else int(as_place(unit.path).stat().st_size)
    except OSError:
        return 0
