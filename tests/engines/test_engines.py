"""One lake, every engine: the same frames, the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import gpdata as gp
from gpdata.errors import InvalidInput
from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.schema import TABLES, Type, arrow_schema
from gpdata.spool import Meta
from tests.support import RUN, line, run_lines

OTHER = "00000000-0000-4000-8000-000000000002"


def rows(frame: Any, key: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a frame's rows in the order of a key; maps as sorted pairs, whatever the engine calls them."""
    table = gp.to_arrow(frame)
    table = table.take(pc.sort_indices(table, [(name, "ascending") for name in key]))
    return [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]


def plain(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sorted((pair["key"], pair["value"]) for pair in value)
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return sorted(value)
    return value


@pytest.mark.parametrize("table", [t for t in TABLES if t.name != "genes"], ids=lambda t: t.name)
def test_every_engine_gives_the_same_frames(engine: Any, captured: Path, table: Any) -> None:
    name, key = table.name, table.key
    if name == "errors":  # a million rows: the sums tell
        query = 'SELECT run_uuid, "case", count(*) AS n, sum(error) AS total FROM errors GROUP BY run_uuid, "case"'
        if type(engine).__module__.startswith("pyspark"):
            query = query.replace('"', "`")
        found, expected = (rows(gp.open(captured, engine=e).sql(query), ("run_uuid", "case")) for e in (engine, None))
        assert [(r["run_uuid"], r["case"], r["n"]) for r in found] == [
            (r["run_uuid"], r["case"], r["n"]) for r in expected
        ]
        assert [r["total"] for r in found] == pytest.approx([r["total"] for r in expected], rel=1e-9)
        return
    smallest = "SELECT run_uuid FROM generations GROUP BY ALL ORDER BY sum(population_size), run_uuid LIMIT 12"
    runs = None if name == "runs" else [run for (run,) in gp.open(captured).sql(smallest).fetchall()]
    found, expected = (getattr(gp.open(captured, runs=runs, engine=e), name) for e in (engine, None))
    assert rows(found, key) == rows(expected, key)


def test_every_engine_gives_the_same_genes(engine: Any, captured: Path) -> None:
    run = gp.open(captured).sql("SELECT run_uuid FROM genes WHERE parent_uuid IS NOT NULL LIMIT 1").fetchall()[0][0]
    key = ("run_uuid", "generation", "location", "position")
    found, expected = (rows(gp.open(captured, runs=run, engine=e).genes, key) for e in (engine, None))
    assert found == expected
    counts = "SELECT type, count(*) AS n FROM genes GROUP BY type"
    assert rows(gp.open(captured, engine=engine).sql(counts), ("type",)) == rows(
        gp.open(captured).sql(counts), ("type",)
    )


def test_a_frame_has_the_declared_columns_and_types(engine: Any, captured: Path) -> None:
    lab = gp.open(captured, engine=engine)
    for table in TABLES:
        frame = getattr(lab, table.name)
        found = gp.to_arrow(frame.limit(3)).schema
        assert tuple(found.names[: len(table.columns)]) == table.names
        for column, field in zip(table.columns, arrow_schema(table), strict=True):
            if column.type in (Type.STRING_MAP, Type.DOUBLE_MAP):
                continue  # Polars has no maps
            assert _same_type(found.field(column.name).type, field.type), column.name


def _same_type(one: pa.DataType, other: pa.DataType) -> bool:
    if pa.types.is_list(one) or pa.types.is_large_list(one):
        return pa.types.is_list(other) and _same_type(one.value_type, other.value_type)
    strings = (pa.string(), pa.large_string(), pa.string_view())
    return one == other or (one in strings and other in strings)


def test_an_empty_lake_an_earlier_version_and_chosen_runs(engine: Any, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lab = gp.open(lake.path, engine=engine)
    for table in TABLES:
        assert rows(getattr(lab, table.name), table.key) == []
    for generation, text in enumerate(run_lines()):
        lake.spool().write([text, line(OTHER, generation)], Meta("recorder"))
        Transformer(lake).run()
    compact(lake)
    lab = gp.open(lake.path, engine=engine, version=3, runs=OTHER)
    assert [row["run_uuid"] for row in rows(lab.runs, ("run_uuid",))] == [OTHER]
    assert [row["generation"] for row in rows(lab.generations, ("generation",))] == [0, 1, 2]
    assert len(rows(lab.individuals, ("generation", "location"))) == 12
    assert {row["run_uuid"] for row in rows(gp.open(lake.path, engine=engine).errors, ("run_uuid",))} == {RUN, OTHER}


def test_sql_that_is_wrong_is_told(engine: Any, captured: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot run this query"):
        gp.to_arrow(gp.open(captured, engine=engine).sql("SELECT nothing FROM nowhere"))


def test_the_three_core_analyses_agree(engine: Any, captured: Path) -> None:
    def answers(chosen: Any) -> list[list[dict[str, Any]]]:
        lab = gp.open(captured, engine=chosen)
        by = ["problem", "parent-selection"]
        last = gp.last_generation(lab.generations)
        return [
            rows(last, ("run_uuid",)),
            rows(gp.success_table(last, lab.runs, by=by), tuple(by)),
            rows(gp.error_curves(lab.generations, lab.runs, by=by), (*by, "generation")),
            rows(gp.error_curves(lab.generations, lab.runs, by="problem", stopped="carry"), ("problem", "generation")),
        ]

    for found, expected in zip(answers(engine), answers(None), strict=True):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.keys() == other.keys()
            for name, value in one.items():
                same = pytest.approx(other[name], rel=1e-12) if isinstance(value, float) else other[name]
                assert value == same, name


def test_the_lineage_analyses_agree(engine: Any, captured: Path) -> None:
    """Every run of the captures: repeated uuids, gaps, lost parents and all."""

    def answers(chosen: Any, runs: list[str]) -> list[list[dict[str, Any]]]:
        lab = gp.open(captured, engine=chosen)
        place = ("run_uuid", "generation", "location")
        winners = gp.winner(lab.individuals, lab.generations, run=runs)
        return [
            rows(winners, place),
            rows(gp.ancestry(lab.individuals, of=winners), place),
            rows(gp.ancestry_counts(lab.individuals, of=winners), ("generation",)),
            rows(gp.ancestry_edges(lab.individuals), (*place, "position")),
            rows(gp.age_error(lab.individuals), place),
        ]

    smallest = "SELECT run_uuid FROM generations GROUP BY ALL ORDER BY sum(population_size), run_uuid"
    runs = [run for (run,) in gp.open(captured).sql(smallest).fetchall()]
    for found, expected in zip(answers(engine, runs), answers(None, runs), strict=True):
        assert expected
        assert found == expected


def test_results_join_with_the_lab(captured: Path) -> None:
    lab = gp.open(captured)
    run = lab.sql("SELECT run_uuid FROM runs LIMIT 1").fetchall()[0][0]
    winner = gp.winner(lab.individuals, lab.generations, run=run)
    joined = winner.join(lab.individuals.select("run_uuid, generation, location, total_error"), "run_uuid")
    assert joined.fetchall()


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'polars'"):
        gp.open("lake", engine="polar")
    with pytest.raises(InvalidInput, match=r"start a session with gpdata.spark\(\)"):
        gp.open("lake", engine="spark")
