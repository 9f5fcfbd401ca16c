"""The report that Clojush prints for a generation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from gpdata.importers.edn import EdnError, ratio, read
from gpdata.importers.items import Generation

_LABEL = re.compile(r"([A-Z][^:]*(?:\([^)]*\)[^:]*)?):\s*(.*)")
_TEST_CASE = re.compile(r"Test Case\s+(\d+) \| Error: (\S+)")
_BEST = re.compile(r"--- Best Program \(.*\) Statistics ---")
_SECTION = re.compile(r"--- .* ---")

BEST = {
    "Best genome": "genome",
    "Best program": "program",
    "Errors": "errors",
    "Meta-Errors": "meta-errors",
    "Total": "total-error",
    "Normalized error": "normalized-error",
    "HAH-error": "weighted-error",
    "RMS-error": "weighted-error",
    "IFS-error": "weighted-error",
    "Novelty": "novelty",
    "Age": "age",
}
"""Lines of the best program: the field of `best.individual` that each is."""

OF_BEST = {"Mean": "mean-error", "Genome size": "genome-size", "Size": "program-size"}
"""Lines of the best program: the field of `best` that each is."""

REPORT = {
    "Average total errors in population": "mean-total-error",
    "Median total errors in population": "median-total-error",
    "Average genome size in population (length)": "mean-genome-size",
    "Average program size in population (points)": "mean-program-size",
    **{
        f"{word} {what} in population": f"{name}-{what}"
        for word, name in {"Minimum": "min", "Maximum": "max", "Average": "mean", "Median": "median"}.items()
        for what in ("age", "grain-size")
    },
    **{
        f"{word} copy number of one {what}": f"{word.lower()}-{name}-frequency"
        for word in ("Min", "Median", "Max")
        for what, name in {"genome": "genome", "Push program": "program"}.items()
    },
    "Genome diversity (% unique genomes)": "percent-genomes-unique",
    "Syntactic diversity (% unique Push programs)": "percent-programs-unique",
    "Total error diversity": "percent-total-error-unique",
    "Error (vector) diversity": "percent-errors-unique",
    "Number of random replacements for non-diversifying individuals": "number-random-replacements",
}
"""Lines of the population: the number of the recorder's `population-report` that each is."""


@dataclass(slots=True)
class Report:
    """A generation's report in the making."""

    index: int
    number: int
    raw: list[bytes] = field(default_factory=list)
    size: int = 0
    outcome: str = "continue"
    individual: dict[str, str] = field(default_factory=dict)
    best: dict[str, str] = field(default_factory=dict)
    simplified: str | None = None
    tests: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """Lines that no column holds, by their label."""
    final: list[str] = field(default_factory=list)
    """What is printed of the solution after a success."""
    _in_best: bool = False

    def line(self, text: str) -> None:
        """Take a line of the report."""
        if (case := _TEST_CASE.fullmatch(text.strip())) is not None:
            if int(case[1]) == len(self.tests):
                self.tests.append(case[2])
            return
        if _SECTION.fullmatch(text):
            self._in_best = _BEST.fullmatch(text) is not None
            return
        label, said = _split(text)
        if label is None:
            return
        if self._in_best and label in BEST:
            self.individual[BEST[label]] = said
        elif self._in_best and label in OF_BEST:
            self.best[OF_BEST[label]] = said
        elif self._in_best and label == "Partial simplification":
            self.simplified = said
        elif label in REPORT:
            self.numbers[REPORT[label]] = said
        else:
            self.left[label] = said

    def generation(self, size: int) -> Generation:
        """Return what the report says as a generation of so many individuals.

        Raises
        ------
        EdnError
            A value cannot be read.
        """
        individual: dict[str, Any] = {name: read(text) for name, text in self.individual.items()}
        if self.tests:
            individual["test-errors"] = [read(text) for text in self.tests]
        best: dict[str, Any] = {name: _number(text) for name, text in self.best.items()}
        if individual:
            best["individual"] = individual
        if "program" in individual and (share := _parens(individual["program"], best.get("program-size"))) is not None:
            best["percent-parens"] = share
        if self.simplified is not None:
            best["individual-simplified"] = {"program": read(self.simplified)}
        other: dict[str, Any] = {"best": best} if best else {}
        if self.numbers:
            other["population-report"] = {name: _number(text) for name, text in self.numbers.items()}
        left: dict[str, Any] = dict(self.left)
        if any(text.strip() for text in self.final):
            left["solution"] = "\n".join(self.final).strip()
        if left:
            other["printed"] = left
        return Generation(self.index, [Raw(b"{}")] * size, self.number, self.outcome, other=other)


def _split(text: str) -> tuple[str | None, str]:
    """Return the label of a line and what it says of it; None where it has no label."""
    if "): " in text or "):\t" in text:  # a label may hold a colon in its brackets
        label, _, said = text.replace("):\t", "): ", 1).partition("): ")
        if ": " not in label:
            return f"{label})", said.strip()
    match = _LABEL.fullmatch(text)
    return (match[1], match[2].strip()) if match else (None, "")


def _number(text: str) -> Any:
    value = read(text)
    if type(value) is Raw or value in ("NaN", "Infinity", "-Infinity"):
        return value
    raise EdnError(f"{text!r} is no number")


def _parens(program: Any, size: Any) -> float | None:
    """Return the share of parentheses, of which three digits are printed, from the program itself."""
    if not isinstance(size, Raw) or not bytes(size).isdigit() or not int(bytes(size)):
        return None
    return ratio(_lists(program), int(bytes(size)))


def _lists(program: Any) -> int:
    return 1 + sum(map(_lists, program)) if isinstance(program, list) else 0
