"""Recorder streams from files into a lake, restartable, exactly once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gpdata.errors import InvalidInput
from gpdata.importers.archives import Progress, Run, load_here
from gpdata.importers.work import STANDARD_INPUT, Order, Unit
from gpdata.lake import Account, Lake
from gpdata.lake.lake import MARKER

_ENDINGS = (".jsonl", ".ndjson", ".raw")
_COMPRESSED = (".zst", ".gz", ".xz", ".bz2")


def find_streams(paths: Iterable[str | Path]) -> list[str]:
    """Return the recorder streams that the paths name, directories searched through.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, taken whatever their name; directories, in which ``*.jsonl``, ``*.ndjson`` and ``*.raw``, plain
        or ``.zst``, ``.gz``, ``.xz`` or ``.bz2``, are taken in the order of their names; ``-`` for standard input.

    Raises
    ------
    InvalidInput
        A path does not exist, or a directory holds no stream.
    """
    found: list[str] = []
    for path in map(str, paths):
        if path == STANDARD_INPUT:
            found.append(path)
        elif Path(path).is_dir():
            inside = sorted(_streams_below(Path(path)))
            if not inside:
                raise InvalidInput(
                    f"the directory {path} holds no recorder stream; streams end in "
                    f"{', '.join(_ENDINGS)}, plain or with {' or '.join(_COMPRESSED)}: name the files to import"
                )
            found += inside
        elif Path(path).exists():
            found.append(path)
        else:
            raise InvalidInput(f"{path} does not exist; name files, directories, or - for standard input")
    return found


def import_paths(
    paths: Iterable[str | Path],
    lake: Lake,
    *,
    owner: str | None = None,
    max_line_bytes: int = 256 << 20,
    batch_bytes: int = 64 << 20,
    progress: Callable[[Progress], None] | None = None,
) -> Account:
    """Import recorder streams into a lake; every file is read as one, whatever it looks like.

    Killed at any moment and run again, it ends in the same lake: what is stored already counts as a duplicate.

    Parameters
    ----------
    paths : iterable of str or Path
        As `find_streams` takes them.
    lake : Lake
        The lake.
    owner : str, optional
        Who the runs belong to.
    max_line_bytes : int, optional
        A longer line goes to the quarantine.
    batch_bytes : int, optional
        Raw bytes after which what was read is committed; bounds memory.
    progress : callable, optional
        Called now and then with a `Progress`.

    Returns
    -------
    Account
        What became of the lines of these streams.

    Raises
    ------
    InvalidInput
        A path cannot be used; nothing is imported then.
    """
    sources = find_streams(paths)
    order = Order(str(lake.path.absolute()), owner, max_line_bytes, batch_bytes, streams_only=True)
    run = Run(lake, order, sources, [Unit(source) for source in sources], batch_bytes, progress)
    run.go(load_here(lake))
    return run.result.account


def _streams_below(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        if MARKER in names:
            folders.clear()  # a lake's own files are no recorder streams
            continue
        for name in names:
            stem = name
            for ending in _COMPRESSED:
                stem = stem.removesuffix(ending)
            if stem.endswith(_ENDINGS):
                yield str(Path(folder) / name)
