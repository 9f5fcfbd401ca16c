"""Bytes of the lake against `xz -6` of the same streams, a capture group a line.

The lake's bytes are those of the Parquet files that the snapshot names after `gpdata compact`. A group is the
streams whose names differ only in the seed (`-s11`) or the part (`.part1`). Below, the run of
replace_space_with_newline with the largest population against its JSON: as it was recorded, which is its first
generations only, and generations of 1,000 that are bred from it (synthetic, see `benchmarks.bred`). `make bench-size`
runs it: `python -m benchmarks.size`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

import gpdata
from benchmarks.bred import bred
from gpdata.importers import find_streams
from gpdata.importers.lines import decompressed
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.schema import INDIVIDUALS, STORED
from gpdata.spool import Meta
from gpdata.wire import identify

LARGE = 10_000
"""Individuals from which on a bound is set; the fixed cost of a file weighs less then."""
BOUND, BOUND_WITH_GENE_UUIDS = 0.75, 1.0
POPULATION, SMALLER = 1_000, 100
"""A run of replace_space_with_newline of this population is to be so many times smaller than its JSON."""
GENERATIONS = 16
_PROBLEM = "replace-space-with-newline"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a group takes, in bytes."""

    name: str
    individuals: int
    json: int
    xz: int
    lake: int
    gene_uuids: bool
    columns: dict[str, int]
    """Of the individuals, by column: compressed pages."""
    bound: float | None = None
    """What `lake / xz` is to be at most."""
    smaller: float | None = None
    """What `json / lake` is to be at least."""

    @property
    def verdict(self) -> str:
        """Say which bound holds and whether it is kept."""
        if self.bound is not None:
            return f"<= {self.bound} of xz: {'met' if self.lake <= self.bound * self.xz else 'NOT MET'}"
        if self.smaller is not None:
            met = self.json >= self.smaller * self.lake
            return f"JSON >= {self.smaller:g} times: {'met' if met else 'NOT MET'}"
        return "-"


def groups(folder: Path) -> dict[str, list[str]]:
    """Return the streams of each capture group."""
    found: dict[str, list[str]] = {}
    for stream in find_streams([folder]):
        stem = re.sub(r"\.(jsonl|raw|ndjson)(\.zst|\.gz)?$", "", Path(stream).name)
        found.setdefault(re.sub(r"(-s\d+|\.part\d+)", "", stem), []).append(stream)
    return found


def pieces(streams: list[str]) -> Iterator[bytes]:
    """Yield the raw bytes of streams."""
    for stream in streams:
        with Path(stream).open("rb") as file:
            content = decompressed(file)
            while piece := content.read(1 << 20):
                yield piece


def lines_of(streams: list[str]) -> list[bytes]:
    """Return the whole lines of streams, one for each generation of each run."""
    found: dict[tuple[str, int], bytes] = {}
    for line in b"".join(pieces(streams)).split(b"\n"):
        key = identify(line)
        if isinstance(key, tuple):
            found.setdefault(key, line)
    return list(found.values())


def xz_bytes(given: Iterable[bytes]) -> tuple[int, int]:
    """Return the length of some bytes and what `xz -6` makes of them together."""
    raw = 0
    with tempfile.TemporaryFile() as packed:
        process = subprocess.Popen(["xz", "-6", "-c"], stdin=subprocess.PIPE, stdout=packed)
        assert process.stdin is not None
        for piece in given:
            raw += len(piece)
            process.stdin.write(piece)
        process.stdin.close()
        if process.wait():
            raise SystemExit("xz failed; install it (Debian: apt install xz-utils)")
        return raw, packed.tell()


def columns_of(files: Iterable[str]) -> dict[str, int]:
    """Return the compressed bytes of each column of some Parquet files, largest first."""
    found: Counter[str] = Counter()
    for file in files:
        meta = pq.read_metadata(file)
        for group in range(meta.num_row_groups):
            for number in range(meta.num_columns):
                column = meta.row_group(group).column(number)
                found[column.path_in_schema.split(".")[0]] += column.total_compressed_size
    return dict(found.most_common())


def measure(name: str, lines: list[bytes], **bounds: float) -> Stored:
    """Bring lines into a lake of their own, compact it, and hold it against `xz`; bounds are those of `Stored`."""
    raw, xz = xz_bytes(b"\n".join([*lines, b""])[at : at + (1 << 20)] for at in range(0, _length(lines), 1 << 20))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.create(Path(folder) / "lake")
        for first in range(0, len(lines), 16):
            lake.spool().write(lines[first : first + 16], Meta("import"))
        given = Transformer(lake).run()
        compact(lake)
        lab = gpdata.open(lake.path)
        size = sum(Path(file).stat().st_size for table in STORED for file in lab.files(table.name))
        ((count, with_uuids),) = lab.sql("SELECT count(*), count(gene_uuid) FROM individuals").fetchall()
        if (given.generations, given.individuals) != (len(lines), count):
            raise SystemExit(f"{name}: {given} of {len(lines)} lines; the lake holds {count} individuals")
        columns = columns_of(lab.files(INDIVIDUALS.name))
    if not bounds and count >= LARGE:
        bounds = {"bound": BOUND_WITH_GENE_UUIDS if with_uuids else BOUND}
    return Stored(name, count, raw, xz, size, with_uuids > 0, columns, **bounds)


def _length(lines: list[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)


def replaced_spaces(sets: dict[str, list[str]]) -> list[bytes]:
    """Return the lines of the largest population of replace_space_with_newline; none where there is none."""
    found: list[bytes] = []
    for streams in sets.values():
        lines = lines_of(streams)
        if lines and _PROBLEM.encode() in lines[0][-100_000:] + lines[0][:100_000]:
            found = max(found, lines, key=lambda chosen: max(map(len, chosen), default=0))
    return found


def table(folder: Path, only: str) -> Iterator[Stored]:
    """Measure every group whose name holds `only`, then the run of replace_space_with_newline."""
    sets = groups(folder)
    plain: list[str] = []
    for name, streams in sorted(sets.items()):
        if only in name and (lines := lines_of(streams)):
            found = measure(name, lines)
            plain += [] if found.gene_uuids else streams
            yield found
    if len(plain) > 1:
        yield measure("all of them without gene uuids, in one lake", lines_of(plain))
    if only in _PROBLEM and (lines := replaced_spaces(sets)):
        yield measure(f"{_PROBLEM}, as recorded", lines)
        run = bred(lines[-1], POPULATION, GENERATIONS)
        yield measure(f"{_PROBLEM}, population {POPULATION:,}, bred", run, smaller=SMALLER)


def main() -> int:
    """Print the table, and write it to a file if one is named; the verdicts are its last column."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, help="the folder of recorder streams")
    parser.add_argument("--only", default="", help="measure only groups whose name holds this")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    print(f"{'group':46} {'individuals':>11} {'JSON':>12} {'xz -6':>10} {'lake':>10} {'lake/xz':>8} {'JSON/lake':>9}")
    found = []
    for each in table(given.captures, given.only):
        found.append(each)
        print(
            f"{each.name:46} {each.individuals:11,} {each.json:12,} {each.xz:10,} {each.lake:10,} "
            f"{each.lake / each.xz:8.3f} {each.json / each.lake:9.1f}  {each.verdict}",
            flush=True,
        )
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"groups": [asdict(each) for each in found]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
