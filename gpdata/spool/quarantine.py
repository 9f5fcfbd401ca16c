"""The quarantine: raw bytes that could not become rows, each with its reason, kept until a person decides."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from gpdata.errors import InvalidInput, near
from gpdata.spool import zstd
from gpdata.spool.disk import Disk
from gpdata.spool.object_disk import disk_of
from gpdata.storage import Place, as_place, listed


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one quarantined stretch of bytes."""

    id: str
    code: str
    detail: str
    size: int
    sha256: str
    source: str | None = None
    origin: str | None = None
    line: int | None = None
    run_uuid: str | None = None
    generation: int | None = None
    owner: str | None = None
    time: datetime | None = None


class Quarantine:
    """A directory of quarantined bytes: `ID.raw.zst` and, written last, `ID.json`."""

    def __init__(self, path: Place, *, disk: Disk | None = None) -> None:
        self.path = as_place(path)
        self.disk = disk or disk_of(self.path)
        self._scratch = self.disk.scratch(self.path)

    def add(self, raw: bytes | Iterable[bytes], *, code: str, detail: str, **known: Any) -> Entry:
        """Keep bytes with their reason, durably.

        The same bytes with the same code are kept once: adding them again returns the entry that is there.

        Parameters
        ----------
        raw : bytes or iterable of bytes
            The bytes, whole or in pieces; pieces are never held together in memory.
        code, detail : str
            The stable reason, and what was wrong in words.
        **known
            Any of the optional fields of `Entry`.

        Returns
        -------
        Entry
            The entry.
        """
        self.disk.make_directory(self.path)
        identity, content, size = hashlib.sha256(code.encode() + b"\n"), hashlib.sha256(), 0
        temporary = self._scratch / f"{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            with self.disk.create(temporary) as file:
                with zstd.ZstdFile(file, "wb", options=zstd.CHECKED) as compressed:
                    for piece in [raw] if isinstance(raw, bytes) else raw:
                        compressed.write(piece)
                        identity.update(piece)
                        content.update(piece)
                        size += len(piece)
                self.disk.sync(file)
            id_ = identity.hexdigest()[:16]
            path = self._entry(id_)
            if path.exists() and self._raw(id_).exists():
                self.disk.sync_directory(self.path)  # whoever added it may have been killed before this
                return self._read(path)
            entry = Entry(id_, code, detail, size, content.hexdigest(), **known)
            self.disk.rename(temporary, self._raw(id_))
            # Two names of one directory may come to the disk in any order; an entry has its bytes.
            self.disk.sync_directory(self.path)
            self.disk.write(path, msgspec.json.encode(entry), self._scratch)
            return entry
        finally:
            self.disk.remove(temporary)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, ordered by id."""
        if self.path.is_dir():
            for path in listed(self.path, "*.json"):
                yield self._read(path)

    def entry(self, id_: str) -> Entry:
        """Return the entry of that id, or of the only one that begins so."""
        known = [path.stem for path in self.path.glob("*.json")] if self.path.is_dir() else []
        found = [name for name in known if name.startswith(id_)] if id_ else []
        if len(found) != 1:
            what = f"{len(found)} entries begin with" if found else "no quarantine entry has"
            raise InvalidInput(f"{what} the id {id_!r}; {near(id_, known)} (see 'gpdata quarantine list')")
        return self._read(self._entry(found[0]))

    def raw(self, entry: Entry) -> bytes:
        """Return the bytes as they came in."""
        return zstd.decompress(self._raw(entry.id).read_bytes())

    def check(self, entry: Entry) -> str | None:
        """Say what is wrong with an entry's bytes; None where they are as they came in."""
        try:
            raw = self.raw(entry)
        except (OSError, zstd.ZstdError) as error:
            return f"the bytes cannot be read: {error}"
        same = hashlib.sha256(raw).hexdigest() == entry.sha256
        return None if same else "the bytes are not those that came in: their SHA-256 differs"

    def drop(self, entry: Entry) -> None:
        """Remove an entry and its bytes for good."""
        self.disk.remove(self._entry(entry.id))
        self.disk.sync_directory(self.path)
        self.disk.remove(self._raw(entry.id))

    def _read(self, path: Place) -> Entry:
        return msgspec.json.decode(path.read_bytes(), type=Entry)

    def _entry(self, id_: str) -> Place:
        return self.path / f"{id_}.json"

    def _raw(self, id_: str) -> Place:
        return self.path / f"{id_}.raw.zst"
