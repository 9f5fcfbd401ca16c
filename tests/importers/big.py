"""Big and many files of the captures, for tests of bulk import."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from gpdata.spool import zstd
from tests.importers import logs

STREAM = "demos.simple_regression-lexicase-s21.jsonl.zst"


def stream(captures: Path) -> list[bytes]:
    """Return the lines of a capture."""
    return zstd.decompress((captures / STREAM).read_bytes()).splitlines()


def as_run(line: bytes, run: str) -> bytes:
    """Return a line as one of another run."""
    head, mark, tail = line.rpartition(b'"config-uuid":"')
    assert mark
    return head + mark + run.encode() + tail[36:]


def runs(lines: list[bytes], size: int, seed: int = 0) -> Iterator[bytes]:
    """Yield lines of one run after the other until they are so many bytes, each with its newline."""
    chance, done = random.Random(seed), 0
    while done < size:
        run = str(uuid.UUID(int=chance.getrandbits(128)))
        for line in lines:
            yield as_run(line, run) + b"\n"
            done += len(line) + 1


def write_stream(captures: Path, path: Path, size: int) -> int:
    """Write a compressed stream of so many bytes; return how many generations it has."""
    count = 0
    with zstd.ZstdFile(path, "wb") as file:
        for line in runs(stream(captures), size):
            file.write(line)
            count += 1
    return count


def write_files(captures: Path, folder: Path, count: int) -> int:
    """Write many small files of every format, plain, compressed and in archives; return how many generations."""
    lines = stream(captures)[:2]
    pack: list[Callable[[bytes], bytes]] = [lambda data: data, gzip.compress, zstd.compress]
    generations = 0
    with tarfile.open(folder / "more.tar.xz", "w:xz") as tar, zipfile.ZipFile(folder / "more.zip", "w") as zipped:
        for number in range(count):
            make = number % 5
            if make == 0:
                run = str(uuid.UUID(int=random.Random(number).getrandbits(128)))
                data, name = b"\n".join(as_run(line, run) for line in lines), f"{number}.jsonl"
                generations += len(lines)
            else:
                run = str(uuid.UUID(int=number))
                data = [logs.csv_log(number), logs.edn_log(number, run=run), logs.json_log(number),
                        logs.text_log(run=run)][make - 1]  # fmt: skip
                name = f"{number}.log"
                generations += 3
            where = folder / f"{number % 10}"
            where.mkdir(exist_ok=True)
            if number % 4 == 1:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            elif number % 4 == 2:
                zipped.writestr(name, data)
            else:
                (where / name).write_bytes(pack[number % 3](data))
    return generations
