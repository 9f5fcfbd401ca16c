"""Which files are imported: those that paths name, but those that say less of a run than another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpdata.errors import InvalidInput
from gpdata.importers.compressed import DAMAGE, begun, decompressed
from gpdata.importers.formats import FORMATS, HEAD_BYTES, format_of
from gpdata.importers.work import STANDARD_INPUT, PassedBy, Unit
from gpdata.lake.lake import MARKER
from gpdata.storage import as_place
from gpdata.wire import KeyFinder


def find_files(paths: Iterable[str | Path]) -> list[Unit]:
    """Return the files that the paths name, directories searched through.

    Parameters
    ----------
    paths : iterable of str or Path
        Files; directories, of which every file is taken in the order of the names, but those of lakes, and those
        whose name, or folder's name, begins with a dot; ``-`` for standard input; ``s3://`` addresses of objects.

    Raises
    ------
    InvalidInput
        A path does not exist, or a directory holds no file.
    """
    found: list[Unit] = []
    for path in map(str, paths):
        if path == STANDARD_INPUT:
            found.append(Unit(path))
        elif Path(path).is_dir():
            inside = sorted(_files_below(Path(path)))
            if not inside:
                raise InvalidInput(f"the directory {path} holds no recorder stream, log or archive: name another")
            found += [Unit(name, named=False) for name in inside]
        elif as_place(path).exists():
            found.append(Unit(path))
        else:
            raise InvalidInput(f"{path} does not exist; name files, directories, or - for standard input")
    return found


def without_superseded(units: list[Unit], limit: int) -> tuple[list[Unit], list[PassedBy]]:
    """Take out the files of which another says the same run more fully.

    Clojush can write a run as an EDN log, as its output and through a recorder at once; all of these name the run.

    Parameters
    ----------
    units : list of Unit
        The files; archives are not looked into.
    limit : int
        Bytes of the longest line.

    Returns
    -------
    list of Unit, list of PassedBy
        Those to read, in their order, and the others.
    """
    named: dict[int, tuple[str, int]] = {}
    streams: list[int] = []
    for number, unit in enumerate(units):
        found = _run_of(unit)
        if found is not None and found[1] == FORMATS["recorder"].rank:
            streams.append(number)
        elif found is not None and found[0]:
            named[number] = found
    if not named:
        return units, []
    runs = {run for run, _ in named.values()}
    for number in streams:
        run = _run_of_stream(units[number], limit)
        if run in runs:
            named[number] = (run, FORMATS["recorder"].rank)
    fullest = {run: max((rank, -n) for n, (r, rank) in named.items() if r == run) for run, _ in named.values()}
    passed = {
        number: PassedBy(units[number].path, f"{units[-fullest[run][1]].path} says more of the same run, {run}", False)
        for number, (run, rank) in named.items()
        if rank < fullest[run][0]
    }
    return [unit for number, unit in enumerate(units) if number not in passed], list(passed.values())


def _run_of(unit: Unit) -> tuple[str, int] | None:
    """Return the run that a file's beginning names, and how much its format says; archives are not looked into."""
    if unit.path == STANDARD_INPUT:
        return None
    try:
        with as_place(unit.path).open("rb") as stream:
            head, _ = begun(decompressed(stream), HEAD_BYTES)
    except DAMAGE:
        return None  # reading it will say so
    found = format_of(head)
    return None if found is None else (found.run_uuid(head) or "", found.rank)


def _run_of_stream(unit: Unit, limit: int) -> str | None:
    """Return the run of a recorder stream's first line, which names it at its end."""
    finder = KeyFinder()
    try:
        with as_place(unit.path).open("rb") as stream:
            content, size = decompressed(stream), 0
            while size < limit and (piece := content.readline(1 << 20)):
                size += len(piece)
                finder.feed(piece)
                if piece.endswith(b"\n"):
                    break
    except DAMAGE:
        return None  # reading it will say so
    key = finder.key()
    return None if key is None else key[0]


def _files_below(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        if MARKER in names:
            folders.clear()  # a lake's own files are nothing to import
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(folder) / name) for name in names if not name.startswith("."))
