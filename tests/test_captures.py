"""Real runs, end to end: every recorder stream into a lake, against counts and numbers made without gpdata."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.importers import find_streams, import_paths
from gpdata.lake import Account, Lake
from gpdata.lake.compaction import compact
from gpdata.lake.verify import verify
from gpdata.spool import zstd
from tests.support import contents

SHARED = {
    "mean-total-error": "total_error_mean",
    "median-total-error": "total_error_median",
    "min-age": "age_min",
    "median-age": "age_median",
    "mean-age": "age_mean",
    "max-age": "age_max",
    "mean-genome-size": "genome_size_mean",
}
"""What a population report and our summaries both hold; shares of the population are below."""
SHARES = {
    "percent-errors-unique": "distinct_error_vectors",
    "percent-total-error-unique": "distinct_total_errors",
    "percent-genomes-unique": "distinct_genomes",
}


def sent(captures: Path) -> tuple[dict[tuple[str, int], dict[str, Any]], list[bytes]]:
    """Return every whole line by run and generation, and the torn tails."""
    whole, torn = {}, []
    for stream in find_streams([captures]):
        for raw in zstd.decompress(Path(stream).read_bytes()).split(b"\n"):
            if not raw:
                continue
            try:
                line = json.loads(raw)
            except ValueError:
                torn.append(raw)
            else:
                whole[line["config-uuid"], line["index"]] = line
    return whole, torn


@pytest.fixture(scope="module")
def lake(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Account]:
    lake = Lake.create(tmp_path_factory.mktemp("captures") / "lake")
    return lake, import_paths([captures], lake)


def test_every_line_is_stored_once_or_in_quarantine(lake: tuple[Lake, Account], captures: Path) -> None:
    whole, torn = sent(captures)
    where, account = lake
    assert account.accepted == len(whole)
    assert account.quarantined == len(torn)
    assert sorted(where.quarantine.raw(entry) for entry in where.quarantine.entries()) == sorted(torn)

    lab = gpdata.open(where.path)
    counts = Counter({key: len(line["population"]) for key, line in whole.items()})
    found = lab.sql("SELECT run_uuid, generation, count(*) FROM individuals GROUP BY ALL").fetchall()
    assert {(run, generation): n for run, generation, n in found} == counts
    outcomes = lab.sql("SELECT run_uuid, generation, outcome FROM generations").fetchall()
    assert {(run, g): outcome for run, g, outcome in outcomes} == {k: line["outcome"] for k, line in whole.items()}
    assert [finding for finding in verify(where) if finding.kind == "error"] == []


def test_the_summaries_are_those_of_the_population_report(lake: tuple[Lake, Account], captures: Path) -> None:
    whole, _ = sent(captures)
    rows = gpdata.open(lake[0].path).generations.to_arrow_table().to_pylist()
    assert len(rows) == len(whole)
    for row in rows:
        report = whole[row["run_uuid"], row["generation"]]["population-report"]
        for theirs, ours in SHARED.items():
            assert math.isclose(row[ours], report[theirs], rel_tol=1e-6, abs_tol=1e-12), (theirs, row["run_uuid"])
        for theirs, ours in SHARES.items():
            share = row[ours] / row["population_size"]
            assert math.isclose(share, report[theirs], rel_tol=1e-6), (theirs, row["run_uuid"])


def test_individuals_are_as_sent(lake: tuple[Lake, Account], captures: Path) -> None:
    whole, _ = sent(captures)
    lab = gpdata.open(lake[0].path)
    columns = "run_uuid, generation, location, uuid, parent_uuids, genetic_operators, total_error, errors, age"
    rows = lab.individuals.select(f"{columns}, gene_instruction, gene_close, gene_uuid, gene_parent_uuid").fetchall()
    for run, generation, location, uuid, parents, operators, total, errors, age, *genes in rows:
        one = whole[run, generation]["population"][location]
        names = one["genetic-operators"]
        assert (uuid, parents, operators) == (
            one["uuid"], one["parent-uuids"], [names] if isinstance(names, str) else names
        )  # fmt: skip
        assert (total, errors, age) == (one["total-error"], one["errors"], one["age"])
        genome = [gene if isinstance(gene, dict) else {"instruction": gene} for gene in one["genome"]]
        for key, values in zip(("instruction", "close", "uuid", "parent-uuid"), genes, strict=True):
            expected = [gene.get(key) for gene in genome]
            if key == "instruction":
                expected = [v if isinstance(v, str) else json.dumps(v) for v in expected]
            elif not any(key in gene for gene in genome):
                expected = None
            assert values == expected, (run, generation, location, key)


def test_a_second_import_and_a_compaction_change_nothing(lake: tuple[Lake, Account], captures: Path) -> None:
    where, account = lake
    before = contents(where.path)
    entries = [entry.id for entry in where.quarantine.entries()]
    again = import_paths([captures], where)
    assert again == Account(lines=account.lines, duplicates=account.accepted, quarantined=account.quarantined)
    assert [entry.id for entry in where.quarantine.entries()] == entries
    compact(where)
    assert contents(where.path) == before
    assert where.spool().pending() == []


def test_replicates_share_their_config_id(lake: tuple[Lake, Account]) -> None:
    runs = gpdata.open(lake[0].path).runs
    rows = runs.select('problem, "parent-selection", "population-size", "max-generations", config_id').fetchall()
    groups = defaultdict(set)
    for problem, selection, size, generations, config_id in rows:
        if problem.endswith("demos.odd") and size == "30" and generations == "10":
            groups[selection].add(config_id)
    assert {selection: len(ids) for selection, ids in groups.items()} == {"lexicase": 1, "tournament": 1}
    assert groups["lexicase"] != groups["tournament"]
