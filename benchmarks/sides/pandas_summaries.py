"""The summaries of generations in pandas: frames of the columns needed, and each run's group.

`benchmarks.spark_by_hand` says what each question means; the columns come in the order of `CONTESTS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from gpdata.lake.encoding import TYPE_PATTERNS

_Z = 1.959963984540054


def success_table(last: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """`last` says whether its best was `tested` on unseen cases, and whether it `solved` them."""
    facts = groups.merge(last.astype({"run_uuid": object}), on="run_uuid", how="left")
    success = facts["outcome"] == "success"
    facts["finished"] = facts["outcome"].notna() & (facts["outcome"] != "continue")
    facts["success"], facts["at"] = success, facts["generation"].where(success)
    facts["tested"] = facts["tested"].eq(True)
    facts["solved"] = success & facts["solved"].eq(True)
    by = facts.groupby("g", dropna=False)
    sums = by[["finished", "success", "solved"]].sum()
    at = by["at"].agg(["min", "median", "max"])
    n = sums["finished"].where(sums["finished"] > 0).astype(float)
    rate, low, high = _rates(sums["success"].astype(float), n)
    return given(
        {
            "runs": by.size(),
            "finished": sums["finished"],
            "successes": sums["success"],
            "generalising": sums["solved"].where(by["tested"].any()).astype("Int64"),
            "rate": rate,
            "rate_low": low,
            "rate_high": high,
            "generations_min": at["min"].astype("Int64"),
            "generations_median": at["median"],
            "generations_max": at["max"].astype("Int64"),
        }
    )


def cumulative_success(rows: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """A run's end is known of each of its rows."""
    end = rows["generation"].eq(rows.groupby("run_uuid", observed=True)["generation"].transform("max"))
    last = rows[end]
    counted = last.loc[last["outcome"] != "continue", "run_uuid"]
    rows["new"], rows["end"] = end & (rows["outcome"] == "success"), end
    rows = rows.loc[rows["run_uuid"].isin(counted), ["run_uuid", "generation", "new", "end"]]
    points = with_group(rows, groups).groupby(["g", "generation"], dropna=False, observed=True)[["new", "end"]].sum()
    per_group = points.groupby("g", dropna=False, observed=True)
    solved, runs = per_group["new"].cumsum(), per_group["end"].transform("sum")
    rate, low, high = _rates(solved.astype(float), runs.astype(float))
    return given(
        {"runs": runs, "solved": solved, "probability": rate, "probability_low": low, "probability_high": high}
    )


def error_curves(rows: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """NaN is no number to pandas."""
    best = with_group(rows, groups).groupby(["g", "generation"], dropna=False, observed=True)["total_error_min"]
    quartiles = {f"best_{name}": best.quantile(share) for name, share in (("median", 0.5), ("q1", 0.25), ("q3", 0.75))}
    return given({"runs": best.count(), **quartiles, "best_mean": best.mean()})


def size_curves(rows: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """The sizes are there already, null where a mean is no number."""
    names = ["genome_size", "program_size", "percent_parens"]
    by = with_group(rows, groups).groupby(["g", "generation"], dropna=False, observed=True)
    shares = {"": by[names].median(), "_q1": by[names].quantile(0.25), "_q3": by[names].quantile(0.75)}
    return given({"runs": by.size(), **{f"{name}{at}": found[name] for name in names for at, found in shares.items()}})


def ert(rows: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """A lost generation is charged like the one after it."""
    rows = rows.sort_values(["run_uuid", "generation"], ignore_index=True)
    before = rows.groupby("run_uuid", observed=True)["generation"].shift(1, fill_value=-1)
    rows["spent"] = rows["population_size"].astype(np.int64) * (rows["generation"] - before)
    runs = rows.groupby("run_uuid", observed=True)
    ends = pd.DataFrame({"spent": runs["spent"].sum(), "reached": runs["outcome"].last() == "success"}).reset_index()
    by = with_group(ends, groups).groupby("g", dropna=False, observed=True)
    spent, reached = by["spent"].sum(), by["reached"].sum()
    return given(
        {"runs": by.size(), "successes": reached, "evaluations": spent, "ert": spent / reached.where(reached > 0)}
    )


def instruction_frequency(counts: pd.DataFrame, groups: pd.DataFrame) -> pa.Table:
    """`counts` are of runs, instructions and stored types; the types that are not stored are worked out here."""
    texts = pd.Series(counts["instruction"].unique())
    looks = pd.Series("string", texts)
    for name, pattern in reversed(TYPE_PATTERNS):
        looks[texts.str.contains(pattern.replace("(", "(?:"), na=False).to_numpy()] = name
    counts["type"] = counts["type"].fillna(counts["instruction"].map(looks))
    counts = counts.groupby(["run_uuid", "instruction", "type"], dropna=False)["n"].sum().reset_index()
    by = with_group(counts, groups).groupby(["g", "instruction", "type"], dropna=False, observed=True)["n"]
    genes = by.sum()
    share = genes / genes.groupby("g", dropna=False, observed=True).transform("sum")
    return given({"genes": genes, "share": share, "runs": by.size()})


def last_positions(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return where the greatest generation of each run stands."""
    return rows.groupby("run_uuid", observed=True)["generation"].idxmax().to_numpy()


def with_group(rows: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """The rows of the known runs; a category is looked up once, not for each of its rows."""
    named = groups.set_index("run_uuid")["g"].astype("category")
    runs = rows["run_uuid"].astype("category").cat
    of_run = named.reindex(runs.categories)
    known = pd.Index(runs.categories).isin(named.index)[runs.codes.to_numpy()]
    rows = rows.assign(g=of_run.array.take(runs.codes.to_numpy()))
    return rows if known.all() else rows[known]


def given(columns: dict[str, Any]) -> pa.Table:
    frame = pd.DataFrame(columns).reset_index()
    if isinstance(frame["g"].dtype, pd.CategoricalDtype):
        frame["g"] = frame["g"].astype(object)
    return pa.Table.from_pandas(frame, preserve_index=False)


def _rates(k: pd.Series[float], n: pd.Series[float]) -> tuple[pd.Series[float], ...]:
    """The rate, and Wilson's interval."""
    return k / n, _wilson(k, n), 1 - _wilson(n - k, n)


def _wilson(k: pd.Series[float], n: pd.Series[float]) -> pd.Series[float]:
    return (2 * k + _Z * _Z - _Z * np.sqrt(_Z * _Z + 4 * k * (n - k) / n)) / (2 * (n + _Z * _Z))
