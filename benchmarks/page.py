"""docs/performance.md and its pictures, from what the benchmarks left in benchmarks/results.

What stands outside the two marks of the page is kept by hand. A figure that is not reached and has no reason in
benchmarks/reasons.toml is an error. `make bench` runs it: `python -m benchmarks.page`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.charts import SIDES, limits, pictures
from benchmarks.demands import TITLES, demands, reason, reasons
from benchmarks.pictures import save, written
from benchmarks.report import OURS, fastest, median

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PARTS = ("analyses", "limits", "spark", "growth", "interactive", "transform", "size")
BEGIN, END = "<!-- made by benchmarks/page.py: begin -->", "<!-- made by benchmarks/page.py: end -->"

Results = Mapping[str, Any]

CAPTIONS = {
    "ratios": "Seconds of each peer, divided by those of gpdata in the same pair of turns: median, least and greatest. "
    "On the grey ground gpdata is more than 1.2 times as slow. An arrow: the peer was cut off there.",
    "seconds": "Median seconds; hollow marks are new processes with the lake's files dropped from memory. The limit is "
    "the time to read and to decompress the bytes that the answer needs, whichever is longer.",
    "memory": "The greatest memory of a process while it answers, the libraries that it loaded included.",
    "spark": "The same lake, the same session settings, in turns.",
    "growth": "Median seconds against the size of the lake, both axes logarithmic; 0 is flat, 1 is linear.",
    "transform": "Bytes of raw JSON a second. DuckDB gets the lines uncompressed, is told their columns, and "
    "writes one file that nothing validates or makes durable.",
    "size": "What takes the bytes of an individual after compaction, by column of storage.",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return a table in Markdown; the first columns stand left, the others right."""
    rules = ["---"] * left + ["---:"] * (len(head) - left)
    return [f"| {' | '.join(cells)} |" for cells in (head, rules, *rows)] + [""]


def figure(name: str, folder: Path) -> list[str]:
    """Return a picture with its caption, where it was made."""
    if not (folder / f"{name}.svg").exists():
        return []
    return [f"```{{figure}} performance/{name}.svg", f":alt: {CAPTIONS[name]}", "", CAPTIONS[name], "```", ""]


def verdict(results: Results) -> Iterator[str]:
    """Yield how many of the figures to reach are reached, and why each other one is not."""
    found, known = demands(results), reasons()
    yield "## The figures to reach\n"
    rows = []
    for kind, title in TITLES.items():
        of_kind = [demand for demand in found if demand.kind == kind]
        if of_kind:
            met = sum(demand.met for demand in of_kind)
            rows.append([title, f"{met} of {len(of_kind)}"])
    yield from table(["figure", "reached"], rows)
    missed: dict[tuple[str, str], list[str]] = {}
    for demand in found:
        if not demand.met:
            why = reason(demand, known) or "**no reason yet**"
            missed.setdefault((demand.kind, why), []).append(f"- {demand.what}: {demand.text}")
    if missed:
        yield "### Not reached, and why\n"
    for (kind, why), those in missed.items():
        yield f"{TITLES[kind][0].upper()}{TITLES[kind][1:]}. {why}\n"
        yield from [*those, ""]


def where(results: Results) -> Iterator[str]:
    """Yield what was measured on what."""
    machine, lake = results["analyses"]["machine"], results["analyses"]["lake"]
    yield "## Machine and lake\n"
    facts = [
        ["processor", f"{machine['cpu']}, {machine['cores']} cores"],
        ["memory", written(machine["memory"], "B")],
        *([["disk", disk]] if (disk := _disk(results)) else []),
        ["kernel", machine["kernel"]],
        ["Python", machine["python"]],
        ["packages", ", ".join(f"{name} {version}" for name, version in machine["versions"].items())],
        ["date", machine["date"]],
        ["other work at the start", f"load {machine['load']:.1f}"],
        ["lake", ", ".join(f"{lake[name]:,} {name}" for name in ("runs", "generations", "individuals", "genes"))],
        ["its files", ", ".join(f"{name}: {written(size, 'B')} in {lake['files'][name]}"
                                for name, size in lake["bytes"].items())],
    ]  # fmt: skip
    yield from table(["", ""], facts, left=2)
    if results["analyses"]["synthetic"]:
        yield (
            "The lake is synthetic: real populations again and again, each time with fresh uuids of runs and "
            "individuals, some genes replaced by other instructions and some errors changed, so that no two copies "
            "are alike. Real lakes compress and group differently.\n"
        )


def analyses(results: Results, folder: Path) -> Iterator[str]:
    """Yield the analyses against their peers."""
    yield "## Against queries by hand\n"
    yield from figure("ratios", folder)
    yield from figure("seconds", folder)
    times, takes, least = [], [], limits(results)
    for name, question in results["analyses"]["questions"].items():
        ours, peer = question["sides"].get(OURS), fastest(question)
        if ours is None or peer is None:
            continue
        theirs = question["sides"][peer]
        ratios = theirs["ratios"]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
        both = (written(median(record), "s") for record in (ours, theirs))
        times.append([f"`{name}`", SIDES[peer], f"{question['rows']:,}", *both, spread, _cold(ours, theirs)])
        bound = (written(least[name], "s"), f"{median(ours) / least[name]:.3g}×") if name in least else ("–", "–")
        takes.append([f"`{name}`", *bound, _both(ours, theirs, "memory"), _both(ours, theirs, "read")])
    yield from table(["question", "fastest peer", "rows", "ours", "the peer", "ours / peer", "cold"], times, left=2)
    yield (
        "Times are medians with the files in memory; *ours / peer* is the median of pairs (least–greatest), *cold* the "
        "same in new processes with the files dropped from memory.\n"
    )
    yield from figure("memory", folder)
    yield from table(["question", "physical limit", "ours by it", "memory", "read"], takes)
    yield "*Memory* and *read* are ours and the fastest peer's.\n"
    states = [f"- `{name}`, {SIDES.get(side, side)}: {record['state']}"
              for name, question in results["analyses"]["questions"].items()
              for side, record in question["sides"].items() if record["state"] != "answered"]  # fmt: skip
    if states:
        yield "Sides without a time:\n"
        yield from [*states, ""]
    if (folder / "spark.svg").exists():
        yield "## On Spark\n"
        yield from figure("spark", folder)


def others(results: Results, folder: Path) -> Iterator[str]:
    """Yield interactive questions, growth, transform and size."""
    if "interactive" in results:
        yield "## What a person waits for\n"
        rows = [[line["name"], _figure(line["value"], line["unit"]),
                 "–".join(_figure(value, "") for value in line["spread"]),
                 _figure(line["limit"], line["unit"]) if line["limit"] is not None else "–"]
                for line in results["interactive"]]  # fmt: skip
        yield from table(["", "median", "least–greatest", "at most"], rows)
    if "growth" in results:
        yield "## Growth\n"
        yield from figure("growth", folder)
        rows = [[line["name"], line["against"], line["expected"], f"{line['slope']:.2f}",
                 ", ".join(written(value, "s") for value in line["medians"])]
                for line in results["growth"]]  # fmt: skip
        yield from table(["", "against", "should be", "slope", "medians"], rows, left=3)
    if "transform" in results:
        yield "## Transform\n"
        yield from figure("transform", folder)
        rows = [[group["name"], str(group["cores"]), written(group["line_bytes"], "B"),
                 *(f"{group[side] / 1e6:.1f}" for side in ("peer", "decode", "transform")),
                 f"{group['ratio']:.2f} ({group['least']:.2f}–{group['greatest']:.2f})", f"{group['cpu_ratio']:.2f}"]
                for group in results["transform"]["groups"]]  # fmt: skip
        head = ["lines", "cores", "a line", "DuckDB MB/s", "decode MB/s", "gpdata MB/s", "ratio", "of CPU"]
        yield from table(head, rows)
        if parse := results.get("limits", {}).get("parse"):
            speeds = (f"{who} {parse[key] / 1e6:,.0f}" for key, who in
                      (("simdjson", "simdjson, which only parses,"), ("decode", "gpdata's decode"),
                       ("duckdb", "DuckDB's `read_json`")))  # fmt: skip
            yield f"One thread, MB of JSON a second: {'; '.join(speeds)}.\n"
    if "size" in results:
        yield "## Size\n"
        yield from figure("size", folder)
        rows = [[group["name"], f"{group['individuals']:,}", *(written(group[x], "B") for x in ("json", "xz", "lake")),
                 f"{group['lake'] / group['xz']:.3f}", f"{group['json'] / group['lake']:.0f}"]
                for group in results["size"]["groups"]]  # fmt: skip
        yield from table(["streams", "individuals", "JSON", "xz -6", "lake", "lake / xz", "JSON / lake"], rows)


def read(folder: Path) -> dict[str, Any]:
    """Read the results that are there."""
    return {part: json.loads(path.read_text()) for part in PARTS if (path := folder / f"{part}.json").exists()}


def write(results: Results, page: Path) -> None:
    """Make the pictures and the part of the page between the marks."""
    folder = page.with_suffix("")
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, drawn in pictures(results):
        save(drawn, folder / f"{name}.svg")
    text = [*verdict(results)]
    if "analyses" in results:
        text += [*where(results), *analyses(results, folder)]
    text += others(results, folder)
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n".join(text).strip("\n")
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}")


def main() -> int:
    """Make the page; fail where a figure is missed without a reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    results = read(given.results)
    if not results:
        raise SystemExit(f"there are no results in {given.results}; make bench makes them")
    write(results, given.page)
    known = reasons()
    found = demands(results)
    for demand in found:
        why = "" if demand.met else f"\n           {reason(demand, known) or 'no reason is known'}"
        print(f"{'reached    ' if demand.met else 'NOT REACHED'} {demand.key}: {demand.text}{why}")
    without = [demand for demand in found if not demand.met and reason(demand, known) is None]
    for demand in without:
        print(f"not reached, and benchmarks/reasons.toml says not why: {demand.key}: {demand.text}", file=sys.stderr)
    return int(bool(without))


def _disk(results: Results) -> str | None:
    """Say how quickly the lake's files are read and small writes made durable."""
    found = results.get("limits", {})
    if "read" not in found:
        return None
    read = ", ".join(f"{written(found['read'][state], 'B')}/s {state}" for state in ("cold", "warm"))
    writes = (f"{name} {written(speed, 'B')}/s" for name, speed in found.get("fdatasync", {}).items())
    return f"the lake's files are read at {read}; writes, each followed by fdatasync: {', '.join(writes)}"


def _figure(value: float, unit: str) -> str:
    return f"{value:,.3g} {unit}".strip() if value < 1000 else f"{value:,.0f} {unit}".strip()


def _cold(ours: Results, theirs: Results) -> str:
    seconds = [record.get("cold", {}).get("seconds") for record in (ours, theirs)]
    return f"{seconds[0] / seconds[1]:.2f}" if all(seconds) else "–"


def _both(ours: Results, theirs: Results, what: str) -> str:
    middle = [sorted(answer[what] for answer in record["times"]) for record in (ours, theirs)]
    return " / ".join(written(values[len(values) // 2], "B") for values in middle if values)


if __name__ == "__main__":
    sys.exit(main())
