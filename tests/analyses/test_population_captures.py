"""What populations are like, over real Clojush runs, against what Clojush itself reported of them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import gpdata as gp
from gpdata.spool.zstd import ZstdFile

FLOAT = 1e-6
"""Clojush writes shares as 32-bit floats."""


@pytest.fixture(scope="module")
def lab(captured):
    return gp.open(captured)


@pytest.fixture(scope="module")
def reports(lab):
    """Return the sender's report of every generation."""
    rows = lab.generations.select("run_uuid, generation, report").to_arrow_table().to_pylist()
    found = {(row["run_uuid"], row["generation"]): dict(row["report"]) for row in rows}
    assert len(found) > 400
    return found


@pytest.fixture(scope="module")
def printed(captures):
    """Return what the run with logs printed to its standard output, by generation, and the run."""
    run = run_of(captures / "demos.odd-legacy_logs-s51.jsonl.zst")
    with ZstdFile(captures / "demos.odd-legacy_logs-s51.log.zst") as lines:
        text = b"".join(lines).decode()
    parts = re.split(r"-\*- Report at generation (\d+)", text)
    return run, {int(at): part for at, part in zip(parts[1::2], parts[2::2], strict=True)}


def run_of(path):
    with ZstdFile(path) as lines:
        return json.loads(next(iter(lines)))["config-uuid"]


def said(text, name):
    return re.search(rf"^{re.escape(name)}:\s*(.*)$", text, re.MULTILINE).group(1)


def test_diversity_equals_the_report_and_the_summaries(lab, reports):
    counted = gp.to_arrow(gp.diversity(lab.individuals)).to_pylist()
    recorded = gp.to_arrow(gp.diversity(lab.generations)).to_pylist()
    assert [row | {"programs": None} for row in recorded] == counted
    assert len(counted) == len(reports)
    for row in recorded:
        report = reports[row["run_uuid"], row["generation"]]
        assert row["error_vectors"] == pytest.approx(report["percent-errors-unique"], abs=FLOAT)
        assert row["total_errors"] == pytest.approx(report["percent-total-error-unique"], abs=FLOAT)
        assert row["genomes"] == pytest.approx(report["percent-genomes-unique"], abs=FLOAT)
        assert row["programs"] == report["percent-programs-unique"]


def test_behavioral_diversity_is_the_printed_one(lab, printed):
    run, reports = printed
    rows = gp.to_arrow(gp.diversity(lab.individuals)).to_pylist()
    found = {row["generation"]: row["behaviors"] for row in rows if row["run_uuid"] == run}
    want = {at: float(said(text, "Behavioral diversity")) for at, text in reports.items()}
    assert found == pytest.approx(want, abs=FLOAT)
    assert len(want) > 5


def test_lexicase_statistics_are_the_printed_ones(lab, printed):
    run, reports = printed
    stats = gp.lexicase_stats(lab.errors.filter(f"run_uuid = '{run}'")).to_arrow_table().to_pylist()
    individuals = gp.elite_cases(lab.errors.filter(f"run_uuid = '{run}'")).to_arrow_table().to_pylist()
    for at, text in reports.items():
        for name, column in (
            ("Count of elite individuals by case", "elite"),
            ("Count of perfect (error zero) individuals by case", "zero"),
        ):
            want = [int(number) for number in re.findall(r"\d+", said(text, name))]
            assert [row[column] for row in stats if row["generation"] == at] == want
        for name, column in (
            ("Population mean number of elite cases", "elite_cases"),
            ("Population mean number of perfect (error zero) cases", "zero_cases"),
        ):
            mean = np.mean([row[column] for row in individuals if row["generation"] == at])
            assert mean == pytest.approx(float(said(text, name)), abs=0.0051)


def test_lexicase_statistics_over_every_run(lab):
    """Against numpy, over the error vectors."""
    errors = lab.individuals.filter("errors IS NOT NULL").select("run_uuid, generation, location, errors")
    populations = {}
    for run, at, location, vector in sorted(errors.fetchall()):
        populations.setdefault((run, at), []).append((location, vector))
    stats = gp.lexicase_stats(lab.errors).fetchall()
    individuals = gp.elite_cases(lab.errors).fetchall()
    vectors = gp.to_pandas(lab.individuals.filter("errors IS NOT NULL"))
    assert [tuple(row) for row in gp.elite_cases(vectors).itertuples(index=False)] == individuals
    want_stats, want_individuals = [], []
    for key, population in populations.items():
        matrix = np.array([vector for _, vector in population])
        assert not np.isnan(matrix).any()
        least = matrix.min(axis=0)
        elite, zero = matrix == least, matrix == 0
        want_stats += [
            (*key, case, len(matrix), least[case], elite[:, case].sum(), zero[:, case].sum())
            for case in range(matrix.shape[1])
        ]
        want_individuals += [
            (*key, location, matrix.shape[1], elite[place].sum(), zero[place].sum())
            for place, (location, _) in enumerate(population)
        ]
    assert stats == want_stats
    assert individuals == want_individuals
    assert len(individuals) > 50_000


def test_sizes_equal_the_report(lab, reports):
    for run in {run for run, _ in reports}:
        runs = lab.runs.filter(f"run_uuid = '{run}'")
        rows = gp.to_arrow(gp.size_curves(lab.generations, runs, by=[])).to_pylist()
        assert [row["generation"] for row in rows] == sorted(at for name, at in reports if name == run)
        for row in rows:
            report = reports[run, row["generation"]]
            assert row["runs"] == 1
            assert row["genome_size"] == pytest.approx(report["mean-genome-size"], rel=1e-12)
            assert row["program_size"] == report["mean-program-size"]
            assert row["percent_parens"] == report["mean-program-percent-params"]


def test_selections_add_up_to_the_parents_that_were_named(lab, captures):
    counts = gp.selection_counts(lab.individuals).to_arrow_table().to_pylist()
    total, rows = {}, {}
    for row in counts:
        total[row["run_uuid"]] = total.get(row["run_uuid"], 0) + row["selections"]
        rows[row["run_uuid"]] = rows.get(row["run_uuid"], 0) + (row["location"] is not None)
    named = dict(
        lab.sql("SELECT run_uuid, sum(coalesce(len(parent_uuids), 0))::INT FROM individuals GROUP BY ALL").fetchall()
    )
    # Only preserve-frontier carries individuals over, which are not born again.
    frontier = run_of(captures / "x-simple_regression-preserve_frontier-s81.jsonl.zst")
    assert {run for run in named if total[run] != named[run]} == {frontier}
    assert total[frontier] < named[frontier]
    assert rows == dict(lab.sql("SELECT run_uuid, count(*) FROM individuals GROUP BY ALL").fetchall())
    assert any(row["generation"] is None for row in counts)  # parents of lost lines


def test_operators_by_their_nature(lab):
    rows = gp.to_arrow(gp.operator_effects(lab.individuals, lab.runs, by=[])).to_pylist()
    effects = {"+".join(row["genetic_operators"]): row for row in rows}
    assert all(row["improved"] + row["same"] + row["worse"] == row["compared"] for row in rows)
    # A copy is as its parent, and a mutation that is reverted where it is worse is never worse.
    assert effects["reproduction"]["same"] == effects["reproduction"]["compared"] > 100
    assert effects["make-next-operator-revertable+uniform-mutation"]["worse"] == 0
    assert effects["uniform-close-mutation"]["genome_size_change_q1"] == 0
    assert effects["uniform-close-mutation"]["genome_size_change_q3"] == 0
    assert effects["random"]["compared"] == effects["genesis"]["compared"] == 0


def test_instructions_of_winners_ancestors_and_all(lab):
    runs = sorted(run for (run,) in lab.runs.select("run_uuid").fetchall())
    everyone = gp.instruction_frequency(lab.genes, lab.runs, by=[]).fetchall()
    assert sum(row[2] for row in everyone) == lab.sql("SELECT sum(genome_size) FROM individuals").fetchall()[0][0]
    winners = gp.winner(lab.individuals, lab.generations, run=runs)
    ancestors = gp.ancestry(lab.individuals, of=winners)
    sizes = [len(everyone)]
    for of in (ancestors, winners):
        keys = {row[:3] for row in of.fetchall()}
        genes = lab.individuals.select("run_uuid, generation, location, genome_size").fetchall()
        found = gp.instruction_frequency(lab.genes, lab.runs, by=[], of=of).fetchall()
        assert sum(row[2] for row in found) == sum(row[3] for row in genes if row[:3] in keys)
        sizes.append(len(found))
    assert sizes == sorted(sizes, reverse=True)
