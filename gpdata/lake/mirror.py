"""A lake in HDFS: what this process needs of it, brought here by a Spark session.

The rows of `individuals` stay there, and Spark reads them. The logs say which files belong to a version, and the files
of `runs` and `generations` are read by this process, too: those are copied into a private directory of this machine.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from gpdata.errors import LakeDamaged, NotALake
from gpdata.lake.delta import DataFile, Table
from gpdata.lake.lake import MARKER, is_marker
from gpdata.schema import GENERATIONS, STORED
from gpdata.spool import Disk
from gpdata.storage.hdfs import HdfsPath

Fetch: TypeAlias = Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]
"""Gives the address and the content of each named file, and of each file directly in a named directory.

A name that is not there is a FileNotFoundError.
"""
_AT_ONCE = 64 << 20
"""Bytes of data files that one job brings, unless one file has more."""
_AGAIN = "What lies in HDFS is a copy: make it anew of a lake that nothing writes meanwhile (hdfs dfs -put)"


class Mirror:
    """What is here of a lake in HDFS; read only, and gone with this process.

    Attributes
    ----------
    path : HdfsPath
        Where the lake is.
    """

    def __init__(self, path: HdfsPath, fetch: Fetch) -> None:
        self.path = path
        self._fetch = fetch
        self._here = Path(tempfile.mkdtemp(prefix="gpdata-hdfs-"))
        weakref.finalize(self, shutil.rmtree, self._here, ignore_errors=True)

    @contextmanager
    def reading(self) -> Iterator[Mapping[str, Table]]:
        """Bring the logs as they are now, and give the tables to who lists their files.

        Raises
        ------
        NotALake
            There is no such path, or it has no `gpdata.json`.
        LakeDamaged
            A log is missing, or cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="logs-", dir=self._here) as name:
            folder = Path(name)
            # In the order in which they are listed: what a log of generations names is complete in the other tables.
            marker = self._bring_logs(folder, [GENERATIONS.name])
            self._bring_logs(folder, [table.name for table in STORED if table is not GENERATIONS])
            if not is_marker(marker, self.path):
                raise NotALake(self._not_a_lake())
            try:
                yield {table.name: Table(folder / table.name, Disk(), folder) for table in STORED}
            except LakeDamaged as error:
                said = str(error).replace(str(folder), str(self.path)).partition("; run 'gpdata verify'")[0]
                raise LakeDamaged(f"{said}. {_AGAIN}") from error

    def copies(self, table: str, files: Sequence[DataFile]) -> list[Path]:
        """Return files of a table on this machine, brought where they were not yet.

        Raises
        ------
        LakeDamaged
            A file is not there, or is not what the log says.
        """
        folder = self._here / table
        folder.mkdir(exist_ok=True)
        absent = {file.path: file for file in files if not _is_here(folder / file.path, file)}
        for names in _groups(list(absent.values())):
            try:
                found = dict(self._fetch([str(self.path / table / name) for name in names]))
            except FileNotFoundError as error:
                raise LakeDamaged(
                    f"the log of {self.path} names a file of the table {table!r} that is not there ({error}); "
                    f"where the lake was copied since, open it again. {_AGAIN}"
                ) from error
            for address, data in found.items():
                file = absent[_name(address)]
                if len(data) != file.size:
                    raise LakeDamaged(
                        f"{address} has {len(data)} bytes; its log says {file.size}: it was not copied whole. {_AGAIN}"
                    )
                _write(folder / file.path, data)
        return [folder / file.path for file in files]

    def _bring_logs(self, folder: Path, tables: Sequence[str]) -> bytes:
        """Write the logs of some tables below a directory; return the lake's marker."""
        marker = str(self.path / MARKER)
        try:
            found = dict(self._fetch([marker, *(str(self.path / table / "_delta_log") for table in tables)]))
        except FileNotFoundError as error:
            try:
                self._fetch([marker])
            except FileNotFoundError:
                raise NotALake(self._not_a_lake()) from None
            raise LakeDamaged(f"{self.path} has a {MARKER}, but not all of a lake ({error}). {_AGAIN}") from error
        for table in tables:
            (folder / table / "_delta_log").mkdir(parents=True)
        content = b""
        for address, data in found.items():
            if _name(address) == MARKER:
                content = data
            else:
                table = address.split("/")[-3]
                (folder / table / "_delta_log" / _name(address)).write_bytes(data)
        return content

    def _not_a_lake(self) -> str:
        try:
            inside = sorted(address.split("/")[-2] for address, _ in self._fetch([f"{self.path}/*/{MARKER}"]))
        except FileNotFoundError:
            inside = []
        hint = f"; it holds the lakes {', '.join(inside)}: name one of them" if inside else ""
        return (
            f"there is no gpdata lake at {self.path}: it has no {MARKER}{hint}. Name the directory that a lake was "
            f"copied to; 'hdfs dfs -ls {self.path}' shows what is there"
        )


def _name(address: str) -> str:
    return address.rpartition("/")[2]


def _is_here(path: Path, file: DataFile) -> bool:
    return path.exists() and path.stat().st_size == file.size


def _write(path: Path, data: bytes) -> None:
    """Write a file that others see whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def _groups(files: Sequence[DataFile]) -> Iterator[list[str]]:
    """Part files into groups for one job each."""
    group: list[str] = []
    size = 0
    for file in files:
        if group and size + file.size > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(file.path)
        size += file.size
    if group:
        yield group
