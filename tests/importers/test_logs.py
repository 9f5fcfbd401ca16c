"""Each format: what is read, what is refused and why, and that the rest goes on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gpdata.importers.formats import FORMATS, format_of
from gpdata.importers.items import Refused
from gpdata.importers.lines import Line
from gpdata.importers.sources import Event, Member, Passed, Reading, events
from tests.importers import logs

RUN = "1b0f7919-aff3-434d-b60f-f9355cbe4581"


def read(data: bytes, name: str = "a.log", limit: int = 1 << 20, **reading: Any) -> list[Event]:
    return list(events(io.BytesIO(data), name, Reading(limit, **reading), named=True))


def lines(found: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.content) for event in found if isinstance(event, Line)]


def refused(found: list[Event]) -> list[Refused]:
    return [event for event in found if isinstance(event, Refused)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (logs.csv_log(), "csv"),
        (logs.edn_log(), "edn"),
        (logs.json_log(), "json"),
        (logs.text_log(), "text"),
        (logs.PHYLOGENY, "phylogeny"),
        (b'{"config-uuid": "r"}\n', "recorder"),
        (b'torn"]}\n{"start-time":1,"population":[', "recorder"),
    ],
)
def test_formats_are_told_by_content(data: bytes, name: str) -> None:
    found = format_of(data)
    assert found is not None
    assert found.name == name
    assert [name for name, form in FORMATS.items() if form.is_it(data)] == [name]


@pytest.mark.parametrize(
    "data", [b"# Notes\n", b'{"dependencies": {}}', b"[1, 2]", b"a,b\n1,2\n", bytes(range(256)) * 9]
)
def test_anything_else_is_no_format(data: bytes) -> None:
    assert format_of(data) is None
    (passed,) = read(data)
    assert isinstance(passed, Passed)
    assert passed.refused
    assert "valid are recorder stream, Clojush EDN log" in passed.reason


def test_the_csv_log() -> None:
    found = lines(read(logs.csv_log()))
    assert [line["index"] for line in found] == [0, 1, 2]
    assert {line["outcome"] for line in found} == {"continue"}
    first, later = found[0]["population"][0], found[2]["population"][3]
    assert first["parent-uuids"] is None, "[] of the log stands for none and for unknown ones"
    assert first["genetic-operators"] == "random"
    assert len(later["parent-uuids"]) == 2
    assert (later["program"], later["genome"]) == (["in1", ["a", 1]], [{"close": 1, "instruction": "in1"}])
    assert later["errors"][1] == 0.5
    assert "location" not in later


def test_columns_of_a_csv_log_may_be_few_or_others() -> None:
    old = b"uuid,generation,parent_uuids,genetic_operators,plush-genome-closes,luck\nu,0,[],:genesis,012,seven\n"
    (line,) = lines(read(old))
    assert line["population"] == [
        {"uuid": "u", "parent-uuids": [], "genetic-operators": "genesis", "plush-genome-closes": "012", "luck": "seven"}
    ]


def test_a_run_has_the_same_uuid_whatever_its_file_is_called_and_when_it_has_grown() -> None:
    for make in (logs.csv_log, logs.json_log):
        short, long, other = make(5, 3), make(5, 8), make(6, 3)
        uuids = [
            lines(read(data, name))[0]["config-uuid"] for data, name in ((short, "a"), (long, "b/c"), (other, "a"))
        ]
        assert uuids[0] == uuids[1] != uuids[2]


def test_a_format_that_names_its_run_keeps_the_name() -> None:
    for data in (logs.edn_log(run=RUN), logs.text_log(run=RUN)):
        assert {line["config-uuid"] for line in lines(read(data))} == {RUN}


@pytest.mark.parametrize(
    ("make", "spoil", "said"),
    [
        (logs.csv_log, (b":random", b"(((", 1), "line 2: the column genetic-operators: the text ends inside a value"),
        (logs.csv_log, (b"0.5\n", b"half\n", 1), "line 2: the column TC1: 'half' is no number; valid is"),
        (logs.csv_log, (b",0.5\n", b"\n", 1), "line 2: 9 values; valid are 10"),
        (logs.csv_log, (b",0,1,", b",0,2,", 1), "line 3 has location 2; valid is 1"),
        (logs.csv_log, (b"in1 (a", b"in\xff1 (a", 1), "bytes that are not UTF-8"),
        (logs.edn_log, (b":errors [1 0]", b":errors [1 0", 1), "line 2: } stands at character"),
        (logs.edn_log, (b":generation 0", b":generation :x", 1), "line 2: :generation is missing, or no whole number"),
        (logs.json_log, (b'"generation": 0', b'"generation": 7', 1), 'line 1: "generation" is not the same'),
        (logs.json_log, (b'"size": 3', b'"size": }', 1), "line 1: JSON is malformed"),
        (logs.text_log, (b"Total: 1", b"Total: (", 1), "the report of generation 0: the text ends inside a value"),
    ],
)
def test_a_record_that_cannot_be_read_is_named_and_its_generation_kept(make: Any, spoil: Any, said: str) -> None:
    good = make()
    found = read(good.replace(*spoil))
    assert [line["index"] for line in lines(found)] == [1, 2], "the other generations go in"
    (event,) = refused(found)
    assert said in event.detail
    assert isinstance(event.raw, bytes)
    assert event.raw in good.replace(*spoil), "all of its bytes are kept"
    assert event.raw.count(b"\n") >= {logs.csv_log: 4, logs.edn_log: 4}.get(make, 1)


@pytest.mark.parametrize("make", [logs.csv_log, logs.edn_log, logs.json_log, logs.text_log])
@pytest.mark.parametrize("cut", [12, 90, 150])
def test_a_log_that_was_cut_off_gives_what_is_whole(make: Any, cut: int) -> None:
    data = make().rstrip(b"\n")[:-cut]
    found = read(data)
    assert [line["index"] for line in lines(found)][:2] == [0, 1]
    assert len(lines(found)) + len(refused(found)) == 3
    assert all(event.code in ("torn", "bad_record") for event in refused(found))
    if len(lines(found)) == 3:
        assert make is logs.text_log, "the end of a report stands before the words on success"


def test_the_last_generation_of_a_log_must_be_as_large_as_those_before() -> None:
    data = b"".join(logs.csv_log().splitlines(keepends=True)[:-1])
    (event,) = refused(read(data))
    assert (event.code, event.number) == ("torn", 10)
    assert "ends after 3 individuals; valid is 4" in event.detail
    (event,) = refused(read(b"".join(logs.edn_log(generations=1).splitlines(keepends=True)[:-1])))
    assert "ends after 3 individuals; valid is 4" in event.detail, "the run says its population size"


def test_a_quote_that_does_not_end_does_not_eat_memory() -> None:
    data = logs.csv_log() + b'u,3,0,"' + b"x\n" * 5000
    found = read(data, limit=2000)
    assert [line["index"] for line in lines(found)] == [0, 1, 2]
    (event,) = refused(found)
    assert event.code == "too_long"
    assert "does not end within 2,000 bytes" in event.detail


def test_the_output_of_a_run() -> None:
    solution = ("", "SUCCESS at generation 2", "Successful program: (in1)", "Size: 2")
    found = lines(read(logs.text_log(end=solution)))
    assert [line["outcome"] for line in found] == ["continue", "continue", "success"]
    last = found[2]
    assert last["population"] == [{}] * 4
    assert last["best"]["individual"]["errors"] == [0, 1]
    assert last["best"]["individual"]["test-errors"] == [0, 2.5]
    assert last["best"]["percent-parens"] == 0.5
    assert last["population-report"] == {"mean-total-error": 2.5}
    assert last["printed"]["solution"] == "Successful program: (in1)\nSize: 2"
    assert [line["outcome"] for line in lines(read(logs.text_log(end=("FAILURE",))))][-1] == "failure"
    assert [line["outcome"] for line in lines(read(logs.text_log(end=())))][-1] == "continue", "it was killed"
    (event, *_) = refused(read(logs.text_log().replace(b"population-size", b"size")))
    assert "population-size = NUMBER" in event.detail


def test_a_json_log_that_was_made_a_valid_file() -> None:
    data = logs.json_log()
    whole = b"[" + data.rstrip(b"\n") + b"]\n"
    assert json.loads(whole)
    assert lines(read(whole)) == lines(read(data))


def test_a_phylogeny() -> None:
    found = lines(read(logs.PHYLOGENY))
    assert [line["index"] for line in found] == [0, 1, 3]
    assert found[0]["population"] == [{"uuid": "0", "fitness": 1.5}, {"uuid": "1", "fitness": 2}]
    assert found[1]["population"] == [{"uuid": "2", "parent-uuids": ["0", "1"]}]
    assert found[0]["config"] == {"system": "unknown"}
    shuffled = b"".join(sorted(logs.PHYLOGENY.splitlines(keepends=True), reverse=True))
    head, rest = shuffled.splitlines(keepends=True)[0], shuffled.splitlines(keepends=True)[1:]
    again = lines(read(head + b"".join(rest)))
    assert [line["index"] for line in again] == [0, 1, 3], "rows come in any order"
    bad = logs.PHYLOGENY + b"4,[3],soon,\n5,3,4,\n6\n"
    assert len(lines(read(bad))) == 3
    assert ["origin_time is 'soon'" in refused(read(bad))[0].detail, "[3,4]" in refused(read(bad))[1].detail] == [
        True
    ] * 2
    (event,) = refused(read(b"id,ancestor_list\n0,[none]\n"))
    assert "origin_time is missing" in event.detail


def test_a_file_of_another_format_is_passed_by_where_formats_are_named() -> None:
    (passed,) = read(logs.csv_log(), formats=("edn",))
    assert isinstance(passed, Passed)
    assert not passed.refused
    member, *_ = read(logs.csv_log(), formats=("csv",))
    assert member == Member("a.log", "csv")
