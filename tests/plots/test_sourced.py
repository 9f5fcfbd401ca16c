"""A saved figure carries its source: every picture, in every format, is drawn again from the file alone."""

from __future__ import annotations

import base64
import doctest
import gzip
import importlib
import inspect
import io
import json
import pickle
import random
import re
import warnings
import zlib
from datetime import UTC, datetime

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image

import gpdata
from gpdata import plots
from gpdata.errors import InvalidInput
from gpdata.origin import Provenance

WHEN = datetime(2026, 11, 20, 9, 30, 1, 250_000, tzinfo=UTC)
ORIGIN = Provenance("/lab", 7, 9, "duckdb", 3, True, WHEN, None, "0.1.0", 'lab.sql("the <rows>")')
FORMATS = ("png", "svg", "pdf")


def calls(name):
    """Yield the arguments of the picture's calls in its example."""
    picture = getattr(plots, name)
    found = []

    def recording(*args, **options):
        found.append((args, options))
        return picture(*args, **options)

    names = dict(vars(importlib.import_module(picture.__module__))) | {name: recording}
    for example in doctest.DocTestParser().get_examples(picture.__doc__):
        exec(compile(example.source, f"<{name}>", "single"), names)
    assert found
    return found


def artists(figure):
    """Return what is drawn, by axes: numbers, texts, scales and places."""
    figure.canvas.draw()
    return [
        {
            "lines": [(line.get_xydata().tolist(), line.get_marker(), line.get_color()) for line in ax.lines],
            "collections": [
                (np.ma.filled(part.get_offsets(), np.nan).tolist(), [p.vertices.tolist() for p in part.get_paths()])
                for part in ax.collections
            ],
            "patches": [part.get_path().vertices.tolist() for part in ax.patches],
            "texts": [text.get_text() for text in ax.findobj(plt.Text)],
            "scales": (ax.get_xscale(), ax.get_yscale(), ax.get_xlim(), ax.get_ylim()),
        }
        for ax in figure.axes
    ], [ax.get_position().bounds for ax in figure.axes]


def same(one, other):
    """Compare artists to the last digit, and places as well as the layout settles, which a second drawing changes."""
    (drawn, places), (expected, wanted) = one, other
    return json.dumps(drawn) == json.dumps(expected) and np.allclose(places, wanted, atol=0.02)  # NaN is like NaN


def success_rows(names=("odd", None), rate=0.4):
    row = {"runs": 10, "finished": 10, "successes": 4, "generalising": 3, "rate": rate, "rate_low": 0.1}
    row |= {"rate_high": 0.7, "generations_min": 9, "generations_median": 30.0, "generations_max": 71}
    return pl.DataFrame([{"problem": name} | row for name in names])


def write(path, **changed):
    """Write a file that carries a picture, changed by a stranger."""
    entry = {
        "picture": "success",
        "arguments": {},
        "frames": {"table": {"rows": 0, "columns": []}},
        "why": None,
        "provenance": ORIGIN.to_dict(),
        "place": None,
        "axes": 0,
    }
    content = {"size": [4, 3], "layout": None, "pictures": [entry | changed]}
    packed = base64.b64encode(zlib.compress(json.dumps(content).encode()))
    path.write_bytes(b"%PDF gpdata-figure/1:" + packed + b"; the rest")
    return path


@pytest.mark.parametrize("name", plots.PICTURES)
def test_every_picture_is_drawn_again_from_each_format(name, tmp_path):
    for args, options in calls(name):
        plain = getattr(plots, name)(*args, **options).figure
        figure = getattr(plots, name)(*args, **options, source=ORIGIN).figure
        wanted = artists(figure)
        assert same(wanted, artists(plain))
        for suffix in FORMATS:
            path = tmp_path / f"figure.{suffix}"
            figure.savefig(path)
            assert plots.source(path) == ORIGIN
            again = plots.again(path)
            assert same(artists(again), wanted)
            again.savefig(path)
            assert plots.source(path) == ORIGIN
        plt.close("all")


@pytest.mark.parametrize("seed", range(6))
def test_made_up_rows_survive(seed, tmp_path):
    chance = random.Random(seed)
    odd = ["", "a;b", "$x_1$", "<&'\"\\>", "ü 漢 🙂", "line\nbreak", None]
    values = ("best_median", "best_q1", "best_q3", "best_mean")
    numbers = [0.0, 1e-300, 1e300, float("nan"), float("inf"), chance.random()]
    rows = [
        {"problem": name, "key": chance.choice(odd), "generation": generation, "runs": chance.randrange(1, 9)}
        | {value: None if generation == 2 else chance.choice(numbers) for value in values}
        for name in chance.sample(odd, 3)
        for generation in range(4)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fonts, and of what cannot be scaled
        figure = plots.error_curves(pl.DataFrame(rows, infer_schema_length=None), source=ORIGIN).figure
        for suffix in FORMATS:
            figure.savefig(tmp_path / f"figure.{suffix}")
            drawn, _ = artists(plots.again(tmp_path / f"figure.{suffix}"))  # no layout bears such legends
            assert json.dumps(drawn) == json.dumps(artists(figure)[0])


@pytest.fixture
def lab(tmp_path):
    with gpdata.Recorder(tmp_path / "lab", system="mine", problem="odd") as run:
        for error in (4.0, 2.0, 0.0):
            run.generation([{"total_error": error}, {"total_error": 5.0}], outcome="continue" if error else "success")
    return gpdata.open(run.lake)


def test_a_lab_is_the_source(lab, tmp_path):
    ends = gpdata.last_generation(lab.generations)
    axes = plots.last_generation(ends, lab.runs, by="problem", source=lab)
    axes.figure.savefig(tmp_path / "figure.png")
    assert plots.source(tmp_path / "figure.png") == gpdata.provenance(lab)
    for path in lab.path.rglob("*.parquet"):  # the file is enough
        path.unlink()
    assert same(artists(plots.again(tmp_path / "figure.png")), artists(axes.figure))


def test_several_pictures_are_all_there(tmp_path):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", width_ratios=[1, 2])
    plots.success(success_rows(), ax=left, source=ORIGIN)
    left.axvline(0.5)
    cells = success_rows().with_columns(size=pl.Series([10, 20]))
    plots.heatmap(cells, x="size", y="problem", ax=right, source=gpdata.provenance(ORIGIN, "the other"))
    figure.savefig(tmp_path / "figure.svg")
    with pytest.raises(InvalidInput, match="0: success, 1: heatmap"):
        plots.source(tmp_path / "figure.svg")
    with pytest.raises(InvalidInput, match="picture=2"):
        plots.source(tmp_path / "figure.svg", picture=2)
    assert plots.source(tmp_path / "figure.svg", picture=0) == ORIGIN
    assert plots.source(tmp_path / "figure.svg", picture=1).definition == "the other"
    left.lines[-1].remove()  # what others drew is not carried
    again = plots.again(tmp_path / "figure.svg")
    assert again.get_size_inches().tolist() == [9, 3]
    assert same(artists(again), artists(figure))


def test_two_pictures_on_the_same_axes_and_axes_anywhere(tmp_path):
    figure = plt.figure(figsize=(5, 4))
    ax = figure.add_axes((0.2, 0.3, 0.5, 0.6))
    plots.success(success_rows(), ax=ax, source=ORIGIN)
    plots.success(success_rows(rate=0.6), ax=ax, source=ORIGIN)
    figure.savefig(tmp_path / "figure.pdf")
    assert same(artists(plots.again(tmp_path / "figure.pdf")), artists(figure))


def test_what_is_no_longer_there_is_not_carried(tmp_path):
    figure, (left, right) = plt.subplots(1, 2)
    plots.success(success_rows(), ax=left, source=ORIGIN)
    plots.success(success_rows(), ax=right, source=gpdata.provenance(ORIGIN, "right"))
    left.clear()
    left.plot([1, 2])
    figure.savefig(tmp_path / "figure.png")
    assert plots.source(tmp_path / "figure.png").definition == "right"
    right.remove()
    figure.savefig(tmp_path / "figure.png")
    with pytest.raises(InvalidInput, match="carries no source"):
        plots.source(tmp_path / "figure.png")


def test_without_a_source_nothing_changes(tmp_path):
    figure = plots.success(success_rows()).figure
    assert figure.savefig.__func__ is Figure.savefig
    figure.savefig(tmp_path / "figure.png")
    with pytest.raises(InvalidInput, match="carries no source"):
        plots.again(tmp_path / "figure.png")


@pytest.mark.parametrize(("suffix", "key", "people"), [("png", "Author", "Description"), ("pdf", "Author", "Subject")])
def test_own_metadata_and_options_stay(suffix, key, people, tmp_path):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    path = tmp_path / f"figure.{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(path, metadata={key: "Ada", "Title": "T"}, bbox_inches="tight", dpi=50)
    content = path.read_bytes()
    assert b"Ada" in content
    assert people.encode() in content
    assert plots.source(path) == ORIGIN
    if suffix == "png":
        with Image.open(path) as image:
            assert image.text["Author"] == "Ada"
            assert image.text["Description"] == f"success: {ORIGIN}"
            assert image.width != 50 * figure.get_size_inches()[0]
    figure.savefig(path, metadata={people: "mine"})
    assert b"mine" in path.read_bytes()
    assert b"the <rows>" not in path.read_bytes()


def test_the_source_of_an_svg_is_added_to_the_own_one(tmp_path):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    figure.savefig(tmp_path / "figure.svg", metadata={"Source": "the lab", "Date": None})
    content = (tmp_path / "figure.svg").read_text()
    assert re.search(r"<dc:source>the lab\ngpdata-figure/1:[^<]*;</dc:source>", content)
    assert "<dc:date>" not in content
    assert "the &lt;rows&gt;" in content
    figure.savefig(tmp_path / "figure.svgz")
    assert gzip.decompress((tmp_path / "figure.svgz").read_bytes()).startswith(b"<?xml")
    assert plots.source(tmp_path / "figure.svgz") == ORIGIN


def test_saving_into_memory_by_pyplot_and_without_a_suffix(tmp_path, monkeypatch):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    memory = io.BytesIO()
    figure.savefig(memory, format="pdf")
    (tmp_path / "one").write_bytes(memory.getvalue())
    plt.savefig(tmp_path / "two")
    assert plots.source(tmp_path / "one") == plots.source(tmp_path / "two.png") == ORIGIN


def test_other_formats_are_saved_with_a_warning(tmp_path):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    with pytest.warns(UserWarning, match="saved as jpg without its source: PNG, SVG and PDF"):
        figure.savefig(tmp_path / "figure.jpg")
    assert (tmp_path / "figure.jpg").stat().st_size
    with (
        pytest.warns(UserWarning, match="page of several without its source"),
        PdfPages(tmp_path / "pages.pdf") as pages,
    ):
        pages.savefig(figure)


def test_rows_that_are_too_many_are_left_out_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("gpdata.plots.carried.MOST_BYTES", 1000)
    names = [random.Random(1).randbytes(9000).hex()]
    figure = plots.success(success_rows(names), confidence=0.9, source=ORIGIN).figure
    for suffix in FORMATS:
        path = tmp_path / f"figure.{suffix}"
        with pytest.warns(UserWarning, match=r"without its rows.* take .* bytes when compressed"):
            figure.savefig(path)
        assert plots.source(path) == ORIGIN
        with pytest.raises(InvalidInput, match=r"gpdata.open\('/lab', version=7\), then lab.sql"):
            plots.again(path)


def test_rows_that_are_hopelessly_many_are_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr("gpdata.plots.sourced._MOST_BYTES", 10)
    figure = plots.success(success_rows(), source=ORIGIN).figure
    with pytest.warns(UserWarning, match="the rows take"):
        figure.savefig(tmp_path / "figure.png")
    assert plots.source(tmp_path / "figure.png") == ORIGIN


def test_an_ancestry_carries_ancestors_and_their_parents_only(tmp_path):
    rows = [
        {"run_uuid": "a", "generation": generation, "location": place, "uuid": f"{generation}.{place}"}
        | {"parent_uuids": [f"{generation - 1}.{place}", "lost"] if generation else None}
        | {"genetic_operators": ["mutation"], "total_error": float(place), "program": "long"}
        for generation in range(6)
        for place in range(50)
    ]
    individuals = pl.DataFrame(rows)
    found = gpdata.ancestry(individuals, of=individuals.filter(generation=5, location=7))
    some = found.filter(pl.col("generation") >= 3)
    figure = plots.ancestry(some, individuals, source=ORIGIN).figure
    assert same(artists(figure), artists(plots.ancestry(some, individuals).figure))
    (picture, _, _) = figure.savefig.pictures[0]
    assert picture.frames["individuals"]["rows"] == 4
    assert [column["name"] for column in picture.frames["individuals"]["columns"]].count("program") == 0
    figure.savefig(tmp_path / "figure.png")
    assert same(artists(plots.again(tmp_path / "figure.png")), artists(figure))


def test_a_figure_with_a_source_can_be_pickled(tmp_path):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    copy = pickle.loads(pickle.dumps(figure))
    copy.savefig(tmp_path / "figure.png")
    assert plots.source(tmp_path / "figure.png") == ORIGIN


def test_the_signature_is_seen():
    assert list(inspect.signature(plots.success).parameters) == ["table", "ax", "confidence", "source"]
    assert inspect.signature(plots.success).return_annotation == "Axes"


@pytest.mark.parametrize("given", [3, "lab", {"lake": "x"}])
def test_a_source_that_is_none_is_refused(given):
    with pytest.raises(InvalidInput, match="was given as the source; valid are"):
        plots.success(success_rows(), source=given)
    assert plt.get_fignums() == []


def test_a_wrong_call_says_the_same_with_a_source():
    with pytest.raises(InvalidInput, match="no frame"):
        plots.success(3, source=ORIGIN)
    with pytest.raises(InvalidInput, match="did you mean 'drop'"):
        plots.error_curves(pl.DataFrame(), stopped="dropp", source=ORIGIN)
    runs = pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]})
    ends = pl.DataFrame({"run_uuid": ["a"], "generation": [1], "outcome": ["success"], "total_error_min": [1.0]})
    with pytest.raises(LookupError, match="'problm': did you mean 'problem'"):
        plots.last_generation(ends, runs, by="problm", source=ORIGIN)
    with pytest.raises(InvalidInput, match=r"confidence=<object.*cannot be written"):
        plots.success(success_rows(), confidence=object(), source=ORIGIN)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"picture": "sucess"}, "did you mean 'success'"),
        ({"picture": "again"}, "which this gpdata lacks"),
        ({"picture": "__import__"}, "which this gpdata lacks"),
        ({"picture": ["success"]}, "damaged|lacks"),
        ({"arguments": {"ax": 1}}, "arguments of success"),
        ({"arguments": {"source": 1}}, "arguments of success"),
        ({"arguments": {"colour": 1}}, "arguments of success"),
        ({"arguments": {"confidence": "x"}}, "damaged"),
        ({"arguments": 3}, "damaged"),
        ({"frames": {}}, "damaged"),
        ({"frames": {"table": {"rows": 0, "columns": [{"name": "a", "type": "os", "values": []}]}}}, "cannot be read"),
        ({"frames": {"table": {"rows": 0, "columns": []}}}, "no column"),
        ({"provenance": {"lake": 3}}, "cannot be used"),
        ({"provenance": ORIGIN.to_dict() | {"received_at": "yesterday"}}, "time that cannot be read"),
        ({"place": {"nrows": 10**6, "ncols": 10**6, "first": 0, "last": 0}}, "damaged"),
        ({"place": {"bounds": [0, "x"]}}, "damaged"),
        ({"axes": None}, "damaged"),
    ],
)
def test_what_a_stranger_wrote_is_refused(changed, said, tmp_path):
    path = write(tmp_path / "figure.pdf", **changed)
    with pytest.raises(InvalidInput, match=said):
        plots.again(path)
    assert plt.get_fignums() == []


def test_files_that_are_none_foreign_or_damaged(tmp_path):
    figure = plots.success(success_rows(), source=ORIGIN).figure
    path = tmp_path / "figure.png"
    figure.savefig(path)
    whole = path.read_bytes()
    start = whole.index(b"gpdata-figure/1:") + 40
    for content, said in (
        (b"", "carries no source"),
        (b"no picture", "carries no source"),
        (b"\x1f\x8bnot gzip", "damaged"),
        (whole[:start], "damaged.*its end is missing"),
        (whole[:start] + b"AAAA" + whole[start + 4 :], "damaged"),
        (b"gpdata-figure/1:;", "damaged"),
        (b"gpdata-figure/1:" + base64.b64encode(zlib.compress(b"[]")) + b";", "damaged"),
        (b"gpdata-figure/1:" + base64.b64encode(zlib.compress(b'{"pictures": []}')) + b";", "damaged"),
    ):
        path.write_bytes(content)
        for reading in (plots.again, plots.source):
            with pytest.raises(InvalidInput, match=said):
                reading(path)
    with pytest.raises(InvalidInput, match="No such file"):
        plots.again(tmp_path / "missing.png")
    with pytest.raises(InvalidInput, match="cannot be read"):
        plots.source(tmp_path)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("gpdata.plots.carried._MOST_READ", 10_000)
    packed = base64.b64encode(zlib.compress(b" " * 10_001 + b'{"pictures": [1]}'))
    (tmp_path / "figure.png").write_bytes(b"gpdata-figure/1:" + packed + b";")
    with pytest.raises(InvalidInput, match="cut off, or too long"):
        plots.again(tmp_path / "figure.png")
