"""What a lab and a run show of themselves: facts that the tables hold, as text and as HTML that is safe."""

from __future__ import annotations

import html.parser
import io
import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from IPython.core.formatters import DisplayFormatter
from playwright.sync_api import sync_playwright
from rich.console import Console

import gpdata
from gpdata.display import Card, Code, Curve, Grid
from gpdata.errors import InvalidInput, UnknownRun
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.run import find_run
from tests.support import run_lines, write_stream

EVIL = "<script>[red]\x1b[31m"
TAKING = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"


def record(path, errors=(4.0, 2.0, 1.0), outcome="success", **options):
    with gpdata.Recorder(path, system="mine", **({"problem": "odd"} | options)) as run:
        for index, error in enumerate(errors):
            last = index == len(errors) - 1
            run.generation([{"total_error": error, "program": "(a b)"}], outcome=outcome if last else "continue")
    return run


@pytest.fixture
def lab(tmp_path):
    record(tmp_path / "lab")
    record(tmp_path / "lab", outcome="failure", problem="even", label="first")
    record(tmp_path / "lab", outcome="continue", label="second", config={"parent-selection": "lexicase"})
    return gpdata.open(tmp_path / "lab")


def tags(page):
    found = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Parser().feed(page)
    return found


def test_a_lab_says_its_runs_by_outcome_and_problem(lab):
    said = str(lab)
    assert "3 runs: 1 success, 1 failure, 1 unfinished, 1 of them heard from in the last 10 minutes" in said
    assert re.search(r"^odd +2 +1 +0 +1$", said, re.MULTILINE)
    assert re.search(r"^even +1 +0 +1 +0$", said, re.MULTILINE)
    newest = lab.sql("SELECT run_uuid FROM generations ORDER BY received_at DESC LIMIT 1").fetchall()[0][0]
    assert f'lab.run("{newest[:8]}") shows one' in said
    assert re.search(rf"^{newest[:8]} +odd +second +– +unfinished +2 +1 +20", said, re.MULTILINE)
    assert f"<gpdata lab {lab.path}, version {lab.version}, 3 runs, duckdb>" == repr(lab)


def test_it_is_shown_by_ipython_and_rich(lab):
    run = lab.run(lab.runs.fetchall()[0][0])
    for shown in (lab, run):
        data, _ = DisplayFormatter().format(shown)
        assert data["text/plain"] == str(shown)
        assert data["text/html"] == shown._repr_html_()
        console = Console(record=True, width=110, file=io.StringIO())
        console.print(shown)
        assert "\n".join(map(str.rstrip, console.export_text().rstrip().splitlines())) == str(shown)


def test_owners_are_counted(tmp_path):
    for owner in ("ada", "ada", "grace"):
        record(tmp_path / "lab", owner=owner)
    assert "ada 2, grace 1" in str(gpdata.open(tmp_path / "lab"))


def test_a_lab_without_runs(tmp_path):
    Lake.create(tmp_path / "lab")
    lab = gpdata.open(tmp_path / "lab")
    assert "no generation yet" in str(lab)
    assert "0 runs" in lab._repr_html_()
    with pytest.raises(UnknownRun, match="there are none"):
        lab.run("a")


def test_of_many_problems_and_runs_the_most_are_shown(tmp_path):
    streams = [
        write_stream(
            tmp_path / f"{number}.jsonl",
            run_lines(f"{number:08d}-0000-4000-8000-000000000001", 2, config={"problem": f"p{number % 20:02d}"}),
        )
        for number in range(60)
    ]
    import_paths(streams, Lake.create(tmp_path / "lab"))
    said = str(gpdata.open(tmp_path / "lab"))
    assert "60 runs: 60 success" in said
    assert "heard from" not in said.split("Newest")[0]  # they began years ago
    assert "and 8 more" in said
    assert len(re.findall(r"^\d{8} ", said, re.MULTILINE)) == 6


def test_nothing_but_runs_and_generations_is_read(lab):
    for path in (lab.path / "individuals").glob("*.parquet"):
        path.unlink()
    assert "3 runs" in lab._repr_html_()
    assert "success" in lab.run(lab.runs.filter("problem = 'odd'").fetchall()[0][0])._repr_html_()


def test_what_was_recorded_is_text(tmp_path):
    options = {"problem": EVIL, "label": EVIL, "owner": EVIL, "config": {EVIL: EVIL}}
    record(tmp_path / "lab", **options)
    lab = gpdata.open(tmp_path / "lab")
    run = lab.run(lab._runs_table["run_uuid"][0].as_py())
    origin = gpdata.provenance(lab, EVIL)
    for shown in (lab, run, origin):
        page = shown._repr_html_()
        assert {tag for tag, _ in tags(page)} <= {
            *("div", "span", "table", "thead", "tbody", "tr", "th", "td", "pre", "svg", "title", "path")
        }
        assert all(name in ("class", "style") or tag in ("svg", "path") for tag, has in tags(page) for name in has)
        assert "&lt;script&gt;" in page
        assert "\x1b" not in page
    for shown in (lab, run):
        assert "<script>" in str(shown)
        assert "[red]" in str(shown)
        assert "\x1b" not in str(shown)


def test_colours_are_those_of_the_page(lab):
    page = lab._repr_html_() + lab.run(lab._runs_table["run_uuid"][0].as_py())._repr_html_()
    colours = set(re.findall(r"(?:color|background|stroke|fill)(?::|=\")\s*([^;\"]+)", page))
    assert colours == {"inherit", "transparent", "currentColor", "none"}


def test_it_fits_a_narrow_page_in_the_browser(tmp_path):
    record(tmp_path / "lab", problem=EVIL, label="label " * 30, config={"k" * 70: "v" * 500})
    lab = gpdata.open(tmp_path / "lab")
    body = lab._repr_html_() + lab.run(lab._runs_table["run_uuid"][0].as_py())._repr_html_()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for width in (320, 1200):
            page = browser.new_page(viewport={"width": width, "height": 600})
            page.set_content(f"<body style='background: #111; color: rgb(221, 221, 221); margin: 0'>{body}</body>")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.title() != "taken"
            seen = "[...document.querySelectorAll('.gpdata, .gpdata *')].map(x => getComputedStyle(x).color)"
            assert set(page.evaluate(seen)) == {"rgb(221, 221, 221)"}
        browser.close()


def test_a_run_has_its_row_and_frames(lab):
    uuid = lab.runs.filter("problem = 'odd' AND label IS NOT NULL").fetchall()[0][0]
    run = lab.run(uuid[:12])
    assert run.run_uuid == run.row["run_uuid"] == uuid
    assert run.row["config"] == {"label": '"second"', "parent-selection": '"lexicase"'}
    assert run.row["parent-selection"] == "lexicase"
    for name in ("generations", "individuals", "errors", "genes"):
        frame, whole = getattr(run, name), getattr(lab, name)
        assert type(frame) is type(whole)
        assert frame.columns == whole.columns
    assert run.generations.fetchall() == lab.generations.filter(f"run_uuid = '{uuid}'").fetchall()
    assert len(run.individuals.fetchall()) == 3
    assert repr(run) == f"<gpdata run {uuid}, unfinished at generation 2>"


def test_the_frames_of_a_run_join_with_those_of_the_lab(lab):
    run = lab.run(lab.runs.fetchall()[0][0])
    assert gpdata.to_pandas(gpdata.error_curves(run.generations, lab.runs, by="problem"))["runs"].tolist() == [1, 1, 1]


def test_a_run_of_polars(lab):
    lab = gpdata.open(lab.path, engine="polars")
    run = lab.run(lab._runs_table["run_uuid"][0].as_py())
    assert run.generations.collect().height == 3
    assert run.individuals.collect()["run_uuid"].unique().to_list() == [run.run_uuid]


def test_a_run_says_how_it_stands(lab):
    said = str(lab.run(lab.runs.filter("problem = 'even'").fetchall()[0][0]))
    for part in ("even", "first", "failure at generation 2", "3 recorded, 0 to 2", "4 at first, 1 at last, 1 at best"):
        assert part in said
    goes_on = str(lab.run(lab.runs.filter("label = 'second'").fetchall()[0][0]))
    assert "the run goes on, or was stopped" in goes_on
    assert re.search(r'^parent-selection +"lexicase"$', goes_on, re.MULTILINE)


def test_a_gap_and_missing_errors_are_said(tmp_path):
    lines = run_lines(generations=5)
    import_paths([write_stream(tmp_path / "run.jsonl", [lines[0], *lines[3:]])], Lake.create(tmp_path / "lab"))
    said = " ".join(str(gpdata.open(tmp_path / "lab").run("0000")).split())
    assert "3 recorded, 0 to 4; 2 not recorded" in said
    assert "when it was received is not known" in said
    with gpdata.Recorder(tmp_path / "bare", system="mine") as run:
        run.generation([{"program": "x" * 1000}])
    bare = str(gpdata.open(run.lake).run(run.run_uuid))
    assert "no errors were recorded" in bare
    assert "(not set)" in bare


def test_runs_are_found_by_their_first_letters(lab):
    with pytest.raises(UnknownRun, match=r"no run whose uuid starts with 'zz'.*valid are '"):
        lab.run("zz")
    for given in ("", None, 3):
        with pytest.raises(InvalidInput, match="first letters"):
            lab.run(given)
    assert find_run("ab", ["ab", "abc"], "lake") == "ab"
    with pytest.raises(InvalidInput, match=r"2 runs of lake start with 'a': ab, abc; give more letters"):
        find_run("a", ["abc", "ab", "x"], "lake")
    with pytest.raises(UnknownRun, match="did you mean '12345678'"):
        find_run("1234567x", ["12345678-9"], "lake")


def drawing(values):
    page = Card("", {"curve": Curve(values, "")}).html()
    return re.search(r' d="([^"]*)"', page)[1]


def test_a_curve_breaks_and_is_scaled():
    assert drawing([3.0, 2.0, 1.0]).count("M") == 1
    assert drawing([3.0, None, 1.0]).count("M") == 2
    assert drawing([3.0, math.inf, math.nan, 1.0]).count("M") == 2
    heights = [float(part) for part in re.findall(r",([\d.]+)h", drawing([1000.0, 10.0, 0.0, 0.0]))]
    assert heights[0] == 3
    assert heights[2:] == [33, 33]
    assert heights[1] < 30  # by the logarithm: 10 is not at the bottom
    assert drawing([]) == ""
    assert Card("", {"c": Curve([2.0] * 500, "flat")}).text().count("▅") == 40
    assert Card("", {"c": Curve([1.0, None, 0.0], "down")}).text().endswith("█ ▁  down")


def test_a_long_table_says_what_is_missing():
    card = Card(
        "Title", {"code": Code("a\n  b")}, [Grid("Grid", ("x", "n"), [("<", "1")], frozenset({1}), "and 3 more")]
    )
    assert "and 3 more" in card.html()
    assert card.text().splitlines()[-1] == "and 3 more"
    assert "a\n      " in card.text()


def test_heard_from_recently_is_by_the_clock(tmp_path, monkeypatch):
    record(tmp_path / "lab", outcome="continue")

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=11)

    monkeypatch.setattr("gpdata.overview.datetime", Later)
    assert "heard from in" not in str(gpdata.open(tmp_path / "lab"))
    assert Later.now(UTC) > datetime.now(UTC)
