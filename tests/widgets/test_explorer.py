"""The explorer without a browser: its parts, their code, what goes wrong, and runs that come."""

from __future__ import annotations

import json
from typing import Any

import pytest

import gpdata
from gpdata.errors import InvalidInput, NotALake
from gpdata.widgets.live import Watch
from gpdata.widgets.views import MOST_ROWS, VIEWS
from tests.widgets.conftest import GENERATIONS, SIZE, run_line, run_uuid, write_lake


@pytest.fixture
def explorer(small_lake):
    return gpdata.explore(small_lake)


def pasted(code: str, lab: Any) -> dict[str, Any]:
    """Run code as somebody pastes it into a fresh notebook; on Spark with the session that is live."""
    names: dict[str, Any] = {}
    if lab.engine == "spark":
        names["session"] = lab.runs.sparkSession
        code = code.replace("gp.spark()", "session")
    import matplotlib.pyplot as plt

    try:
        exec(code, names)
    finally:
        plt.close("all")
    return names


SPARK = pytest.mark.xdist_group("spark")
CHOICES = [
    {},
    {"where": {"parent-selection": ["lexicase", None]}, "text": "odd", "since": "2023-11-15", "by": ["label"]},
]


@pytest.mark.parametrize(
    ("engine", "choice"),
    [
        *((engine, choice) for engine in ("duckdb", "polars") for choice in CHOICES),
        *(pytest.param("spark", choice, marks=[SPARK, pytest.mark.faults]) for choice in CHOICES),
    ],
)
def test_the_code_of_a_view_makes_what_the_view_shows(engine, choice, small_lake, sessions):
    lab = gpdata.open(small_lake, engine=sessions(engine) if engine == "spark" else engine)
    explorer = gpdata.explore(lab)
    for view in VIEWS:
        explorer.state = choice | {"view": view}
        assert "error" not in explorer.view, explorer.view
        assert explorer.view["name"] == view
        names = pasted(explorer.view["code"], lab)
        table = gpdata.to_arrow(names["table"])
        assert table.equals(gpdata.to_arrow(explorer.result))
        assert type(names["table"]) is type(explorer.result)
        assert explorer.view["total"] == len(table) > 0
        assert [len(row) for row in explorer.view["rows"]] == [table.num_columns] * min(len(table), MOST_ROWS)
        assert names["ax"].get_figure() is not None
        assert explorer.view["picture"].startswith("data:image/svg+xml;base64,")
    uuids = {row[0] for row in explorer.table["rows"]}
    runs = pasted(explorer.table["code"], lab)["runs"]
    assert set(gpdata.to_arrow(runs)["run_uuid"].to_pylist()) == uuids
    assert gpdata.to_arrow(explorer.runs)["run_uuid"].to_pylist() == gpdata.to_arrow(runs)["run_uuid"].to_pylist()


@pytest.mark.parametrize("engine", ["duckdb", "polars", pytest.param("spark", marks=SPARK)])
def test_the_ancestry_is_that_of_its_code_and_every_parent_leads_somewhere(engine, small_lake, sessions):
    lab = gpdata.open(small_lake, engine=sessions(engine) if engine == "spark" else engine)
    explorer = gpdata.explore(lab)
    explorer.state = {"view": "ancestry", "run": run_uuid(4)}
    graph = explorer.ancestry
    names = pasted(graph["code"], lab)
    ancestors = gpdata.to_arrow(names["ancestors"])
    assert gpdata.to_arrow(explorer.result).equals(ancestors)
    keys = {(row["generation"], row["location"]) for row in ancestors.to_pylist()}
    assert {(node["g"], node["l"]) for node in graph["nodes"]} == keys
    (winner,) = gpdata.to_arrow(names["winner"]).to_pylist()
    assert graph["winner"] == [winner["generation"], winner["location"]]

    uuids = {}
    for row in gpdata.to_arrow(lab.run(run_uuid(4)).individuals).to_pylist():
        uuids[row["generation"], row["location"]] = row
    edges = {(graph["nodes"][a]["g"], graph["nodes"][a]["l"], graph["nodes"][b]["g"], graph["nodes"][b]["l"])
             for a, b in graph["edges"]}  # fmt: skip
    expected = {
        (generation - 1, at, generation, location)
        for generation, location in keys
        for at in range(SIZE)
        if generation and uuids[generation - 1, at]["uuid"] in uuids[generation, location]["parent_uuids"]
    }
    assert edges == expected

    person = explorer.person
    assert (person["generation"], person["location"], person["winner"]) == (*graph["winner"], True)
    (row,) = gpdata.to_arrow(pasted(person["code"], lab)["individual"]).to_pylist()
    assert row == uuids[tuple(graph["winner"])]
    assert (person["program"], person["errors"]) == (row["program"], row["errors"])
    assert person["facts"]["genetic_operators"] == ["alternation", "uniform-mutation"]
    parent = person["parents"][0]
    explorer.state = {**explorer.state, "individual": parent["at"]}
    assert explorer.person["facts"]["uuid"] == parent["uuid"]
    assert graph["winner"] in [child["at"] for child in explorer.person["children"]]
    assert explorer.ancestry is graph  # nothing was traced anew


def test_only_what_changed_is_made_again(explorer):
    table, view = explorer.table, explorer.view
    explorer.state = {"view": "sizes"}
    assert explorer.table is table
    assert explorer.view is not view
    sizes = explorer.view
    explorer.state = {"view": "sizes", "page": 1, "sort": "outcome"}
    assert explorer.view is sizes
    assert explorer.table is not table


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"by": ["nothing"]}, "runs has no column 'nothing'"),
        ({"by": ["runs"]}, "runs has no column 'runs'"),
        ({"view": "nothing"}, "the view 'nothing' was asked for"),
        ({"size": "weight", "view": "sizes"}, "weight"),
    ],
)
def test_what_goes_wrong_in_a_view_is_a_sentence_and_the_rest_goes_on(explorer, state, said):
    explorer.state = state
    assert said in explorer.view["error"]
    assert "Traceback" not in explorer.view["error"]
    assert explorer.result is None
    assert explorer.table["total"] == 12
    explorer.state = {}
    assert "error" not in explorer.view
    assert not explorer.working


def test_a_value_that_no_run_has_is_said_in_table_and_view(explorer):
    explorer.state = {"where": {"label": ["piolt"]}}
    assert explorer.table["error"] == explorer.view["error"] == "no run has label='piolt': did you mean 'pilot'?"


def test_more_groups_than_a_picture_shows_are_refused(tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(number, 0) for number in range(30)])
    explorer = gpdata.explore(lake)
    explorer.state = {"by": ["random-seed"], "view": "errors"}
    assert explorer.view["error"].startswith("the runs fall into 30 groups by random-seed; a picture can show 24.")


def test_the_ancestry_asks_for_a_run_and_says_when_there_is_none(explorer, tmp_path):
    explorer.state = {"view": "ancestry"}
    assert explorer.ancestry["error"].startswith("Choose a run in the table")
    assert explorer.person == {}
    explorer.state = {"view": "ancestry", "run": "nobody"}
    assert "nobody" in explorer.ancestry["error"]

    body = json.loads(run_line(0, 0))
    for individual in body["population"]:
        individual["parent-uuids"] = None
    alone = [json.dumps(body | {"index": g}).encode() + b"\n" for g in range(2)]
    for individual in body["population"]:
        individual["total-error"] = individual["errors"] = None
    unknown = json.dumps(body | {"config-uuid": run_uuid(1)}).encode() + b"\n"
    other = gpdata.explore(write_lake(tmp_path / "lake", [*alone, unknown]))
    other.state = {"view": "ancestry", "run": run_uuid(0)}
    assert other.ancestry["says"].startswith("No parents were recorded in this run")
    assert len(other.ancestry["nodes"]) == 1
    assert other.person["parents"] == []
    other.state = {"view": "ancestry", "run": run_uuid(1)}
    assert "has no winner" in other.ancestry["error"]
    assert other.person == {}
    other.state = {"view": "ancestry", "run": run_uuid(0), "individual": [7, 7]}
    assert other.person["error"] == f"run {run_uuid(0)} has no individual at generation 7, location 7."


def test_a_large_ancestry_sends_its_newest_generations_only(small_lake, monkeypatch):
    monkeypatch.setattr("gpdata.widgets.lineage.MOST_NODES", 12)
    explorer = gpdata.explore(small_lake)
    explorer.state = {"view": "ancestry", "run": run_uuid(4)}
    graph = explorer.ancestry
    assert len(graph["nodes"]) <= 12 < graph["total"] == len(gpdata.to_arrow(explorer.result))
    assert {node["g"] for node in graph["nodes"]} == set(range(min(n["g"] for n in graph["nodes"]), GENERATIONS))
    assert "Shown are the" in graph["says"]


def test_new_runs_show_up_and_the_choice_stays(tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(0, 0), run_line(1, 0)])
    explorer = gpdata.explore(lake)
    explorer.state = {"where": {"label": ["pilot"]}, "view": "errors", "run": run_uuid(0)}
    assert not explorer.look()
    first = explorer.view
    write_lake(lake, [run_line(2, 0), run_line(0, 1)])
    assert explorer.look()
    assert (explorer.status["version"], explorer.table["total"], explorer.status["runs"]) == (
        explorer.lab.version,
        3,
        3,
    )
    assert explorer.state["run"] == run_uuid(0)
    assert explorer.view is not first
    assert f"version={explorer.lab.version}" in explorer.view["code"]
    assert not explorer.look()


def test_the_lake_is_not_opened_before_its_log_has_a_new_name(small_lake, monkeypatch):
    watch = Watch(gpdata.open(small_lake))
    assert not watch.look()  # a lab may be of an earlier version: the first look compares
    monkeypatch.setattr("gpdata.widgets.live.open_lab", lambda *a, **k: pytest.fail("opened again"))
    assert not watch.look()


def test_a_lab_of_an_earlier_version_stays_until_somebody_looks(tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(0, 0)])
    write_lake(lake, [run_line(1, 0)])
    explorer = gpdata.explore(gpdata.open(lake, version=1))
    assert (explorer.every, explorer.table["total"]) == (0, 1)
    assert explorer.look()
    assert explorer.table["total"] == 2
    assert gpdata.explore(lake).every > 0


def test_a_lab_of_chosen_runs_stays_one(tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(0, 0), run_line(1, 0)])
    explorer = gpdata.explore(gpdata.open(lake, runs=[run_uuid(0)]))
    write_lake(lake, [run_line(0, 1), run_line(2, 0)])
    assert explorer.look()
    assert [row[0] for row in explorer.table["rows"]] == [run_uuid(0)]
    names = pasted(explorer.view["code"], explorer.lab)
    assert names["lab"].run_count == 1


def test_a_lake_that_is_gone_is_said_and_found_again(tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(0, 0)])
    explorer = gpdata.explore(lake)
    lake.rename(tmp_path / "away")
    write_lake(tmp_path / "other", [run_line(0, 0)])
    (tmp_path / "lake" / "generations" / "_delta_log").mkdir(parents=True)
    (tmp_path / "lake" / "generations" / "_delta_log" / "9.json").touch()
    explorer._hear(explorer, {"kind": "look"}, [])
    assert "is not a gpdata lake" in explorer.status["error"]


def test_an_empty_lake_is_no_error(tmp_path):
    explorer = gpdata.explore(write_lake(tmp_path / "lake", []))
    assert explorer.status["runs"] == explorer.table["total"] == 0
    for view in VIEWS:
        explorer.state = {"view": view}
        assert "error" not in explorer.view, (view, explorer.view)


def test_no_figure_is_left_for_the_notebook_to_show(explorer):
    import matplotlib.pyplot as plt

    mine = plt.figure()
    explorer.state = {"view": "errors"}
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_what_cannot_be_explored_is_said(tmp_path):
    with pytest.raises(NotALake):
        gpdata.explore(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="a int was given"):
        gpdata.explore(3)
    with pytest.raises(InvalidInput, match="every is -1"):
        gpdata.explore(write_lake(tmp_path / "lake", []), every=-1)
