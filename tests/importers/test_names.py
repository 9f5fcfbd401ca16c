from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpdata.errors import InvalidInput
from gpdata.importers import import_archives
from gpdata.importers.names import Pattern, UnfitName, configuration
from gpdata.lab import open as open_lab
from gpdata.lake import Lake
from tests.importers import logs


@pytest.mark.parametrize(
    ("pattern", "name", "said"),
    [
        ("{problem}-s{config.random-seed}.csv", "x/odd-s7.csv", {"problem": "odd", "argmap": {"random-seed": 7}}),
        ("{problem}-s{config.random-seed}.csv", "odd-s7.csv.zst", {"problem": "odd", "argmap": {"random-seed": 7}}),
        ("{label}/{_}.log", "a/b/c.log", {"label": "b"}),
        ("{config.x}_{config.y}", "1e3_007", {"argmap": {"x": 1000.0, "y": "007"}}),
        ("{problem:[a-z-]+}-{label:s[0-9]+}.log", "rswn-odd-s3.log", {"problem": "rswn-odd", "label": "s3"}),
    ],
)
def test_names_say_what_the_pattern_asks(pattern: str, name: str, said: dict[str, Any]) -> None:
    assert Pattern(pattern).read(name) == said


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{problm}.log", "{problem}"),
        ("{problem", "cannot be read"),
        ("{problem}-{problem}", "twice"),
        ("{problem:[}", "no regular expression"),
        ("{config.}", "{config.KEY}"),
    ],
)
def test_a_pattern_that_is_none_says_what_is_valid(pattern: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("{", r"\{")):
        Pattern(pattern)


def test_a_name_that_does_not_fit_or_fits_twice_is_refused() -> None:
    with pytest.raises(UnfitName, match="does not fit the pattern"):
        Pattern("{problem}-s{label}.log").read("odd.log")
    with pytest.raises(UnfitName, match="in two ways, a-b, c and a, b-c"):
        Pattern("{problem}-{label}.log").read("a-b-c.log")


def test_what_is_given_and_what_names_say_is_in_the_lake(tmp_path: Path) -> None:
    for name in ("odd-lexicase-s1.csv", "odd-tournament-s2.csv", "odd.csv"):
        (tmp_path / name).write_bytes(logs.csv_log(seed=len(name)))
    done = import_archives(
        [tmp_path],
        Lake.create(tmp_path / "lake"),
        pattern="{problem}-{config.parent-selection}-s{config.random-seed}.csv",
        given={"label": "thesis", "config.max-points": "200"},
    )
    assert [Path(passed.origin).name for passed in done.refused] == ["odd.csv"]
    rows = open_lab(tmp_path / "lake").runs.to_arrow_table().to_pylist()
    assert {
        (row["problem"], row["parent-selection"], row["random-seed"], row["label"], row["max-points"]) for row in rows
    } == {
        ("odd", "lexicase", "1", "thesis", "200"),
        ("odd", "tournament", "2", "thesis", "200"),
    }


def test_what_the_file_says_itself_stays(tmp_path: Path) -> None:
    (tmp_path / "tournament.edn").write_bytes(logs.edn_log())
    import_archives([tmp_path], Lake.create(tmp_path / "lake"), pattern="{config.parent-selection}.edn")
    (row,) = open_lab(tmp_path / "lake").runs.to_arrow_table().to_pylist()
    assert row["parent-selection"] == "lexicase"


def test_text_stays_text() -> None:
    assert json.dumps(configuration({"problem": "7"})) == '{"problem": "7"}'
