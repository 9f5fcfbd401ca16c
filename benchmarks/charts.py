"""Which dots, lines and bars the results are: what `benchmarks.pictures` draws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.pictures import Dot, Line, Panel, Series, dots, growth, shares
from benchmarks.report import AT_MOST, BY_HAND_SPARK, ON_SPARK, OURS, OURS_SPARK, fastest, median

Results = Mapping[str, Any]

SIDES = {
    OURS: "gpdata on DuckDB",
    "duckdb_sql": "DuckDB SQL",
    "polars_lazy": "Polars, lazy",
    "polars_streaming": "Polars, streaming",
    "pandas_frames": "pandas",
    "dask_frames": "Dask",
    "nested_spark": "original design, Spark",
    OURS_SPARK: "gpdata on Spark",
    BY_HAND_SPARK: "PySpark SQL",
}
READS = {
    "summaries": "a row for each generation",
    "run": "one run",
    "population": "every individual",
    "genes": "every gene",
}


def rows_of(results: Results) -> list[tuple[str, list[str]]]:
    """Return the questions that were asked, by what they read."""
    asked = results["analyses"]["questions"]
    return [(title, names) for reads, title in READS.items()
            if (names := [name for name, question in asked.items() if question["reads"] == reads])]  # fmt: skip


def of_ratios(results: Results) -> Figure:
    """Draw how many times our seconds each peer takes."""
    asked = results["analyses"]["questions"]
    series = [Series(SIDES[OURS], {})]
    for side, title in SIDES.items():
        if side not in (OURS, OURS_SPARK, BY_HAND_SPARK):
            found = {name: dot for name, question in asked.items() if (dot := _ratio(question, side)) is not None}
            series.append(Series(title, found))
    label = "times as long as gpdata on DuckDB (right of the line: slower than gpdata)"
    return dots(rows_of(results), series, label, at=1.0, unit="x", behind=1 / AT_MOST)


def of_spark(results: Results) -> Figure | None:
    """Draw how many times the seconds of gpdata on Spark a query by hand takes there; None where not asked."""
    found = {}
    for name, question in results["analyses"]["questions"].items():
        if ratios := question["sides"].get(BY_HAND_SPARK, {}).get("ratios"):
            turned = [1 / ratio for ratio in ratios]
            found[name] = Dot(statistics.median(turned), min(turned), max(turned))
    rows = [(title, [name for name in names if name in found]) for title, names in rows_of(results)]
    series = Series("PySpark SQL by hand", found)
    label = "times as long as gpdata on Spark (right of the line: slower than gpdata)"
    rows = [(title, names) for title, names in rows if names]
    return dots(rows, [series], label, at=1.0, unit="x", log=False, behind=1 / ON_SPARK) if found else None


def of_seconds(results: Results) -> Figure:
    """Draw our seconds and those of the fastest peer, warm and cold, beside the physical limit."""
    asked = results["analyses"]["questions"]
    warm: dict[str, Dot] = {}
    cold: dict[str, Dot] = {}
    peers: dict[str, Dot] = {}
    cold_peers: dict[str, Dot] = {}
    for name, question in asked.items():
        sides, peer = question["sides"], fastest(question)
        for side, hot, chilled in ((OURS, warm, cold), (peer, peers, cold_peers)):
            if side in sides and (dot := _seconds(sides[side])) is not None:
                hot[name] = dot
                if "seconds" in sides[side].get("cold", {}):
                    chilled[name] = Dot(sides[side]["cold"]["seconds"])
    ours, theirs, least = "gpdata on DuckDB, in memory", "fastest peer, in memory", "physical limit, in memory"
    series = [
        Series(ours, warm, main=True),
        Series(theirs, peers),
        Series(least, {name: Dot(seconds) for name, seconds in limits(results).items() if name in asked}),
        Series("gpdata on DuckDB, from disk", cold, hollow=True, same_as=ours),
        Series("fastest peer, from disk", cold_peers, hollow=True, same_as=theirs),
        Series(
            "physical limit, from disk",
            {name: Dot(seconds) for name, seconds in limits(results, "cold").items() if name in asked},
            hollow=True,
            same_as=least,
        ),
    ]
    return dots(rows_of(results), series, "seconds of a question", unit="s")


def of_memory(results: Results) -> Figure:
    """Draw the greatest memory of each side's process."""
    series = []
    for side, title in SIDES.items():
        found = {}
        for name, question in results["analyses"]["questions"].items():
            times = question["sides"].get(side, {}).get("times")
            if times:
                found[name] = Dot(statistics.median(answer["memory"] for answer in times))
        series.append(Series(title, found, main=side == OURS))
    label = "greatest memory of the process while it answers"
    return dots(rows_of(results), series, label, unit="B")


def of_growth(results: Results) -> Figure:
    """Draw what grows with a lake, a panel for each kind of question."""
    panels: dict[str, Panel] = {}
    for line in results["growth"]:
        title = _panel(line)
        against = line["against"]
        name = line["name"].removesuffix(", one run").split(", the same")[0]
        panels.setdefault(title, Panel(title, against)).lines.append(
            Line(name, line["x"], line["medians"], line["slope"])
        )
    return growth(list(panels.values()))


def of_transform(results: Results) -> Figure:
    """Draw raw JSON a second of gpdata's transform and of DuckDB."""
    groups = results["transform"]["groups"]
    rows, ours, theirs, wire = [], {}, {}, {}
    for cores in sorted({group["cores"] for group in groups}):
        mine = [group for group in groups if group["cores"] == cores]
        names = [f"{group['name']} ({cores})" for group in mine]
        rows.append((f"{cores} core{'s' if cores > 1 else ''}", names))
        for name, group in zip(names, mine, strict=True):
            ours[name], theirs[name], wire[name] = (Dot(group[key]) for key in ("transform", "peer", "decode"))
    series = [Series("gpdata, to three durable tables", ours, main=True),
              Series("DuckDB's read_json + COPY", theirs),
              Series("gpdata, decoding line by line", wire, hollow=True)]  # fmt: skip
    return dots(rows, series, "JSON a second", unit="B", log=False)


def of_size(results: Results) -> Figure:
    """Draw what takes the bytes of an individual in the groups that have a bound."""
    bounded = [g for g in results["size"]["groups"] if g["bound"] is not None or g["smaller"] is not None]
    rows = {}
    for group in bounded:
        parts = {name: size / group["individuals"] for name, size in group["columns"].items()}
        parts["runs, generations, footers"] = (group["lake"] - sum(group["columns"].values())) / group["individuals"]
        rows[f"{group['name']}\n{group['lake'] / group['xz']:.3f} of xz"] = parts
    return shares(rows, "bytes of an individual")


def limits(results: Results, which: str = "seconds") -> dict[str, float]:
    """Return the least seconds that each question can take on this machine, where they were measured."""
    return {name: one[which] for name, one in results.get("limits", {}).get("questions", {}).items() if which in one}


def pictures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Yield every picture that there are results for."""
    if "analyses" in results:
        yield "ratios", of_ratios(results)
        yield "seconds", of_seconds(results)
        yield "memory", of_memory(results)
        if (figure := of_spark(results)) is not None:
            yield "spark", figure
    for name, draw in (("growth", of_growth), ("transform", of_transform), ("size", of_size)):
        if name in results:
            yield name, draw(results)


def _panel(line: Results) -> str:
    if line["against"] == "batches":
        return "Opening a snapshot"
    if line["against"] == "bytes":
        return "Whole-population scans"
    if line["against"].startswith("individuals"):
        return "The same runs with more individuals"
    if "generation of a" in line["name"] or "transform" in line["name"]:
        return "Taking in one generation"
    return "Questions of one run" if line["expected"] == "flat" else "Lab-wide summaries"


def _ratio(question: Results, side: str) -> Dot | None:
    """Return the seconds of a peer by ours; where it was cut off, what it had taken by then."""
    record, ours = question["sides"].get(side), question["sides"].get(OURS)
    if record is None or ours is None or not math.isfinite(median(ours)):
        return None
    if record.get("ratios"):
        turned = [1 / ratio for ratio in record["ratios"]]
        return Dot(statistics.median(turned), min(turned), max(turned))
    taken = record.get("first", {}).get("seconds")
    return Dot(taken / median(ours), beyond=True) if taken and record.get("cut") else None


def _seconds(record: Results) -> Dot | None:
    seconds = [answer["seconds"] for answer in record.get("times", ())]
    return Dot(statistics.median(seconds), min(seconds), max(seconds)) if seconds else None
