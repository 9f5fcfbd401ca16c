"""Bytes of the lake against `xz -6` of the same streams, a capture group a line.

The lake's bytes are those of the Parquet files that the snapshot names after `gpdata compact`. A group is the
streams whose names differ only in the seed (`-s11`) or the part (`.part1`). `make bench-size` runs it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gpdata
from gpdata.importers import find_streams, import_paths
from gpdata.importers.lines import decompressed
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from gpdata.schema import STORED

LARGE = 10_000
"""Individuals from which on a bound is set; the fixed cost of a file weighs less then."""
BOUND, BOUND_WITH_GENE_UUIDS = 0.8, 1.0


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


def xz_bytes(streams: list[str]) -> tuple[int, int]:
    """Return the raw bytes of streams and what `xz -6` makes of them together."""
    raw = 0
    with tempfile.TemporaryFile() as packed:
        process = subprocess.Popen(["xz", "-6", "-c"], stdin=subprocess.PIPE, stdout=packed)
        assert process.stdin is not None
        for piece in pieces(streams):
            raw += len(piece)
            process.stdin.write(piece)
        process.stdin.close()
        if process.wait():
            raise SystemExit("xz failed; install it (Debian: apt install xz-utils)")
        return raw, packed.tell()


def measure(streams: list[str]) -> tuple[int, int, bool]:
    """Return the lake's bytes, its individuals, and whether genes have uuids."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.create(Path(folder) / "lake")
        import_paths(streams, lake)
        compact(lake)
        lab = gpdata.open(lake.path)
        size = sum(Path(file).stat().st_size for table in STORED for file in lab.files(table.name))
        ((count, with_uuids),) = lab.sql("SELECT count(*), count(gene_uuid) FROM individuals").fetchall()
        return size, count, with_uuids > 0


def main(folder: str) -> int:
    """Print the table; return 1 where a bound is passed."""
    passed = False
    print(f"{'group':60} {'individuals':>11} {'JSON':>12} {'xz -6':>10} {'lake':>10} {'lake/xz':>8}  bound")
    for name, streams in sorted(groups(Path(folder)).items()):
        raw, xz = xz_bytes(streams)
        size, individuals, gene_uuids = measure(streams)
        bound = (BOUND_WITH_GENE_UUIDS if gene_uuids else BOUND) if individuals >= LARGE else None
        passed |= bound is not None and size / xz > bound
        verdict = "-" if bound is None else f"{bound}{'' if size / xz <= bound else '  PASSED'}"
        print(
            f"{name:60} {individuals:11,} {raw:12,} {xz:10,} {size:10,} {size / xz:8.3f}  {verdict}",
            flush=True,
        )
    return int(passed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
