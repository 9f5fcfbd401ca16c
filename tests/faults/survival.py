"""What a crash leaves of the simulated storage: the journal played again, and one of the states it allows.

A file's bytes are there as they were synced, and of later writes any that were made, each whole, cut off or
zeroed. A directory's entries are there as they were synced, and of later changes, name by name, any number of
the first ones. A rename is one change in two directories: one name at least is there, unless the old one's
directory was synced and the new one's was not. A write whose sync failed is lost, also for later syncs, as with
Linux. Not modelled: damage of what was synced, and lock files, which nobody syncs.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.faults.storage import Step

ALL, NOTHING, ORDERED = 0, 1, 2
"""Seeds of the states in which all, or nothing, of what was not synced survives; and all names, but no bytes."""


@dataclass(eq=False, slots=True)
class _Write:
    at: int
    data: bytes | None
    """None cuts the file off."""
    lost: bool = False


@dataclass(eq=False, slots=True)
class _File:
    durable: bytes = b""
    writes: list[_Write] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = _written(self.durable, [w for w in self.writes if not w.lost])
        self.writes = [w for w in self.writes if w.lost]


@dataclass(eq=False, slots=True)
class _Change:
    """A name of a directory is given to a file, or taken away."""

    file: _File | None
    other: tuple[str, str] | None = None
    """Of the half of a rename that takes the old name away: directory and name of the new one."""
    target: _Change | None = None


@dataclass(eq=False, slots=True)
class _Directory:
    durable: dict[str, _File] = field(default_factory=dict)
    changes: dict[str, list[_Change]] = field(default_factory=dict)
    """Of each name, what was not synced, in order."""

    def now(self, name: str) -> _File | None:
        changes = self.changes.get(name)
        return changes[-1].file if changes else self.durable.get(name)


Tree: TypeAlias = dict[str, dict[str, tuple[int, bytes]]]
"""Of each directory the names, each with the number of its file and the file's bytes."""


class Model:
    """The storage after some steps of a journal; `base` is what was there, synced, before the first."""

    def __init__(self, base: Path | None = None) -> None:
        self._directories: dict[str, _Directory] = {"": _Directory()}
        self._parents: dict[str, bool] = {"": True}
        """The directories, each with whether its name is synced."""
        self.played = 0
        if base is not None:
            self._load(base)

    def play(self, step: Step) -> None:
        """Play the next step of the journal."""
        self.played += 1
        if step.error:
            if step.kind in ("sync", "sync_path"):
                for write in self._file(step.path).writes:
                    write.lost = True
            return
        parent, _, name = step.path.rpartition("/")
        match step.kind:
            case "make_directory":
                self._directories[step.path] = _Directory()
                self._parents[step.path] = False
            case "create":
                file = self._directories[parent].now(name)
                if file is None:
                    self._change(parent, name, _Change(_File()))
                else:
                    file.writes.append(_Write(0, None))
            case "write":
                self._file(step.path).writes.append(_Write(step.at, step.data))
            case "truncate":
                self._file(step.path).writes.append(_Write(step.at, None))
            case "foreign":
                self._change(parent, name, _Change(_File(writes=[_Write(0, step.data)])))
            case "vanished" | "remove":
                self._change(parent, name, _Change(None))
            case "sync" | "sync_path":
                self._file(step.path).sync()
            case "sync_directory":
                self._sync_directory(step.path)
            case "link":
                target, _, new = step.other.rpartition("/")
                self._change(target, new, _Change(self._file(step.path)))
            case "rename":
                target, _, new = step.other.rpartition("/")
                given = _Change(self._file(step.path))
                self._change(target, new, given)
                self._change(parent, name, _Change(None, target=given))
            case _:
                raise ValueError(step.kind)

    def survive(self, seed: int) -> Tree:
        """Return what a crash leaves now: one of the states that are allowed, the same for the same seed."""
        chance = random.Random(seed)
        counts = self._counts(seed, chance)
        numbers: dict[_File, tuple[int, bytes]] = {}
        tree: Tree = {}
        for path, directory in self._directories.items():
            if path and not self._there(path, seed, chance, tree):
                continue
            names = dict(directory.durable)
            for name, changes in directory.changes.items():
                for change in changes[: counts[path, name]]:
                    if change.file is None:
                        names.pop(name, None)
                    else:
                        names[name] = change.file
            here = tree[path] = {}
            for name, file in names.items():
                if file not in numbers:
                    numbers[file] = (len(numbers), _surviving(file, seed, chance))
                here[name] = numbers[file]
        return tree

    def pending(self) -> bool:
        """Whether anything is not synced, so that one crash can leave different states."""
        return not all(self._parents.values()) or any(
            directory.changes or any(file.writes for file in directory.durable.values())
            for directory in self._directories.values()
        )

    def _counts(self, seed: int, chance: random.Random) -> dict[tuple[str, str], int]:
        """Choose of each name how many of its changes survive."""
        counts = {
            (path, name): len(changes) if seed in (ALL, ORDERED) else 0 if seed == NOTHING else _some(chance, changes)
            for path, directory in self._directories.items()
            for name, changes in directory.changes.items()
        }
        kept = {
            id(change): position < counts[path, name]
            for path, directory in self._directories.items()
            for name, changes in directory.changes.items()
            for position, change in enumerate(changes)
        }
        again = True
        while again:
            again = False
            for (path, name), count in counts.items():
                for position, change in enumerate(self._directories[path].changes[name][:count]):
                    # The old name is gone only where the new one is there, or was there.
                    if change.target is not None and not kept.get(id(change.target), True):
                        for later in self._directories[path].changes[name][position:count]:
                            kept[id(later)] = False
                        counts[path, name] = position
                        again = True
                        break
        return counts

    def _there(self, path: str, seed: int, chance: random.Random, tree: Tree) -> bool:
        if path.rpartition("/")[0] not in tree:
            return False
        return self._parents[path] or seed in (ALL, ORDERED) or (seed != NOTHING and chance.random() < 0.5)

    def _sync_directory(self, path: str) -> None:
        directory = self._directories[path]
        for name, changes in directory.changes.items():
            last = changes[-1].file
            if last is None:
                directory.durable.pop(name, None)
            else:
                directory.durable[name] = last
            for change in changes:
                change.target = None
        directory.changes.clear()
        for child in self._parents:
            if child and child.rpartition("/")[0] == path:
                self._parents[child] = True

    def _file(self, path: str) -> _File:
        parent, _, name = path.rpartition("/")
        file = self._directories[parent].now(name)
        assert file is not None, path
        return file

    def _change(self, directory: str, name: str, change: _Change) -> None:
        self._directories[directory].changes.setdefault(name, []).append(change)

    def _load(self, base: Path) -> None:
        known: dict[int, _File] = {}
        for path, _, names in os.walk(base):
            name = os.path.relpath(path, base)
            directory = self._directories["" if name == "." else name] = _Directory()
            self._parents["" if name == "." else name] = True
            for file in names:
                full = Path(path, file)
                number = full.stat().st_ino
                directory.durable[file] = known.setdefault(number, _File(full.read_bytes()))


def materialise(tree: Tree, directory: Path) -> None:
    """Make a surviving state in a new directory."""
    made: dict[int, str] = {}
    for path, names in tree.items():
        here = f"{directory}/{path}" if path else str(directory)
        os.mkdir(here)  # noqa: PTH102 (thousands of times a second)
        for name, (number, content) in names.items():
            full = f"{here}/{name}"
            if number in made:
                os.link(made[number], full)
                continue
            made[number] = full
            descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(descriptor, content)
            os.close(descriptor)


def fingerprint(tree: Tree) -> int:
    """Return a number that tells states apart."""
    return hash(frozenset((path, name, *found) for path, names in tree.items() for name, found in names.items()))


def _some(chance: random.Random, changes: list[_Change]) -> int:
    return chance.randint(0, len(changes))


def _surviving(file: _File, seed: int, chance: random.Random) -> bytes:
    """Choose what a crash leaves of a file's bytes."""
    if not file.writes or seed == ORDERED:
        return file.durable
    writes = [write for write in file.writes if not write.lost]
    if seed == ALL:
        return _written(file.durable, writes)
    if seed == NOTHING or not writes:
        return file.durable
    way = chance.randrange(4)
    if way == 0:  # the first ones, the last of them cut off
        count = chance.randrange(len(writes))
        return _written(file.durable, [*writes[:count], _cut(writes[count], chance)])
    if way == 1:  # all of its length, and zeroes in places
        return _written(file.durable, [_zeroed(w) if chance.random() < 0.5 else w for w in writes])
    if way == 2:  # some, in whatever order the disk had
        return _written(file.durable, [_cut(w, chance) for w in writes if chance.random() < 0.7])
    return file.durable if chance.random() < 0.5 else _written(file.durable, writes)


def _cut(write: _Write, chance: random.Random) -> _Write:
    if write.data is None or chance.random() < 0.3:
        return write
    return _Write(write.at, write.data[: int(len(write.data) * chance.random())])


def _zeroed(write: _Write) -> _Write:
    return write if write.data is None else _Write(write.at, bytes(len(write.data)))


def _written(content: bytes, writes: list[_Write]) -> bytes:
    if not writes:
        return content
    result = bytearray(content)
    for write in writes:
        if write.data is None:
            del result[write.at :]
        elif write.data:
            result.extend(bytes(max(0, write.at - len(result))))
            result[write.at : write.at + len(write.data)] = write.data
    return bytes(result)
