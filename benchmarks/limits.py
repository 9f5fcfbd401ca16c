"""The physical limits of this machine: what no program that reads the same files can be quicker than.

Read: the files of the individuals, by as many threads as there are cores; cold, dropped from memory before
(`posix_fadvise`), and warm. Each question: the pages of the columns that it needs, in the row groups that can hold
the rows asked for, are read and decompressed by zstd on all cores, and nothing else is done with them: no value is
decoded, no row looked at. The limit is the slower of reading and decompressing, which can overlap. JSON: whole lines
of the recorder streams, parsed by simdjson, decoded by gpdata's transform and read by DuckDB, one thread each. Disk:
writes each followed by `fdatasync`, one after another.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import gpdata as gp
from benchmarks.contests import CONTESTS
from benchmarks.machine import lake_figures, machine
from benchmarks.needed import Chunk, chunks, pages
from benchmarks.size import groups, lines_of
from gpdata.config import user_cache
from gpdata.wire import Decoded, Origin, decode

CORES = len(os.sched_getaffinity(0))
ROUNDS = 3
_PIECE = 8 << 20
_JSON_BYTES = 60_000_000
_SYNCED = {"4 KiB": (4 << 10, 200), "64 KiB": (64 << 10, 200), "2 MiB": (2 << 20, 60)}
"""Bytes of a write, and how many of them."""


def drop(paths: Iterable[str]) -> None:
    """Drop files from this machine's memory."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)  # what is not yet on the disk is not dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def read(parts: Sequence[tuple[str, int, int]]) -> int:
    """Read parts of files, each a path, where it begins and its length, on all cores; return the bytes."""

    def piece(part: tuple[str, int, int]) -> int:
        path, start, length = part
        with Path(path).open("rb", buffering=0) as file:
            return len(os.pread(file.fileno(), length, start))

    cut = [(path, at, min(_PIECE, start + length - at))
           for path, start, length in parts for at in range(start, start + length, _PIECE)]  # fmt: skip
    with ThreadPoolExecutor(CORES) as pool:
        return sum(pool.map(piece, cut))


def decompressed(blocks: Sequence[tuple[pa.Buffer, int]]) -> int:
    """Decompress blocks, each with its length then, on all cores; return the bytes."""
    shares = [blocks[first::CORES] for first in range(CORES)]

    def some(share: Sequence[tuple[pa.Buffer, int]]) -> int:
        codec = pa.Codec("zstd")
        return sum(codec.decompress(block, size).size for block, size in share)

    with ThreadPoolExecutor(CORES) as pool:
        return sum(pool.map(some, shares))


def seconds(work: Callable[[], object], before: Callable[[], None] | None = None, rounds: int = ROUNDS) -> float:
    """Return the least seconds of some work; `before` is not timed."""
    found = []
    for _ in range(rounds):
        if before is not None:
            before()
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def reading(lake: Path) -> dict[str, float]:
    """Return the bytes a second at which the individuals' files are read, cold and warm."""
    files = gp.open(lake, engine="duckdb").files("individuals")
    parts = [(file, 0, Path(file).stat().st_size) for file in files]
    size = sum(length for _, _, length in parts)
    cold = seconds(lambda: read(parts), lambda: drop(files))
    return {"bytes": size, "cold": size / cold, "warm": size / seconds(lambda: read(parts))}


def limit_of(lake: Path, contest: str, run: str) -> dict[str, float]:
    """Return the least seconds that the answer to a question can take on this machine, and the bytes it needs.

    Parameters
    ----------
    lake : Path
        The lake's directory.
    contest : str
        A question of `benchmarks.contests`.
    run : str
        The run that a question of one run is about.

    Returns
    -------
    dict
        `seconds` with the files in memory, `cold` with the files on the disk; `read`, `read_cold` and `decompress`,
        which these are the greatest of; `bytes` as they are stored, and `plain` when decompressed.
    """
    needed = chunks(gp.open(lake, engine="duckdb"), contest, run)
    parts = [(chunk.path, chunk.start, chunk.length) for chunk in needed]
    files = {chunk.path for chunk in needed}
    cold = seconds(lambda: read(parts), lambda: drop(files))
    warm = seconds(lambda: read(parts))
    # A chunk at a time would let cores wait for each other; all at once may be more than the memory holds.
    plain, unpacking = 0, 0.0
    for some in _portions(needed):
        blocks = [page for chunk in some for page in pages(chunk)]
        plain += sum(size for _, size in blocks)
        unpacking += seconds(lambda blocks=blocks: decompressed(blocks))  # type: ignore[misc]
    return {
        "seconds": max(warm, unpacking),
        "cold": max(cold, unpacking),
        "read": warm,
        "read_cold": cold,
        "decompress": unpacking,
        "bytes": sum(length for _, _, length in parts),
        "plain": plain,
    }


def _portions(needed: Sequence[Chunk], most: int = 512 << 20) -> Iterable[list[Chunk]]:
    portion: list[Chunk] = []
    for chunk in needed:
        portion.append(chunk)
        if sum(one.length for one in portion) >= most:
            yield portion
            portion = []
    if portion:
        yield portion


def parsing(captures: Path) -> dict[str, float]:
    """Return the bytes of raw JSON a second of one thread: simdjson, gpdata's decode, and DuckDB's `read_json`."""
    import cysimdjson

    lines: list[bytes] = []
    for streams in groups(captures).values():
        lines += lines_of(streams)
        if sum(map(len, lines)) >= _JSON_BYTES:
            break
    size = sum(map(len, lines))
    parser = cysimdjson.JSONParser()

    def parsed() -> None:
        for line in lines:
            if "population" not in parser.parse(line):
                raise SystemExit("a line without a population")

    def decoded() -> None:
        for line in lines:
            if not isinstance(decode(line, Origin("import")), Decoded):
                raise SystemExit("a line was rejected")

    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as connection:
        source = Path(folder) / "lines.ndjson"
        source.write_bytes(b"\n".join([*lines, b""]))
        options = f"format='newline_delimited', maximum_object_size={max(map(len, lines)) + 1000}"
        kinds = connection.execute(
            f"DESCRIBE SELECT * FROM read_json('{source}', {options}, sample_size=-1)"
        ).fetchall()
        columns = ", ".join(f"'{name}': '{kind.replace(chr(39), chr(39) * 2)}'" for name, kind, *_ in kinds)
        connection.execute(
            f"CREATE VIEW lines AS SELECT * FROM read_json('{source}', {options}, columns={{{columns}}})"
        )
        # Every value is made; a table in memory is the least that takes them.
        asked = "CREATE OR REPLACE TEMP TABLE taken AS SELECT * FROM lines"
        found = {
            "simdjson": size / seconds(parsed),
            "decode": size / seconds(decoded),
            "duckdb": size / seconds(lambda: connection.execute(asked)),
        }
    return {"bytes": size, "lines": len(lines), **found}


def syncing(folder: Path) -> dict[str, float]:
    """Return the bytes a second of writes that are each followed by `fdatasync`."""
    found = {}
    for name, (size, count) in _SYNCED.items():
        content = os.urandom(size)
        with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
            start = time.perf_counter()
            for _ in range(count):
                file.write(content)
                os.fdatasync(file.fileno())
            found[name] = size * count / (time.perf_counter() - start)
    return found


def main() -> int:
    """Measure all limits, print them, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams, for the JSON")
    parser.add_argument("--lake", type=Path, help="a lake that is there, else the one of benchmarks.analyses")
    parser.add_argument("--json", type=Path, help="a file for the results")
    given = parser.parse_args()
    with_captures = given.captures is not None and given.captures.is_dir()
    lake = given.lake or user_cache() / "bench" / f"{'captures' if with_captures else 'example'}-100-3000000"
    lab = gp.open(lake, engine="duckdb")
    runs = sorted(lab.runs.select("run_uuid").to_arrow_table()["run_uuid"].to_pylist())
    run = runs[len(runs) // 2]  # as benchmarks.analyses chooses it
    results: dict[str, Any] = {"machine": machine(), "lake": lake_figures(lake), "cores": CORES}
    results |= {"read": reading(lake), "fdatasync": syncing(lake)}
    disk = results["read"]
    print(
        f"read {disk['bytes'] / 1e6:,.0f} MB: cold {disk['cold'] / 1e6:,.0f} MB/s, warm {disk['warm'] / 1e6:,.0f} MB/s"
    )
    print("write + fdatasync: " + ", ".join(f"{name} {v / 1e6:.1f} MB/s" for name, v in results["fdatasync"].items()))
    if with_captures:
        results["parse"] = parsing(given.captures)
        names = ("simdjson", "decode", "duckdb")
        print("JSON, one thread: " + ", ".join(f"{name} {results['parse'][name] / 1e6:,.0f} MB/s" for name in names))
    print(f"{'':24} {'MB':>8} {'plain MB':>9} {'read ms':>8} {'cold ms':>8} {'zstd ms':>8} {'limit ms':>9} {'cold':>7}")
    results["questions"] = {}
    for contest in CONTESTS:
        found = results["questions"][contest.name] = limit_of(lake, contest.name, run)
        times = (found[name] * 1e3 for name in ("read", "read_cold", "decompress", "seconds", "cold"))
        print("{:24} {:8.2f} {:9.1f} {:8.1f} {:8.1f} {:8.1f} {:9.1f} {:7.1f}".format(
            contest.name, found["bytes"] / 1e6, found["plain"] / 1e6, *times), flush=True)  # fmt: skip
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
