"""The contract of docs/new-analysis.md, held against every public analysis: no list of them is kept here."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import narwhals as nw
import polars as pl
import pytest

import gpdata
import gpdata.analyses as analyses
from gpdata import plots
from gpdata.schema import Column, Type
from tests.test_package import sections

ANALYSES = [name for name in analyses.__all__ if name.islower()]
NO_FRAME = {"tournament_expectation"}
"""A formula over numbers: it takes no frame, returns none, and declares none."""
SHAPELESS = {"smooth"}
"""The columns that come out are those that came in."""
FRAMES = {
    "individuals", "generations", "runs", "last", "taxa", "lab", "counts", "errors", "genes", "edges", "curve",
    "curves", "table", "frame",
}  # fmt: skip
"""What an argument that takes a frame is called."""
DTYPES = {
    Type.STRING: nw.String, Type.INT: nw.Int32, Type.DOUBLE: nw.Float64, Type.BOOL: nw.Boolean,
    Type.STRINGS: nw.List, Type.INTS: nw.List, Type.DOUBLES: nw.List, Type.TIMESTAMP: nw.Datetime,
}  # fmt: skip

every = pytest.mark.parametrize("name", ANALYSES)
with_frames = pytest.mark.parametrize("name", [name for name in ANALYSES if name not in NO_FRAME])


def function(name: str) -> Callable[..., Any]:
    found = getattr(analyses, name)
    assert inspect.isfunction(found), f"{name} is no function: a module of that name hides it"
    return found


def declared(name: str) -> tuple[Column, ...]:
    return tuple(getattr(analyses, name.upper(), ()))


def doc(name: str) -> str:
    return inspect.getdoc(function(name)) or ""


def test_there_are_analyses_and_each_is_a_name_of_gpdata() -> None:
    assert len(ANALYSES) > 10
    assert analyses.__all__ == sorted(analyses.__all__, key=lambda name: (not name.isupper(), name))
    assert [name for name in ANALYSES if getattr(gpdata, name, None) is not function(name)] == []


@every
def test_frames_come_first_and_everything_else_by_keyword(name: str) -> None:
    parameters = inspect.signature(function(name)).parameters.values()
    places = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    if name in NO_FRAME:
        return
    assert places, f"{name} takes no frame"
    assert set(places) <= FRAMES, f"{name} takes {set(places) - FRAMES} by place: only frames are"
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters if p.name in places)
    assert not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


@every
def test_every_argument_has_a_type(name: str) -> None:
    signature = inspect.signature(function(name))
    untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert not untyped
    assert signature.return_annotation is not signature.empty


@every
def test_the_docstring_says_all(name: str) -> None:
    said = doc(name)
    parts = sections(said)
    order = ["Parameters", "Returns", "Raises", "Notes", "References", "Examples"]
    assert [part for part in ("Parameters", "Returns", "Raises", "Examples") if part not in parts] == []
    assert [part for part in parts if part in order] == [part for part in order if part in parts]
    first, _, rest = said.partition("\n")
    assert first.endswith("."), "the first line is one sentence"
    assert rest.startswith("\n"), "the first sentence takes one line"
    named = {
        word
        for text in parts["Parameters"].splitlines()
        if text and not text[0].isspace()
        for word in re.findall(r"\w+", text.split(" :")[0])
    }
    assert set(inspect.signature(function(name)).parameters) == named


@with_frames
def test_the_grain_is_said(name: str) -> None:
    returns = " ".join(sections(doc(name))["Returns"].split())
    assert re.search(r"\b(one row|a row|the row|the rows|the same rows|a series)\b", returns.lower()), (
        f"{name}: Returns says no grain, 'One row per ...'"
    )


@with_frames
def test_the_docstring_names_every_declared_column(name: str) -> None:
    returns = sections(doc(name))["Returns"]
    if name == "last_generation":  # the table's own columns
        assert "LAST_GENERATION" in returns
        return
    unsaid = [column.name for column in declared(name) if not _is_said(column.name, returns)]
    assert not unsaid, f"{name}: Returns says nothing of {unsaid}"


def _is_said(column: str, returns: str) -> bool:
    """Say whether a text names a column, alone or as one of a family: `size_*`, or `size` and each with `_q1`."""
    splits = [(column[:at], column[at:]) for at, letter in enumerate(column) if letter == "_" and at]
    return f"`{column}`" in returns or any(
        f"`{start}_*`" in returns or (f"`{start}`" in returns and f"`{end}`" in returns) for start, end in splits
    )


@with_frames
def test_the_result_is_declared(name: str) -> None:
    if name in SHAPELESS:
        return
    if name == "select_runs":
        assert "columns of runs" in sections(doc(name))["Returns"]
        return
    columns = declared(name)
    assert columns, f"{name} has no {name.upper()} in gpdata.analyses"
    assert all(isinstance(column, Column) for column in columns)
    assert len({column.name for column in columns}) == len(columns)
    for column in columns:
        assert column.meaning
        assert column.source
        assert column.null != ""


def examples(name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(function(name).__doc__ or "")


@every
def test_the_example_calls_it(name: str) -> None:
    assert any(re.search(rf"\b{name}\(", example.source) for example in examples(name)), "no example calls it"


def results(name: str) -> Iterator[Any]:
    """Yield what the calls of the example return: the docstring's frames are the small frames of this test."""
    original = function(name)
    found = []

    def recording(*args: Any, **options: Any) -> Any:
        found.append((args, original(*args, **options)))
        return found[-1][1]

    module = importlib.import_module(original.__module__)
    names = dict(vars(module)) | {name: recording}
    for example in examples(name):
        try:
            exec(compile(example.source, f"<{name}>", "single"), names)
        except Exception:
            if example.exc_msg is None:
                raise
    assert found
    yield from found


@with_frames
def test_what_comes_out_is_what_is_declared(name: str) -> None:
    columns = declared(name)
    for args, result in results(name):
        assert type(result) is type(args[0]) or name in ("runs_table", "shared_parameters")
        if not columns or name in (*SHAPELESS, "last_generation"):
            continue
        schema = nw.from_native(result).collect_schema()
        names = [column.name for column in columns]
        here = [column for column in schema.names() if column in names]
        assert here == names, f"{name} returns {schema.names()}; declared are {names}"
        if name != "runs_table":  # the columns of runs follow the key
            # What stands before the declared columns are those of `by`.
            assert schema.names()[-len(names) :] == names
        for column in columns:
            assert isinstance(schema[column.name], DTYPES[column.type]), f"{column.name}: {schema[column.name]}"
        table = gpdata.to_arrow(result)
        nulls = {column for column in names if table[column].null_count}
        unsaid = {column.name for column in columns if column.null is None} & nulls
        assert not unsaid, f"{name}: {unsaid} are null in the example, and are declared as never null"


@with_frames
def test_a_missing_column_and_no_frame_are_refused(name: str) -> None:
    from gpdata.errors import InvalidInput, UnknownColumn

    first = next(iter(results(name)))[0]
    signature = inspect.signature(function(name))
    places = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = {
        p.name: _plausible(p)
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty
    }
    empty = pl.DataFrame({"nothing": [1]})
    if name == "select_runs":
        options["where"] = {"problem": "odd"}
    with pytest.raises((UnknownColumn, InvalidInput)):
        function(name)(*[empty] * len(places), **options)
    with pytest.raises(InvalidInput):
        function(name)(*[3] * len(places), **options)
    assert len(first) == len(places)


def _plausible(parameter: inspect.Parameter) -> Any:
    values = {
        "by": "problem",
        "of": pl.DataFrame({"run_uuid": ["a"], "generation": [0], "location": [0]}),
        "run": "a",
        "window": 3,
        "targets": [1.0],
    }
    return values.get(parameter.name, 1)


def test_a_picture_takes_the_result_and_gives_axes() -> None:
    wrong = {}
    assert {*plots.__all__} - {*plots.PICTURES} == {"again", "source"}
    for name in plots.PICTURES:
        picture = getattr(plots, name)
        if not inspect.isfunction(picture):
            wrong[name] = "is no function: a module of that name hides it"
            continue
        parameters = inspect.signature(picture).parameters
        if "ax" not in parameters or parameters["ax"].kind is not inspect.Parameter.KEYWORD_ONLY:
            wrong[name] = "has no keyword ax"
        if "source" not in parameters or parameters["source"].kind is not inspect.Parameter.KEYWORD_ONLY:
            wrong[name] = "has no keyword source"
        elif not hasattr(picture, "__wrapped__"):
            wrong[name] = "does nothing with source: it needs the decorator of gpdata.plots.sourced"
        elif "    source : Lab or Provenance, optional" not in (picture.__doc__ or ""):
            wrong[name] = "does not tell what source is"
        parts = sections(inspect.getdoc(picture) or "")
        if [part for part in ("Parameters", "Returns", "Raises", "Examples") if part not in parts]:
            wrong[name] = "lacks a section"
    assert not wrong


@every
def test_the_picture_that_is_mentioned_is_there(name: str) -> None:
    named = re.findall(r"(?:gp|gpdata)\.plots\.(\w+)", doc(name))
    assert [picture for picture in named if picture not in plots.__all__] == []
