from __future__ import annotations

import json
from typing import Any

import pytest

from gpdata.wire.config import Config, config_id, read_config
from gpdata.wire.rejection import Rejected


def read(**config: Any) -> Config:
    return read_config(json.dumps({name.replace("_", "-"): value for name, value in config.items()}).encode(), 99)


def test_the_columns_of_a_run() -> None:
    config = read(
        system="deap",
        problem="onemax",
        start_time=1.5,
        version_number="1.4",
        git_hash="abc",
        command="python onemax.py",
        label="a",
        argmap={"b": [1, {"z": 1, "a": None}], "a": "é"},
        host="b1",
    )
    assert dict(config.row) | {"config_id": None} == {
        "system": "deap",
        "problem": "onemax",
        "started_at": 1_500_000,
        "version": "1.4",
        "git_hash": "abc",
        "command": "python onemax.py",
        "label": "a",
        "config": [("b", '[1,{"a":null,"z":1}]'), ("a", '"é"')],
        "config_id": None,
        "extra": '{"host":"b1"}',
    }
    assert (config.unfit, config.duplicates) == (False, False)


def test_what_is_absent() -> None:
    row = read_config(b"null", 9).row
    assert (row["system"], row["config"], row["extra"]) == ("clojush", [], None)
    assert [name for name, value in row.items() if value is None] == [
        *("started_at", "problem", "version", "git_hash", "command", "label", "extra")
    ]


def test_the_label_of_the_arguments_comes_first() -> None:
    assert read(argmap={"label": "a"}, label="a").row["label"] == "a"
    both = read(argmap={"label": "a"}, label="b")
    assert (both.row["label"], both.row["extra"], both.unfit) == ("a", '{"label":"b"}', True)
    assert read(argmap={"label": None}, label="b").row["label"] == "b"
    assert read(argmap={"label": ["a"]}).row["label"] is None


def test_problem_file_comes_before_problem() -> None:
    config = read(problem_file="clojush.odd", problem="odd")
    assert (config.row["problem"], config.row["extra"]) == ("clojush.odd", '{"problem":"odd"}')


def test_what_does_not_fit_is_kept() -> None:
    config = read_config(b'{"system":5,"start-time":"now","argmap":[1],"git-hash":"\\ud800"}', 9)
    assert (config.row["system"], config.row["started_at"], config.row["git_hash"]) == ("clojush", None, "\ufffd")
    assert config.row["extra"] == '{"argmap":[1],"git-hash":"\\ud800","start-time":"now","system":5}'
    assert config.unfit


def test_equal_keys_are_kept() -> None:
    config = read_config(b'{"command":"a","command":"b","argmap":{"n":1,"n":2}}', 9)
    assert config.row["command"] == "b"
    assert config.row["config"] == [("n", "2")]
    assert config.row["extra"] == '{"argmap":{"duplicate_keys":{"n":[1,2]}},"duplicate_keys":{"command":["a","b"]}}'
    assert config.duplicates


@pytest.mark.parametrize("text", [b"[]", b"5", b'"a"', b"false"])
def test_a_config_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(Rejected, match=r"bad_field: config is .*; valid is an object"):
        read_config(text, 9)


def test_the_hash_of_a_config_does_not_depend_on_spelling() -> None:
    one = read_config(b'{"a":1.0,"b":{"x":"\\u00e9","y":[1]}}', 9)
    other = read_config('{ "b": {"y": [1], "x": "é"}, "a": 1.0 }'.encode(), 9)
    assert one.sha256 == other.sha256
    assert one.sha256 != read_config(b'{"a":1,"b":{"x":"\\u00e9","y":[1]}}', 9).sha256


BASE = {"parent-selection": '"lexicase"', "max-generations": "10", "error-function": '"odd$fn__79@4a93"'}


@pytest.mark.parametrize(
    "change",
    [
        {"random-seed": '"x"'},
        {"random_seed": "5"},
        {"seed": "5"},
        {"run-uuid": '"x"'},
        {"label": '"x"'},
        {"record-host": '"x"'},
        {"csv-log-filename": '"x"'},
        {"edn-log-filename": '"x"'},
        {"json_log_filename": '"x"'},
        {"training-cases": "[1]"},
        {"sub-training-cases": "[2]"},
        {"error-function": '"odd$fn__80@1c2d3e4f"'},
    ],
)
def test_replicates_share_the_id(change: dict[str, str]) -> None:
    assert config_id("clojush", "odd", BASE | change) == config_id("clojush", "odd", BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"parent-selection": '"tournament"'},
        {"max-generations": "11"},
        {"new": "null"},
        {"error-function": '"even$fn__79@4a93"'},
    ],
)
def test_other_arguments_are_another_configuration(change: dict[str, str]) -> None:
    assert config_id("clojush", "odd", BASE | change) != config_id("clojush", "odd", BASE)
    assert config_id("deap", "odd", BASE) != config_id("clojush", "odd", BASE) != config_id("clojush", "even", BASE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"a$report@f288c14"', '"a$report@1"'),
        ('["x",{"f":"a.b$fn__1@4a937d43"}]', '["x",{"f":"a.b$fn__2__3@a"}]'),
        ('"#object[a$fn__1 0x5e3a \\"a$fn__1@5e3a\\"]"', '"#object[a$fn__2 0x1 \\"a$fn__2@1\\"]"'),
        ('"<function f at 0x7f3c>"', '"<function f at 0x7f3d>"'),
        ('"<deap.X object at 0x7f3c>, 5"', '"<deap.X object at 0x1a>, 5"'),
    ],
)
def test_addresses_do_not_count(one: str, other: str) -> None:
    assert config_id("s", "p", {"f": one}) == config_id("s", "p", {"f": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"ada@example.org"', '"ada@example.com"'),
        ('"a__1"', '"a__2"'),
        ('"<function f at 0x7f3c>"', '"<function g at 0x7f3c>"'),
        ('"mask=0x1f"', '"mask=0x2f"'),
    ],
)
def test_what_only_looks_like_an_address_counts(one: str, other: str) -> None:
    assert config_id("s", "p", {"f": one}) != config_id("s", "p", {"f": other})


def test_the_id_does_not_depend_on_the_order_of_arguments() -> None:
    assert config_id("s", "p", BASE) == config_id("s", "p", dict(reversed(BASE.items())))
