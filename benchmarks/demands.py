"""The figures to reach: which are met by the results, and for the others the reason that is kept by hand.

`benchmarks/reasons.toml` has them: `[[reason]]` with `lines`, a pattern of keys as a shell has it, and `text`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks.pictures import written

REASONS = Path(__file__).with_name("reasons.toml")
HALF = 0.5
"""What the transform is to reach of DuckDB's `read_json` and `COPY`."""
FLAT, LINEAR = 0.25, 1.15
"""The greatest fitted slope of what is called flat, and of what is called linear."""

Results = Mapping[str, Any]

TITLES = {
    "fastest peer": "on DuckDB at most 1.2 times the fastest peer by hand, or within 20 ms",
    "original": "on DuckDB at least 20 times as fast as the original design",
    "spark": "on Spark at most 1.1 times PySpark by hand",
    "equal answers": "every side gives the same answer",
    "interactive": "a question at 1,000 runs under 200 ms, a first answer under 1 s, the import under 0.3 s",
    "memory": "a question of one run under 1 GB",
    "transform": "the transform at least 0.5 times DuckDB's read_json + COPY, two cores",
    "size": "the lake at most 0.75 of xz -6, and 100 times smaller than the JSON of replace_space_with_newline",
    "growth": "flat where it should be, linear elsewhere",
}


@dataclass(frozen=True, slots=True)
class Demand:
    """A figure to reach.

    Parameters
    ----------
    kind : str
        A key of TITLES.
    what : str
        Of which question, group or figure.
    met : bool
        Whether it is reached.
    text : str
        The numbers.
    """

    kind: str
    what: str
    met: bool
    text: str

    @property
    def key(self) -> str:
        """What reasons are kept by."""
        return f"{self.kind}: {self.what}"


def demands(results: Results) -> list[Demand]:
    """Return every figure to reach that something was measured for."""
    return [*_analyses(results), *_interactive(results), *_transform(results), *_size(results), *_growth(results)]


def reasons(path: Path = REASONS) -> list[tuple[str, str]]:
    """Return patterns of keys and texts, as they stand in the file."""
    return [(entry["lines"], " ".join(entry["text"].split())) for entry in tomllib.loads(path.read_text())["reason"]]


def reason(demand: Demand, known: list[tuple[str, str]]) -> str | None:
    """Return the first reason whose pattern fits; None where there is none."""
    return next((text for pattern, text in known if fnmatchcase(demand.key, pattern)), None)


def _analyses(results: Results) -> Iterator[Demand]:
    for line in results.get("analyses", {}).get("lines", ()):
        yield Demand(line["line"], line["question"], line["met"], line["text"])


def _interactive(results: Results) -> Iterator[Demand]:
    for line in results.get("interactive", ()):
        if line["limit"] is not None:
            kind = "memory" if line["name"].startswith("memory") else "interactive"
            what = line["name"].removeprefix("memory: ")
            text = f"{line['value']:,.3g} {line['unit']}, at most {line['limit']:,.3g} {line['unit']}"
            yield Demand(kind, what, line["met"], text)


def _transform(results: Results) -> Iterator[Demand]:
    for group in results.get("transform", {}).get("groups", ()):
        if group["cores"] == max(g["cores"] for g in results["transform"]["groups"]):
            spread = f"{group['ratio']:.2f} ({group['least']:.2f}-{group['greatest']:.2f}) of DuckDB"
            text = f"{spread}, {group['cpu_ratio']:.2f} of its CPU time; {written(group['line_bytes'], 'B')} a line"
            yield Demand("transform", group["name"], group["ratio"] >= HALF, text)


def _size(results: Results) -> Iterator[Demand]:
    for group in results.get("size", {}).get("groups", ()):
        of_xz, times = group["lake"] / group["xz"], group["json"] / group["lake"]
        text = f"{of_xz:.3f} of xz, JSON {times:.0f} times as large; {group['individuals']:,} individuals"
        if group["bound"] is not None:
            yield Demand("size", group["name"], of_xz <= group["bound"], f"{text}; bound {group['bound']} of xz")
        if group["smaller"] is not None:
            yield Demand("size", group["name"], times >= group["smaller"], f"{text}; bound {group['smaller']:g} times")


def _growth(results: Results) -> Iterator[Demand]:
    for line in results.get("growth", ()):
        most = FLAT if line["expected"] == "flat" else LINEAR
        text = f"slope {line['slope']:.2f} in {line['against']}: {line['expected']} is at most {most}"
        yield Demand("growth", line["name"], line["slope"] <= most, text)
