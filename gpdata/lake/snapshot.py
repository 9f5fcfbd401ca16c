"""A snapshot: the rows of every batch up to one, as an explicit list of Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpdata.errors import UnknownVersion
from gpdata.lake.delta import DataFile
from gpdata.lake.lake import Lake
from gpdata.lake.mirror import Mirror
from gpdata.schema import GENERATIONS, STORED
from gpdata.storage import HdfsPath, Place


@dataclass(frozen=True)
class Snapshot:
    """The files of one version of a lake.

    Attributes
    ----------
    path : Path, ObjectPath or HdfsPath
        The lake's directory.
    version : int
        The greatest batch that belongs to the snapshot; it names the same rows for ever, whatever is
        compacted or removed later. 0 before the first batch.
    files : mapping of str to tuple of DataFile
        The files of each stored table that can hold rows of the snapshot.
    mirror : Mirror or None
        What copies files for this process, where the lake is in HDFS.
    """

    path: Place | HdfsPath
    version: int
    files: Mapping[str, tuple[DataFile, ...]]
    mirror: Mirror | None = None

    def paths(self, table: str) -> list[str]:
        """Return the absolute paths of a table's files, or their addresses."""
        return [str(place) for place in self.places(table)]

    def places(self, table: str) -> list[Place | HdfsPath]:
        """Return where a table's files are."""
        return [self.path / table / file.path for file in self.files[table]]

    def readable(self, table: str, runs: Sequence[str] | None = None) -> list[Place]:
        """Return where this process reads a small table's files: in copies that it makes, of a lake in HDFS.

        Of chosen runs they are the files that can hold rows of them.
        """
        files = tuple(file for file in self.files[table] if file.may_hold(runs))
        if self.mirror is not None:
            return list(self.mirror.copies(table, files))
        places = (self.path / table / file.path for file in files)
        return [place for place in places if not isinstance(place, HdfsPath)]

    def mixed(self, table: str) -> bool:
        """Whether some of the files hold rows of later batches too, to be filtered by `batch <= version`."""
        return any(file.batch_max > self.version for file in self.files[table])

    def rows(self, table: str) -> int:
        """Return the number of rows in a table's files; later batches and other runs in them count too."""
        return sum(file.rows for file in self.files[table])


def take_snapshot(lake: Lake | Mirror, *, version: int | None = None, runs: Sequence[str] | None = None) -> Snapshot:
    """Return the snapshot of a lake at a version, pruned by run.

    Parameters
    ----------
    lake : Lake or Mirror
        The lake; no lock is needed.
    version : int, optional
        An earlier version; the newest by default.
    runs : sequence of str, optional
        Only files that can hold rows of these runs.

    Raises
    ------
    UnknownVersion
        The lake has no such version.
    """
    with lake.reading() as tables:
        # Generations are committed last and listed first: what they name is complete in the other tables.
        listed = {GENERATIONS.name: tables[GENERATIONS.name].files()}
        newest = max((file.batch_max for file in listed[GENERATIONS.name]), default=0)
        if version is None:
            version = newest
        elif not 0 <= version <= newest:
            raise UnknownVersion(
                f"version {version} of the lake {lake.path} was asked for; it has the versions 0 to {newest}: "
                "leave version out for the newest"
            )
        for table in STORED:
            if table is not GENERATIONS:
                listed[table.name] = tables[table.name].files()
    kept = {
        name: tuple(file for file in files if file.batch_min <= version and file.may_hold(runs))
        for name, files in listed.items()
    }
    return Snapshot(lake.path, version, kept, lake if isinstance(lake, Mirror) else None)
