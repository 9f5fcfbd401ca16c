"""A place in a bucket with the part of `pathlib.Path` that lakes and spools read by."""

from __future__ import annotations

import fnmatch
import io
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias, cast

from gpdata.errors import InvalidInput
from gpdata.storage.client import HURRY, Client, Stat, client
from gpdata.storage.hdfs import HdfsPath, in_hdfs, refused

_SCHEME = "s3://"
_MANGLED = "s3:/"
"""What `pathlib` makes of the scheme, where a command or a caller wrapped the address into a Path."""
_WHOLE = 1 << 20
"""Bytes up to which an object is read at once when it is opened: a range costs as long."""


class ObjectPath:
    """An object of a bucket, or what lies below a prefix.

    Only reading is here. Nothing is asked of the store before a method is called that says something of it.

    Parameters
    ----------
    bucket : str
        The bucket.
    key : str
        The key, without slashes at its ends.

    Examples
    --------
    >>> place = ObjectPath("lab", "lake") / "runs" / "a.parquet"
    >>> str(place), place.name, place.stem, str(place.parent)
    ('s3://lab/lake/runs/a.parquet', 'a.parquet', 'a', 's3://lab/lake/runs')
    """

    __slots__ = ("_folder", "_stat", "bucket", "key")

    def __init__(self, bucket: str, key: str = "", stat: Stat | None = None, *, folder: bool = False) -> None:
        self.bucket = bucket
        self.key = key
        self._stat = stat
        self._folder = folder  # listed as a prefix: some stores answer as if it were an object, too

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __lt__(self, other: ObjectPath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str | PurePosixPath) -> ObjectPath:
        """Return a place below this one; ``..`` is resolved, for a store has no such names."""
        parts: list[str] = []
        for part in [*self.key.split("/"), *str(name).split("/")]:
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        return ObjectPath(self.bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self._key.name

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return self._key.stem

    @property
    def suffix(self) -> str:
        """The last suffix of the name."""
        return self._key.suffix

    @property
    def parent(self) -> ObjectPath:
        """What it lies below."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Return the place of another name beside it."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Return the place with another suffix."""
        return self.parent / self._key.with_suffix(suffix).name

    def absolute(self) -> ObjectPath:
        """Return itself: an address is always whole."""
        return self

    def resolve(self) -> ObjectPath:
        """Return itself: a store has no links."""
        return self

    def is_relative_to(self, other: object) -> bool:
        """Whether it lies below another place."""
        return isinstance(other, ObjectPath) and (
            self == other or str(self).startswith(f"{_SCHEME}{other.bucket}/{other.key}".rstrip("/") + "/")
        )

    def relative_to(self, other: object) -> PurePosixPath:
        """Return the way from another place to it."""
        if not self.is_relative_to(other):
            raise InvalidInput(f"{self} does not lie below {other}")
        return PurePosixPath(str(self)[len(str(other)) + 1 :])

    def exists(self) -> bool:
        """Whether there is such an object, or anything below it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is such an object."""
        if self._folder:
            return False
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether there is an object below it."""
        return self.client.any(self.key)

    def stat(self) -> Stat:
        """Return size and time of the object, as they were where it comes from a list."""
        return self._stat or self.client.stat(self.key)

    def read_bytes(self) -> bytes:
        """Return the object."""
        return self.client.get(self.key).data

    def read_at_once(self) -> bytes:
        """Return the object; a store that does not answer is told within seconds."""
        return self.client.get(self.key, patience=HURRY).data

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the object for reading, from anywhere in it."""
        if mode != "rb":
            raise InvalidInput(f"{self} was opened with the mode {mode!r}; an object is read with 'rb'")
        size = self.stat().st_size
        if size <= _WHOLE:
            return io.BytesIO(self.read_bytes())
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, _Ranges(self.client.opened(self.key))), _WHOLE))

    def iterdir(self) -> Iterator[ObjectPath]:
        """Yield what lies directly below it, in the order of the names; nothing where there is nothing."""
        objects, folders = self.client.folder(self.key)
        found = [ObjectPath(self.bucket, key, stat) for key, stat in objects if key != self.key]
        yield from sorted(found + [ObjectPath(self.bucket, key.rstrip("/"), folder=True) for key in folders])

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Yield what lies below it and fits a pattern, one part of it for each level."""
        first, _, rest = pattern.partition("/")
        for place in self.iterdir():
            if fnmatch.fnmatchcase(place.name, first):
                if rest:
                    yield from place.glob(rest)
                else:
                    yield place

    @property
    def client(self) -> Client:
        """What asks the store."""
        return client(self.bucket)

    @property
    def _key(self) -> PurePosixPath:
        return PurePosixPath(self.key)


class _Ranges(io.RawIOBase):
    """A store's reader as a raw file of Python's."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readinto(self, buffer: Any) -> int:
        data = bytes(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)


Place: TypeAlias = Path | ObjectPath


def as_place(given: str | Place | HdfsPath) -> Place:
    """Return the place that a person named.

    Parameters
    ----------
    given : str, Path or ObjectPath
        A path of this machine, or ``s3://bucket/prefix``.

    Returns
    -------
    Path or ObjectPath
        The place, absolute; nothing is asked of it.

    Raises
    ------
    InvalidInput
        An ``s3://`` address without a bucket, an ``hdfs://`` address, which only Spark reads, or another scheme.

    Examples
    --------
    >>> as_place("s3://lab/lake"), as_place(Path("s3://lab/lake"))
    (ObjectPath('s3://lab/lake'), ObjectPath('s3://lab/lake'))
    """
    if isinstance(given, ObjectPath):
        return given
    if (hdfs := in_hdfs(given)) is not None:
        raise refused(hdfs)
    text = str(given)
    scheme = text.partition(":")[0]
    if "://" in text and scheme.isalnum() and scheme != "s3":
        hint = f"; did you mean {_SCHEME}{text.partition('://')[2]!s}?" if scheme in ("s3a", "s3n", "S3") else ""
        raise InvalidInput(
            f"{text} is an address that is not known here; valid are a directory of this machine, s3://BUCKET/PREFIX, "
            f"and, for gpdata.open on Spark, hdfs://HOST:PORT/PATH{hint}"
        )
    if not text.startswith(_MANGLED):
        return Path(text).absolute()
    bucket, _, key = text.removeprefix(_MANGLED).lstrip("/").partition("/")
    if not bucket:
        raise InvalidInput(f"{text!r} names no bucket; valid is s3://BUCKET/PREFIX, such as s3://lab/lake")
    return ObjectPath(bucket) / key


def listed(place: Place, pattern: str) -> list[Place]:
    """Return what lies below a place and fits a pattern, in the order of the names."""
    found: Iterable[Place] = place.glob(pattern)
    return sorted(found, key=str)


def fresh(place: Place) -> Place:
    """Return a place of a name like the given one that nothing has, in a store; the very place on a disk.

    A disk has one writer, who replaces what an earlier try left. In a store a stale writer may still be at it.
    """
    if isinstance(place, ObjectPath):
        return place.with_name(f"{place.stem}-{secrets.token_hex(6)}{place.suffix}")
    return place


def hadoop_address(place: Place | HdfsPath) -> str:
    """Return how Spark names a place: an object by the scheme of Hadoop's own client, S3A."""
    return f"s3a://{place.bucket}/{place.key}" if isinstance(place, ObjectPath) else str(place)


def local(place: Place, what: str) -> Path:
    """Return a place of this machine; say that something works there only, where it is another.

    Parameters
    ----------
    place : Path or ObjectPath
        The place.
    what : str
        What needs a directory of this machine, to begin the sentence.
    """
    if isinstance(place, ObjectPath):
        raise InvalidInput(
            f"{what} needs a directory of this machine, and {place} is in an object store; "
            "see docs/how-to/s3.md for what works there"
        )
    return place
