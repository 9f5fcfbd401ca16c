"""What a lab shows of itself: how many runs of what, how they stand, and which are the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from gpdata.display import Card, Grid, shortened
from gpdata.origin import Provenance, moment

UNFINISHED = "unfinished"
"""What is said of a run whose newest generation has the outcome `continue`: it goes on, or was killed."""
_OUTCOMES = ("success", "failure", UNFINISHED)
_LIVE = timedelta(minutes=10)
"""An unfinished run that was heard from within this time probably goes on."""
_MOST_PROBLEMS = 12
_MOST_OWNERS = 8
_NEWEST = 6
_LONGEST = 48

Row = dict[str, Any]


def standings(runs: pa.Table, progress: pa.Table) -> list[Row]:
    """Say of each run how it stands.

    Parameters
    ----------
    runs : pyarrow.Table
        The runs.
    progress : pyarrow.Table
        Of each generation: run_uuid, generation, outcome, started_at, received_at, total_error_min.

    Returns
    -------
    list of dict
        One per run, in the order of `runs`: run_uuid, problem, label, owner, and of its generations `outcome` (of the
        greatest one; `continue` is "unfinished"), `generation` (the greatest), `generations` (how many there are),
        `best` (the least error; None: none is a number) and `heard` (when the newest was received, else when it
        started; None: neither is known).
    """
    ordered = progress.sort_by([("run_uuid", "ascending"), ("generation", "ascending")])
    stats = ordered.group_by("run_uuid", use_threads=False).aggregate(
        [
            ("outcome", "last"),
            ("generation", "max"),
            ("generation", "count"),
            ("total_error_min", "min"),
            ("received_at", "max"),
            ("started_at", "max"),
        ]
    )
    found = {row["run_uuid"]: row for row in stats.to_pylist()}
    rows = []
    for run in runs.select(["run_uuid", "problem", "label", "owner"]).to_pylist():
        ends = found[run["run_uuid"]]
        rows.append(
            run
            | {
                "outcome": said_outcome(ends["outcome_last"]),
                "generation": ends["generation_max"],
                "generations": ends["generation_count"],
                "best": ends["total_error_min_min"],
                "heard": ends["received_at_max"] or ends["started_at_max"],
            }
        )
    return rows


def lab_card(origin: Provenance, rows: list[Row]) -> Card:
    """Show a lab.

    Parameters
    ----------
    origin : Provenance
        Its provenance.
    rows : list of dict
        What `standings` returned.
    """
    facts = {
        "lake": origin.lake,
        "version": f"{origin.said_version.removeprefix('version ')}, on {origin.engine}",
        "freshness": origin.freshness if rows else "no generation yet",
        "runs": f"{origin.said_runs}{_said_outcomes(rows)}",
    }
    owners = Counter(row["owner"] or "(without account)" for row in rows)
    if set(owners) - {"(without account)"}:
        named = [f"{shortened(name, _LONGEST)} {count:,}" for name, count in owners.most_common(_MOST_OWNERS)]
        facts["owners"] = ", ".join(named) + _more(len(owners) - len(named))
    return Card("gpdata lab", facts, (_problems(rows), _newest(rows)) if rows else ())


def said_outcome(outcome: str) -> str:
    """Name the outcome of a run's newest generation."""
    return UNFINISHED if outcome == "continue" else outcome


def said_error(error: float | None) -> str:
    """Write an error in four digits; null is a dash."""
    return "–" if error is None else f"{error:.4g}"


def _said_outcomes(rows: list[Row]) -> str:
    counts = Counter(row["outcome"] for row in rows)
    said = ", ".join(f"{counts[name]:,} {name}" for name in _OUTCOMES if counts[name])
    live = sum(_is_live(row) for row in rows)
    return (f": {said}" if said else "") + (f", {live:,} of them heard from in the last 10 minutes" if live else "")


def _is_live(row: Row) -> bool:
    heard: datetime | None = row["heard"]
    return row["outcome"] == UNFINISHED and heard is not None and datetime.now(UTC) - heard < _LIVE


def _problems(rows: list[Row]) -> Grid:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["problem"] or "(not set)", Counter())[row["outcome"]] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return Grid(
        "Problems",
        ("problem", "runs", *_OUTCOMES),
        [
            (shortened(name, _LONGEST), *_counts([count.total(), *(count[outcome] for outcome in _OUTCOMES)]))
            for name, count in ordered[:_MOST_PROBLEMS]
        ],
        frozenset({1, 2, 3, 4}),
        _more(len(ordered) - _MOST_PROBLEMS).removeprefix(" "),
    )


def _newest(rows: list[Row]) -> Grid:
    heard = sorted(rows, key=lambda row: (row["heard"] is not None, row["heard"] or 0), reverse=True)
    return Grid(
        "Newest runs",
        ("run", "problem", "label", "owner", "outcome", "generation", "best error", "last heard from"),
        [
            (
                row["run_uuid"][:8],
                *(shortened(row[name] or "–", 24) for name in ("problem", "label", "owner")),
                row["outcome"],
                f"{row['generation']:,}",
                said_error(row["best"]),
                "–" if row["heard"] is None else moment(row["heard"]),
            )
            for row in heard[:_NEWEST]
        ],
        frozenset({5, 6}),
        f'lab.run("{heard[0]["run_uuid"][:8]}") shows one; lab.runs has all',
    )


def _counts(numbers: Iterable[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _more(number: int) -> str:
    return f" and {number:,} more" if number > 0 else ""
