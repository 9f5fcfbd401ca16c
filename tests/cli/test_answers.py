"""`gpdata runs`, `success`, `curves` and `ancestry`: every number is the library's, in every form."""

from __future__ import annotations

import io
import json
import math
import re
import shlex
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import gpdata as gp
from gpdata.cli import main
from gpdata.lab import Lab
from gpdata.lake import Lake

ANSWERS = ["runs", "success", "curves", "ancestry"]


def gpdata(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def shown(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
    return str(value)


def answered(*arguments: object) -> Result:
    done = gpdata(*arguments)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def lab(example_lake: Path) -> Lab:
    return gp.open(example_lake)


@pytest.fixture(scope="module")
def run(lab: Lab) -> str:
    """Return the run of the least seed that succeeded."""
    last = gp.to_arrow(gp.last_generation(lab.generations)).to_pylist()
    return min(row["run_uuid"] for row in last if row["outcome"] == "success")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return a lake of a run without parents, whose names and numbers are hard to write."""
    config = {"rate": None, "na\nme": '\x1b[31m[red]a,"b"\n', "empty": "", "seed": 10}
    with gp.Recorder(tmp_path / "lake", system="mine", problem="odd", label="é", config=config) as run:
        run.generation([{"total_error": 2.0, "errors": [1.0, None, 1e300]}, {"total_error": None}])
    with gp.Recorder(tmp_path / "lake", system="mine", problem="odd", config={"seed": 9}) as run:
        run.generation([{"total_error": math.inf, "errors": [math.nan, -math.inf, 0.1]}], outcome="failure")
    return tmp_path / "lake"


def read(text: str, like: pa.Table) -> pa.Table:
    """Read CSV as the help says that it is written."""
    types = {field.name: pa.string() if pa.types.is_nested(field.type) else field.type for field in like.schema}
    options = pacsv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
    parse = pacsv.ParseOptions(newlines_in_values=True)
    return pacsv.read_csv(io.BytesIO(text.encode()), parse_options=parse, convert_options=options)


def same(one: Any, other: Any) -> bool:
    """Compare rows; NaN is itself."""
    return repr(one) == repr(other)


def library(lab: Lab, command: str, run: str) -> tuple[list[object], pa.Table]:
    """Return the arguments of a command, and what the library answers."""
    by = ["problem", "parent-selection"]
    match command:
        case "success":
            return [], gp.to_arrow(gp.success_table(gp.last_generation(lab.generations), lab.runs, by=by))
        case "curves":
            return ["--stopped", "carry"], gp.to_arrow(
                gp.error_curves(lab.generations, lab.runs, by=by, stopped="carry")
            )
        case "ancestry":
            winner = gp.winner(lab.individuals, lab.generations, run=run)
            return ["--run", run[:13]], gp.to_arrow(gp.ancestry_counts(lab.individuals, of=winner))
    differing = gp.to_arrow(gp.runs_table(lab))
    last = {row["run_uuid"]: row for row in gp.to_arrow(gp.last_generation(lab.generations)).to_pylist()}
    rows = [
        {"run_uuid": row["run_uuid"]}
        | {name: last[row["run_uuid"]][name] for name in ("outcome", "generation", "best_so_far")}
        | {name: row[name] for name in differing.column_names[1:]}
        for row in differing.to_pylist()
    ]
    return [], pa.Table.from_pylist(rows)


@pytest.mark.parametrize("command", ANSWERS)
def test_csv_json_lines_and_parquet_are_the_answer_of_the_library(
    lab: Lab, run: str, command: str, tmp_path: Path
) -> None:
    arguments, expected = library(lab, command, run)
    arguments = [command, lab.path, *arguments]
    assert read(answered(*arguments, "--format", "csv").stdout, expected).to_pylist() == expected.to_pylist()
    rows = json.loads(answered(*arguments, "--format", "json").stdout)
    plain = json.loads(json.dumps(expected.to_pylist(), default=lambda at: at.isoformat().replace("+00:00", "Z")))
    assert rows == plain
    assert [json.loads(row) for row in answered(*arguments, "-f", "jsonl").stdout.splitlines()] == rows
    answered(*arguments, "-o", tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == expected.to_pylist()


def test_the_table_of_success_is_the_librarys_rounded(lab: Lab, run: str) -> None:
    _, expected = library(lab, "success", run)
    shown = answered("success", lab.path).stdout.splitlines()
    for row in expected.to_pylist():
        line = next(line for line in shown if row["parent-selection"] in line)
        median = row["generations_median"]
        end = "–" if median is None else f"{median:.4g} ({row['generations_min']}–{row['generations_max']})"
        counts = f"{row['runs']} {row['finished']} {row['successes']} {row['generalising']}"
        rates = f"{row['rate']:.0%} {row['rate_low']:.0%}–{row['rate_high']:.0%}"
        assert " ".join(line.split()) == f"{row['problem']} {row['parent-selection']} {counts} {rates} {end}"


@pytest.mark.parametrize("command", ["runs", "curves", "ancestry"])
def test_tables_hold_the_librarys_numbers_rounded(lab: Lab, run: str, command: str) -> None:
    arguments, expected = library(lab, command, run)
    lines = [" ".join(line.split()) for line in answered(command, lab.path, *arguments).stdout.splitlines()]
    found = 0
    for row in expected.to_pylist():
        values = row | ({"run_uuid": row["run_uuid"][:8]} if "run_uuid" in row else {})
        values = {name: value for name, value in values.items() if name != "config_id"}
        texts = [shown(value) for value in values.values()]
        found += any(line.startswith(" ".join(texts)) for line in lines)
    # Of the curves people see twelve generations a group, the first and the last among them.
    groups = len({row["parent-selection"] for row in expected.to_pylist()}) if command == "curves" else 0
    assert found == (12 * groups if command == "curves" else len(expected))


@pytest.mark.parametrize(
    ("form", "begins", "arguments"),
    [
        ("png", b"\x89PNG", ["success"]),
        ("png", b"\x89PNG", ["curves"]),
        ("png", b"\x89PNG", ["ancestry"]),
        ("png", b"\x89PNG", ["ancestry", "--show", "counts"]),
        ("png", b"\x89PNG", ["ancestry", "--show", "edges"]),
        ("svg", b"<?xml", ["success"]),
        ("pdf", b"%PDF", ["success"]),
    ],
)
def test_pictures_say_where_they_are_from(
    lab: Lab, run: str, arguments: list[str], form: str, begins: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"picture.{form}"
    answered(
        arguments[0], lab.path, *arguments[1:], *(["--run", run] if arguments[0] == "ancestry" else []), "-o", path
    )
    assert path.read_bytes().startswith(begins)
    assert gp.plots.source(path).version == lab.version
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_comparison_is_the_librarys(lab: Lab, run: str) -> None:
    _, table = library(lab, "success", run)
    expected = gp.compare_success(table, treatment="parent-selection", within=["problem"], runs="finished")
    done = answered("success", lab.path, "--compare", "parent-selection", "-f", "json")
    rows = [
        {k: None if v != v else "Infinity" if v == math.inf else v for k, v in row.items()}
        for row in expected.to_dict("records")
    ]
    assert json.loads(done.stdout) == rows
    assert answered("success", lab.path, "--compare", "parent-selection").stdout.split() == str(expected).split()
    refused = gpdata("success", lab.path, "--compare", "parent-selection", "-f", "png")
    assert refused.exit_code == 2
    assert "no picture" in refused.stderr


def test_options_reach_the_library(lab: Lab) -> None:
    last = gp.last_generation(lab.generations)
    options: dict[str, Any] = {"threshold": 5.0, "unfinished": "failure", "confidence": 0.8}
    expected = gp.to_arrow(gp.success_table(last, lab.runs, by="parent-selection", **options))
    arguments = ["--by", "parent-selection", "--threshold", 5, "--unfinished", "failure", "--confidence", 0.8]
    for engine in ("duckdb", "polars"):
        done = answered("success", lab.path, *arguments, "--engine", engine, "-f", "json")
        assert json.loads(done.stdout) == expected.to_pylist()


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        (["--where", "parent-selection=lexicase"], {"where": {"parent-selection": "lexicase"}}),
        (
            ["--where", "random-seed=1", "--where", "random-seed=2", "--where", "parent-selection=tournament"],
            {"where": {"random-seed": [1, 2], "parent-selection": "tournament"}},
        ),
        (["--problem", "grade", "--label", "demo"], {"where": {"problem": "grade"}, "label": "demo"}),
        (["--where", "owner=null", "--since", "2020-01-01"], {"where": {"owner": None}, "since": "2020-01-01"}),
        (["--until", "2020-01-01"], {"until": "2020-01-01"}),
    ],
)
def test_runs_are_chosen_as_the_library_does(lab: Lab, options: list[str], selected: dict[str, Any]) -> None:
    label = gp.to_arrow(lab.runs)["label"][0].as_py()
    options = [label if option == "demo" else option for option in options]
    selected = selected | ({"label": label} if "label" in selected else {})
    expected = gp.to_arrow(gp.select_runs(lab.runs, **selected))["run_uuid"].to_pylist()
    rows = json.loads(answered("runs", lab.path, *options, "-f", "json").stdout)
    assert [row["run_uuid"] for row in rows] == expected


def test_runs_are_sorted_and_limited(lab: Lab) -> None:
    rows = json.loads(
        answered("runs", lab.path, "--sort", "best_so_far", "--sort", "-random-seed", "-f", "json").stdout
    )
    assert rows == sorted(rows, key=lambda row: (row["best_so_far"], -int(row["random-seed"])))
    done = answered("runs", lab.path, "--sort", "-generation", "--limit", 2)
    assert done.stdout.splitlines()[-1].startswith(f"2 of {lab.run_count} runs")
    every = json.loads(answered("runs", lab.path, "-f", "json").stdout)
    assert json.loads(answered("runs", lab.path, "--limit", 2, "-f", "json").stdout) == every[:2]


def test_one_run_in_full(lab: Lab, run: str) -> None:
    shown = answered("runs", lab.path, run[:13]).stdout
    assert run in shown
    assert "crossover-probability" in shown
    for asked in ([run], ["--run", run]):
        (row,) = json.loads(answered("runs", lab.path, *asked, "-f", "json").stdout)
        assert row["run_uuid"] == run
        assert set(gp.open(lab.path, runs=run).config_keys) < set(row)


def test_an_individual_is_named_by_its_place_or_its_uuid(lab: Lab, run: str) -> None:
    chosen = gp.to_arrow(lab.sql(f"select * from individuals where run_uuid = '{run}' and generation = 3 limit 1"))
    place, uuid = f"{chosen['location'][0]}@3", chosen["uuid"][0].as_py()
    for name, of in ((place, chosen), (uuid, None)):
        done = answered("ancestry", lab.path, "--run", run, "--individual", name, "--show", "ancestors", "-f", "csv")
        if of is None:  # reproduction keeps a uuid: its last row is taken
            rows = lab.sql(f"select * from individuals where run_uuid = '{run}' and uuid = '{uuid}'")
            of = gp.to_arrow(rows.order("generation desc, location").limit(1))
        expected = gp.to_arrow(gp.ancestry(lab.individuals, of=of))
        assert read(done.stdout, expected).to_pylist() == expected.to_pylist()


def test_edges_are_those_to_ancestors(lab: Lab, run: str) -> None:
    winner = gp.winner(lab.individuals, lab.generations, run=run)
    graph = gp.exports.to_networkx(
        gp.ancestry_edges(lab.individuals, runs=run), ancestors=gp.ancestry(lab.individuals, of=winner)
    )
    rows = json.loads(answered("ancestry", lab.path, "--run", run, "--show", "edges", "-f", "json").stdout)
    assert len(rows) == graph.number_of_edges()
    assert {f"{run}/{row['generation']}/{row['location']}" for row in rows} == {child for _, child in graph.edges()}


def test_what_is_hard_to_write_comes_back(hostile: Path, tmp_path: Path) -> None:
    lab = gp.open(hostile)
    expected = gp.to_arrow(lab.individuals)
    path = tmp_path / "é.csv"
    answered("export", "individuals", hostile, "-o", path)
    back = read(path.read_text(encoding="utf-8"), expected)
    flat = [name for name in expected.column_names if not pa.types.is_nested(expected[name].type)]
    assert same(back.select(flat).to_pylist(), expected.select(flat).to_pylist())
    written = [json.loads(row["errors"]) if row["errors"] else None for row in back.to_pylist()]
    assert written == [[1.0, None, 1e300], None, ["NaN", "-Infinity", 0.1]]
    lines = [json.loads(row) for row in answered("export", "individuals", hostile, "-f", "jsonl").stdout.splitlines()]
    assert [row["errors"] for row in lines] == written
    shown = answered("runs", hostile).stdout
    assert "\x1b" not in shown
    assert "[red]a" in shown


def test_answers_without_rows_are_answers_and_say_why(tmp_path: Path, hostile: Path) -> None:
    Lake.create(tmp_path / "none")
    for command in ("runs", "success", "curves"):
        done = answered(command, tmp_path / "none", "-f", "json")
        assert json.loads(done.stdout) == []
        assert "has no runs yet" in done.stderr
        assert "no run fits" in answered(command, hostile, "--since", "2100-01-01").stderr
    assert answered("export", "genes", tmp_path / "none").stdout.startswith('"run_uuid","generation"')
    nobody = gpdata("ancestry", tmp_path / "none")
    assert (nobody.exit_code, "has no runs yet" in nobody.stderr) == (2, True)
    assert "no run succeeded" in answered("success", hostile).stderr


def test_a_run_without_parents_and_a_run_without_a_winner(hostile: Path, tmp_path: Path) -> None:
    run = gp.to_arrow(gp.open(hostile).sql("select run_uuid from individuals where total_error = 2"))["run_uuid"][0]
    for show in ("counts", "ancestors", "edges"):
        done = answered("ancestry", hostile, "--run", run, "--show", show)
        assert "no parent of this individual was recorded" in done.stderr
    with gp.Recorder(tmp_path / "bare", system="mine") as bare:
        bare.generation([{"total_error": None}])
    done = gpdata("ancestry", tmp_path / "bare")
    assert done.exit_code == 2
    assert "has no winner" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "--where", "parent-selection=lexicas"], "did you mean 'lexicase'"),
        (["runs", "--where", "parent-selectio=lexicase"], "did you mean 'parent-selection'"),
        (["runs", "--where", "lexicase"], "give KEY=VALUE"),
        (["runs", "--run", "zzz"], "no run whose uuid starts with 'zzz'"),
        (["runs", "--sort", "outcom"], "did you mean 'outcome'"),
        (["success", "--by", "parent-selectio"], "did you mean 'parent-selection'"),
        (["success", "--owner", "bob"], "owner='bob'"),
        (["success", "--since", "yesterday"], "is no date"),
        (["success", "-o", "x.foo"], "valid are the suffixes .csv"),
        (["success", "-o", "/nowhere/x.csv"], "is no folder"),
        (["runs", "-o", "x.png"], "does not tell how to write it"),
        (["ancestry"], "give --run UUID"),
        (["ancestry", "--limit", "3"], "No such option"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(lab: Lab, arguments: list[str], says: str) -> None:
    done = gpdata(arguments[0], lab.path, *arguments[1:])
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_individual_that_is_not_there(lab: Lab, run: str) -> None:
    done = gpdata("ancestry", lab.path, "--run", run, "--individual", "9999@9999")
    assert (done.exit_code, "has no individual '9999@9999'" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", [*ANSWERS, "export"])
def test_the_examples_of_the_help_run_and_show_what_comes(
    lab: Lab, run: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in gpdata(command, "--help").stdout.splitlines()]
    examples = [(shlex.split(line)[2:], after) for line, after in pairwise(lines) if line[:1] == "$"]
    assert len(examples) > 1
    for words, after in examples:
        words = words[: words.index("|")] if "|" in words else words
        words = [str(lab.path) if word == "example-lake" else re.sub("^a7ae$", run[:13], word) for word in words]
        shown = answered(*words).stdout.splitlines()
        if after and not after.startswith(("$", "Next:")):
            assert shown[0].split()[:2] == after.split()[:2] or shown[0].startswith(after.rstrip("…"))


def test_a_reader_that_leaves_is_no_error(lab: Lab) -> None:
    command = f"{shlex.quote(sys.executable)} -c 'from gpdata.cli import main; main(prog_name=\"gpdata\")' "
    command += f"export genes {shlex.quote(str(lab.path))} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "141"
    assert done.stderr == ""
