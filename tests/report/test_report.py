from __future__ import annotations

import base64
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import duckdb
import matplotlib as mpl
import matplotlib.pyplot as plt
import polars as pl
import pytest

from gpdata import analyses, plots
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.report import write_report

mpl.use("agg")


@pytest.fixture
def lab():
    """Return a lab with two problems, one without a selection, and a path and names that need escaping."""
    runs = pl.DataFrame(
        {
            "run_uuid": [f"run-{index}" for index in range(6)],
            "problem": ["odd"] * 3 + ["<script>alert(1)</script>"] * 3,
            "parent-selection": ["lexicase", "lexicase", "tournament", None, None, None],
        }
    )
    generations = pl.DataFrame(
        [
            {
                "run_uuid": f"run-{run}",
                "generation": generation,
                "outcome": "continue" if generation < 4 else ("success", "failure", "continue")[run % 3],
                "total_error_min": float((4 - generation) * 100 + run % 3),
                "best_so_far": float((4 - generation) * 100 + run % 3),
                "best_test_errors": [0.0] if run > 2 else None,
            }
            for run in range(6)
            for generation in range(5)
        ]
    )
    connection = duckdb.connect()
    uuid = pl.format("{}.{}", "run_uuid", "generation")
    mother = pl.format("{}.{}", "run_uuid", pl.col("generation") - 1)
    individuals = generations.select(
        "run_uuid",
        "generation",
        pl.lit(0).alias("location"),
        uuid.alias("uuid"),
        pl.when(pl.col("generation") > 0).then(pl.concat_list(mother)).otherwise([]).alias("parent_uuids"),
        pl.lit(["alternation"]).alias("genetic_operators"),
        pl.col("total_error_min").alias("total_error"),
        pl.col("generation").cast(pl.Float64).alias("age"),
    )
    others = individuals.with_columns(uuid=None, parent_uuids=None, total_error=None)
    others = pl.concat([others.with_columns(location=pl.lit(location)) for location in range(1, 50)])
    return SimpleNamespace(
        path=Path("/home/ada/a \"lab\" & its 'lake'"),
        version=17,
        runs=connection.from_arrow(runs.to_arrow()),
        generations=connection.from_arrow(generations.to_arrow()),
        individuals=connection.from_arrow(pl.concat([individuals, others], how="vertical_relaxed").to_arrow()),
    )


class Page(HTMLParser):
    """Collects what a page shows and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.loads, self.cells, self.captions = [], [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        if tag == "img":
            self.images.append(attributes)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "caption" and data.strip():
            self.captions[data] = len(self.cells)
        if self.tags and self.tags[-1] in ("td", "th", "abbr", "wbr") and self.cells:
            self.cells[-1] += data.strip()


def codes(text):
    return [html.unescape(code) for code in re.findall(r"<pre><code>(.*?)</code></pre>", text, re.DOTALL)]


def test_one_page_that_loads_nothing(lab, tmp_path):
    path = write_report(lab, tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.images) == 5
    assert all(load.startswith("data:image/svg+xml;base64,") for load in page.loads)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    for image in page.images:
        picture = ElementTree.fromstring(base64.b64decode(image["src"].partition(",")[2]))
        assert picture.tag.endswith("svg")
        assert len(image["alt"]) > 40


def test_says_what_data_it_is_of(lab, tmp_path):
    text = write_report(lab, tmp_path / "r.html", title="Odd & co").read_text(encoding="utf-8")
    assert "<h1>Odd &amp; co</h1>" in text
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert html.unescape(facts.pop("lake")) == str(lab.path)
    assert facts == {"version": "17", "runs": "6", "generations": "30", "individuals": "1,500"}


def test_the_success_table_is_the_analysis(lab, tmp_path):
    page = Page(write_report(lab, tmp_path / "r.html").read_text(encoding="utf-8"))
    names = ["problem", "parent-selection", *(column.name for column in analyses.SUCCESS_TABLE)]
    assert page.cells[: len(names)] == names
    rows = [page.cells[start : start + len(names)] for start in (len(names), 2 * len(names), 3 * len(names))]
    assert [row[:6] for row in rows] == [
        ["<script>alert(1)</script>", "(not set)", "3", "2", "1", "1"],
        ["odd", "lexicase", "2", "2", "1", "–"],
        ["odd", "tournament", "1", "0", "0", "–"],
    ]
    assert rows[2][6:] == ["–"] * 6


def test_the_code_can_be_pasted(lab, tmp_path):
    blocks = codes(write_report(lab, tmp_path / "r.html", by="problem").read_text(encoding="utf-8"))
    opened = []

    def open_lab(path, version):
        opened.append((path, version))
        return lab

    names = {name: getattr(analyses, name) for name in analyses.__all__ if name.islower()}
    gp = SimpleNamespace(open=open_lab, plots=plots, **names)
    for block in blocks:
        assert block.startswith("import gpdata as gp\n\n")
        exec(block.removeprefix("import gpdata as gp"), {"gp": gp})
    assert len(plt.get_fignums()) == len(blocks) == 5
    assert opened == [(str(lab.path), 17)] * 5
    plt.close("all")


def rows_of(page, caption, width):
    """Return the rows of the table with that caption, its header first."""
    cells = page.cells[page.captions[caption] :]
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def test_the_lineage_of_the_best_run(lab, tmp_path):
    text = write_report(lab, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The winner of run run-0 (odd)" in text  # it succeeded; run-3 did too, and has as little error
    page = Page(text)
    counts = rows_of(page, "Ancestors by generation, the winner among them", 4)
    assert counts[0] == [column.name for column in analyses.ANCESTRY_COUNTS]
    assert counts[1:6] == [[str(at), "1", str(int(at < 4)), str(int(at < 4))] for at in range(5)]
    ages = rows_of(page, "Age and total error of the individuals", 8)
    assert ages[1] == ["by genesis", "1", "0", "0", "0", "400", "400", "400"]
    assert ages[2] == ["in another way", "4", "1", "2.5", "4", "0", "150", "300"]


def test_runs_without_parents_ages_and_errors_say_so(lab, tmp_path):
    parents = "NULL::VARCHAR[] AS parent_uuids, NULL::VARCHAR AS uuid, NULL::DOUBLE AS age"
    lab.individuals = lab.individuals.project(f"* REPLACE ({parents})")
    text = write_report(lab, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No parent of the winner is recorded." in text
    assert "None has both an age and a total error." in text
    lab.individuals = lab.individuals.project("* REPLACE (NULL::DOUBLE AS total_error)")
    text = write_report(lab, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "there is no winner" in text


def test_leaves_no_figure_open_and_is_the_same_every_time(lab, tmp_path):
    before = plt.get_fignums()
    first = write_report(lab, tmp_path / "r.html", by=[]).read_bytes()
    assert plt.get_fignums() == before
    assert write_report(lab, tmp_path / "r.html", by=[]).read_bytes() == first


def test_a_lake_without_runs_says_so(lab, tmp_path):
    for name in ("runs", "generations", "individuals"):
        setattr(lab, name, getattr(lab, name).limit(0))
    text = write_report(lab, tmp_path / "r.html", by="not-there").read_text(encoding="utf-8")
    assert "has no runs yet" in text
    assert Page(text).images == []


def test_a_long_list_of_runs_is_cut_and_says_so(lab, tmp_path):
    many = pl.DataFrame({"run_uuid": [f"run-{index:04}" for index in range(300)], "problem": ["odd"] * 300})
    generations = many.select(
        "run_uuid",
        pl.lit(0).alias("generation"),
        pl.lit("failure").alias("outcome"),
        pl.lit(1.0).alias("total_error_min"),
        pl.lit(None, pl.List(pl.Float64)).alias("best_test_errors"),
    )
    connection = duckdb.connect()
    tables = (many.to_arrow(), generations.to_arrow(), lab.individuals.to_arrow_table())
    lab.runs, lab.generations, lab.individuals = map(connection.from_arrow, tables)
    text = write_report(lab, tmp_path / "r.html", by="problem").read_text(encoding="utf-8")
    assert "The first 200 of 300 runs" in text
    assert "run-0199" in text
    assert "run-0200" not in text


def test_says_what_is_wrong_and_writes_nothing(lab, tmp_path):
    with pytest.raises(UnknownColumn, match="runs has no column 'parent_selection': did you mean 'parent-selection'"):
        write_report(lab, tmp_path / "r.html", by=["problem", "parent_selection"])
    with pytest.raises(InvalidInput, match="is no folder"):
        write_report(lab, tmp_path / "none" / "r.html")
    assert list(tmp_path.iterdir()) == []
