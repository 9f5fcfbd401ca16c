"""Raw JSON a second from the spool to three committed tables, against DuckDB's `read_json` and `COPY` to one.

A capture group a line, and a made-up set of large ones: its populations repeated under fresh uuids to lines of
20 MB. The peer has the lines uncompressed, is told the columns beforehand and writes one table that nothing
validates. Both sides alternate on the same cores; the medians and their ratio are printed, and row counts are
compared. `decode` is the wire alone, a line after the other. Where the machine does other things too, the ratio
of CPU time says more. `make bench-transform` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec

import gpdata
from benchmarks.size import groups, lines_of
from gpdata.lake import Lake, Transformer
from gpdata.spool import Meta
from gpdata.wire import Decoded, Origin, decode, identify

LARGE_LINE = 20_000_000
_LEAST_BYTES = 30_000_000
_QUICK = ("demos.odd-pop30-lexicase", "demos.simple_regression-lexicase", "recon-sink_killed_mid_big_line")
_OF_LARGE = "recon-sink_killed_mid_big_line"


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes a second of each side."""

    peer: float
    decode: float
    transform: float
    cpu_ratio: float
    """The peer's CPU time by that of the transform."""
    ratios: tuple[float, ...]
    """The peer's seconds by those of the transform, of each round."""

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ratios)


def repeated(lines: list[bytes], least: int) -> list[bytes]:
    """Return the lines, and copies of them as further runs until they have `least` bytes."""
    found = list(lines)
    while sum(map(len, found)) < least:
        found += renamed(lines)
    return found


def renamed(lines: list[bytes]) -> list[bytes]:
    """Return the lines as those of other runs: a config that was read before is not read again."""
    names = [identify(line) for line in lines]
    runs = [name[0].encode() for name in names if isinstance(name, tuple)]
    fresh = {run: str(uuid.uuid4()).encode() for run in runs}
    return [line.replace(run, fresh[run]) for line, run in zip(lines, runs, strict=True)]


def large(lines: list[bytes], count: int) -> list[bytes]:
    """Return lines of about 20 MB: each a line's population over and over, its individuals under fresh uuids."""
    found = []
    for number in range(count):
        line: dict[str, Any] = msgspec.json.decode(lines[number % len(lines)])
        size = len(msgspec.json.encode(line["population"]))
        line["config-uuid"] = str(uuid.uuid4())
        line["population"] = [
            individual | {"uuid": str(uuid.uuid4())}
            for _ in range(round(LARGE_LINE / size))
            for individual in line["population"]
        ]
        found.append(msgspec.json.encode(line))
    return found


def timed(work: Callable[[], int], rows: int) -> tuple[float, float]:
    """Return the seconds that some work takes, and those of CPU; its result is the number of individuals."""
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds = time.perf_counter() - start, time.process_time() - cpu
    if found != rows:
        raise SystemExit(f"{found} individuals instead of {rows}")
    return seconds


def peer(connection: duckdb.DuckDBPyConnection, source: Path, columns: str, size: int, target: Path) -> int:
    """Let DuckDB turn the lines into one Parquet file; return the number of individuals in it."""
    options = f"format='newline_delimited', maximum_object_size={size}, columns={columns}"
    connection.execute(
        f"COPY (SELECT * FROM read_json('{source}', {options})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )
    ((count,),) = connection.execute(f"SELECT sum(len(population)) FROM '{target}'").fetchall()
    return int(count)


def columns_of(connection: duckdb.DuckDBPyConnection, source: Path, size: int) -> str:
    """Return the columns that DuckDB finds on the lines, in the words of `read_json`."""
    options = f"format='newline_delimited', maximum_object_size={size}, sample_size=-1, map_inference_threshold=-1"
    found = connection.execute(f"DESCRIBE SELECT * FROM read_json('{source}', {options})").fetchall()
    return "{" + ", ".join(f"'{name}': '{kind.replace(chr(39), chr(39) * 2)}'" for name, kind, *_ in found) + "}"


def transformed(lake: Lake) -> int:
    """Transform the spool of a lake; return the number of individuals."""
    return Transformer(lake).run().individuals


def spooled(lake: Lake, lines: list[bytes]) -> None:
    """Lay the lines into the lake's spool, 16 a file."""
    for first in range(0, len(lines), 16):
        lake.spool().write(lines[first : first + 16], Meta("import"))


def measure(lines: list[bytes], rounds: int, cores: int) -> Figures:
    """Run all three in turn and return the medians."""
    size = sum(map(len, lines))
    individuals = sum(count_of(lines))
    longest = max(map(len, lines)) + 1_000
    seconds: dict[str, list[tuple[float, float]]] = {"peer": [], "decode": [], "transform": []}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": cores}) as connection:
        source = Path(folder) / "lines.ndjson"
        source.write_bytes(b"\n".join([*lines, b""]))
        columns = columns_of(connection, source, longest)
        for number in range(rounds):
            target = Path(folder) / f"{number}.parquet"
            seconds["peer"].append(timed(partial(peer, connection, source, columns, longest, target), individuals))
            lake = Lake.create(Path(folder) / f"lake-{number}")
            spooled(lake, renamed(lines))
            seconds["transform"].append(timed(partial(transformed, lake), individuals))
            ((stored,),) = gpdata.open(lake.path).sql("SELECT count(*) FROM individuals").fetchall()
            if stored != individuals:
                raise SystemExit(f"{stored} individuals in the lake instead of {individuals}")
            fresh = renamed(lines)
            seconds["decode"].append(timed(partial(sum, count_of(fresh)), individuals))
    wall = {side: size / statistics.median(real for real, _ in times) for side, times in seconds.items()}
    cpu = {side: statistics.median(busy for _, busy in times) for side, times in seconds.items()}
    pairs = zip(seconds["peer"], seconds["transform"], strict=True)
    ratios = tuple(theirs / ours for (theirs, _), (ours, _) in pairs)
    return Figures(**wall, cpu_ratio=cpu["peer"] / cpu["transform"], ratios=ratios)


def count_of(lines: Iterable[bytes]) -> Iterator[int]:
    """Decode lines one by one; yield the number of individuals of each."""
    for line in lines:
        decoded = decode(line, Origin("import"))
        if not isinstance(decoded, Decoded):
            raise SystemExit(f"a line was rejected: {decoded.code}: {decoded.detail}")
        yield decoded.individuals.num_rows


def table(folder: Path, cores: int, quick: bool, only: str | None) -> list[dict[str, Any]]:
    """Print the figures of every group on so many cores, and return them."""
    print(f"{'MB/s of raw JSON, cores: ' + str(cores):46} {'lines':>5} {'KB/line':>8} {'DuckDB':>7} {'decode':>7} "
          f"{'gpdata':>7} {'ratio':>6} {'of CPU':>6}")  # fmt: skip
    rounds = 3 if quick else 5
    sets = groups(folder)
    names = [name for name in [*sorted(sets), "large"] if (not quick or name in {*_QUICK, "large"})]
    groups_found = []
    for name in names:
        if only and only not in name:
            continue
        if name == "large":
            lines = large(lines_of(sets[_OF_LARGE]), 4 if quick else 8)
        else:
            lines = repeated(lines_of(sets[name]), _LEAST_BYTES)
        found = measure(lines, rounds, cores)
        each = sum(map(len, lines)) / len(lines)
        print(
            f"{name:46} {len(lines):5} {each / 1e3:8.0f} {found.peer / 1e6:7.1f} "
            f"{found.decode / 1e6:7.1f} {found.transform / 1e6:7.1f} {found.ratio:6.2f} "
            f"{found.cpu_ratio:6.2f}",
            flush=True,
        )
        groups_found.append(
            {"name": name, "cores": cores, "lines": len(lines), "line_bytes": each, **asdict(found)}
            | {"ratio": found.ratio, "least": min(found.ratios), "greatest": max(found.ratios)}
        )
    print(f"{'median of the ratios':86} {statistics.median(each['ratio'] for each in groups_found):6.2f}")
    return groups_found


def main() -> int:
    """Measure on one core, then on two, each in a process of its own, so that every thread keeps to them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, help="the folder of recorder streams")
    parser.add_argument("--quick", action="store_true", help="three groups and the large lines, three rounds")
    parser.add_argument("--cores", type=int, help="measure on so many only; 1 and 2 by default")
    parser.add_argument("--only", help="measure only groups whose name holds this")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    if given.cores is None:
        return _of_each(given.json)
    allowed = sorted(os.sched_getaffinity(0))
    if given.cores > len(allowed):
        raise SystemExit(f"{given.cores} cores were asked for; this process may use {len(allowed)}")
    if os.environ.get("_GPDATA_BENCH_CORES") != str(given.cores):  # pools of threads start at import: begin anew
        os.sched_setaffinity(0, allowed[: given.cores])
        os.environ["_GPDATA_BENCH_CORES"] = str(given.cores)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.transform", *sys.argv[1:]])
    found = table(given.captures, given.cores, given.quick, given.only)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"groups": found}, indent=1) + "\n")
    return 0


def _of_each(target: Path | None) -> int:
    """Measure on one core, then on two, and put the figures into one file."""
    found: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for cores in (1, 2):
            part = Path(folder) / f"{cores}.json"
            command = [sys.executable, "-m", "benchmarks.transform", *sys.argv[1:], "--cores", str(cores)]
            if status := subprocess.call([*command, "--json", str(part)]):
                return status
            found += json.loads(part.read_text())["groups"]
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({"groups": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
