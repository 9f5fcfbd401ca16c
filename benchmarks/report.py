"""What `benchmarks.analyses` found, as a table, and which lines of the issue it meets."""

from __future__ import annotations

import math
import statistics
from typing import Any

Results = dict[str, Any]
OURS, OURS_SPARK = "gpdata_duckdb", "gpdata_spark"
BY_HAND_SPARK, ORIGINAL = "pyspark_sql", "nested_spark"
AT_MOST = 1.2
"""Times the fastest peer."""
NEAR = 0.020
"""Seconds that ours may be slower than the fastest peer, however quick that is."""
ON_SPARK = 1.1
BEFORE = 20.0
"""Times that the original design has to be slower."""


def median(record: Results) -> float:
    """Return the median seconds of a side; infinite where it has no answer."""
    return statistics.median(a["seconds"] for a in record["times"]) if record.get("times") else math.inf


def fastest(question: Results) -> str | None:
    """Return the peer of ours on DuckDB that answers first."""
    leave = (OURS, OURS_SPARK, BY_HAND_SPARK, ORIGINAL)
    seconds = {side: median(record) for side, record in question["sides"].items() if side not in leave}
    best = min(seconds, key=lambda side: seconds[side], default=None)
    return best if best is not None and math.isfinite(seconds[best]) else None


def lines(results: Results) -> list[Results]:
    """Return a line for each question and demand: whether it is met, and its numbers."""
    found = []
    for name, question in results["questions"].items():
        sides = question["sides"]
        if (peer := fastest(question)) is not None:
            ours, theirs = median(sides[OURS]), median(sides[peer])
            ratio = statistics.median(sides[peer]["ratios"])
            met = ratio <= AT_MOST or ours - theirs <= NEAR
            text = f"{ours:.3f} s, {peer} {theirs:.3f} s: {_spread(sides[peer]['ratios'])} times"
            found.append({"line": "fastest peer", "question": name, "met": met, "ratio": ratio, "text": text})
        if sides.get(BY_HAND_SPARK, {}).get("ratios"):
            ratio = statistics.median(sides[BY_HAND_SPARK]["ratios"])
            text = f"{median(sides[OURS_SPARK]):.2f} s, by hand {median(sides[BY_HAND_SPARK]):.2f} s: "
            text += f"{_spread(sides[BY_HAND_SPARK]['ratios'])} times"
            found.append({"line": "spark", "question": name, "met": ratio <= ON_SPARK, "ratio": ratio, "text": text})
        if (original := sides.get(ORIGINAL)) and math.isfinite(median(sides[OURS])):
            seconds = median(original) if original["times"] else original.get("first", {}).get("seconds")
            if seconds and (original["times"] or original.get("cut")):
                times = seconds / median(sides[OURS])
                text = f"the original design {'' if original['times'] else 'more than '}{times:.0f} times as long"
                text += "" if original["times"] else f" ({original['state']})"
                found.append({"line": "original", "question": name, "met": times >= BEFORE, "ratio": times,
                              "text": text})  # fmt: skip
    for name, question in results["questions"].items():
        for side, record in question["sides"].items():
            if record["state"].startswith("another answer"):
                found.append({"line": "equal answers", "question": name, "met": False, "ratio": None,
                              "text": f"{side}: {record['state']}"})  # fmt: skip
    return found


def table(results: Results) -> str:
    """Return the report as text."""
    machine, lake = results["machine"], results["lake"]
    where = f"{machine['cores']} cores of {machine['cpu']}, {machine['memory'] / 2**30:.0f} GB"
    held = ", ".join(f"{lake[what]:,} {what}" for what in ("runs", "individuals", "genes", "errors"))
    stored = f"{sum(lake['bytes'].values()) / 1e6:,.0f} MB"
    columns = f"{'question':22} {'rows':>9} {'ours s':>8} {'fastest peer':>17} {'s':>8} {'ratio (least-greatest)':>23} "
    text = [
        f"{lake['name']}{' (synthetic)' if results['synthetic'] else ''}: {held}, {stored}",
        f"{where}; load {machine['load']:.1f} at the start",
        "",
        columns + f"{'n':>2} {'cold':>6} {'MB peak':>13} {'MB read':>13}",
    ]
    for name, question in results["questions"].items():
        peer, ours = fastest(question), question["sides"].get(OURS)
        if ours is None or peer is None:
            text.append(f"{name:22} no peer answered: {_states(question)}")
            continue
        theirs = question["sides"][peer]
        cold = [record["cold"]["seconds"] for record in (ours, theirs) if "seconds" in record.get("cold", {})]
        text.append(
            f"{name:22} {question['rows']:>9,} {median(ours):>8.3f} {peer:>17} {median(theirs):>8.3f} "
            f"{_spread(theirs['ratios']):>23} {len(theirs['ratios']):>2} "
            f"{f'{cold[0] / cold[1]:.2f}' if len(cold) == 2 else '':>6} "
            f"{_both(ours, theirs, 'memory'):>13} {_read(ours, theirs):>13}"
        )
    text += [
        "",
        "ratio: ours / fastest peer, median of n pairs; cold: new processes, files not in memory; read: by those",
    ]
    text += ["", "every side, median seconds:", *_every(results)]
    text += ["", *(f"{'met    ' if x['met'] else 'NOT MET'} {x['line']:13} {x['question']:22} {x['text']}"
                   for x in results["lines"])]  # fmt: skip
    return "\n".join(text)


def _every(results: Results) -> list[str]:
    text = []
    for name, question in results["questions"].items():
        parts = [f"{side} {median(r):.3f}" if r["times"] else f"{side} {r['state'][:60]}"
                 for side, r in question["sides"].items()]  # fmt: skip
        text.append(f"{name}: {'; '.join(parts)}")
    return text


def _states(question: Results) -> str:
    return "; ".join(f"{side} {record['state'][:80]}" for side, record in question["sides"].items())


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-"


def _read(ours: Results, theirs: Results) -> str:
    """Return the bytes read by calls or through mapped files, by new processes; warm ones keep what they have read."""
    colds = [record.get("cold", {}) for record in (ours, theirs)]
    if not all("seconds" in cold for cold in colds):
        return ""
    return " / ".join(f"{max(cold['disk'], cold['read']) / 1e6:,.1f}" for cold in colds)


def _both(ours: Results, theirs: Results, what: str) -> str:
    return " / ".join(f"{statistics.median(a[what] for a in r['times']) / 1e6:,.0f}" for r in (ours, theirs))
