"""The filters and the table of runs."""

from __future__ import annotations

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.widgets.choice import PAGE, Choice
from gpdata.widgets.state import State
from tests.widgets.conftest import GENERATIONS, run_line, run_uuid, write_lake


@pytest.fixture(scope="module")
def choice(small_lake):
    return Choice(gpdata.open(small_lake))


def numbers(choice, **state):
    """Return the numbers of the chosen runs, in the order of the table."""
    page = choice.page(State(**state), [])
    return [next(n for n in range(50) if run_uuid(n) == row[0]) for row in page["rows"]]


def test_filters_are_the_columns_of_few_values_with_their_counts(choice):
    filters = {each["name"]: each["values"] for each in choice.filters()}
    assert filters["parent-selection"] == [["lexicase", 4], ["tournament", 4], [None, 4]]
    assert filters["label"] == [["paper", 8], ["pilot", 4]]
    assert [value for value, _ in filters["random-seed"]] == [str(n) for n in range(12)]  # by number, not by letter
    assert not {"run_uuid", "owner", "started_at", "config_id", "outcome"} & set(filters)


def test_the_newest_run_is_first_and_any_column_can_order(choice):
    assert numbers(choice) == list(reversed(range(12)))
    assert numbers(choice, sort="random-seed") == list(range(12))
    assert numbers(choice, sort="random-seed", descending=True) == list(reversed(range(12)))
    assert set(numbers(choice, sort="outcome")[:6]) == {1, 3, 5, 7, 9, 11}
    with pytest.raises(InvalidInput, match="the table has no column 'nothing'"):
        choice.page(State(sort="nothing"), [])


def test_runs_are_chosen_by_value_text_and_date(choice):
    assert set(numbers(choice, where={"parent-selection": ["lexicase"]})) == {0, 3, 6, 9}
    assert set(numbers(choice, where={"parent-selection": [None, "lexicase"], "label": ["pilot"]})) == {0, 2, 3}
    assert set(numbers(choice, text="MIRROR")) == {0, 2, 4, 6, 8, 10}
    assert set(numbers(choice, since="2023-11-16", until="2023-11-18")) == {2, 3}
    assert numbers(choice, text="nowhere") == []
    with pytest.raises(InvalidInput, match="is no date"):
        choice.page(State(since="yesterday"), [])


def test_a_row_says_how_the_run_ended(choice):
    page = choice.page(State(text=run_uuid(4)), ["parent-selection"])
    (row,) = page["rows"]
    said = dict(zip(page["columns"], row, strict=True))
    assert (said["generation"], said["outcome"], said["parent-selection"]) == (
        str(GENERATIONS - 1),
        "success",
        "tournament",
    )
    assert (page["total"], page["page"], page["pages"]) == (1, 0, 1)


def test_there_is_never_more_than_a_page(tmp_path):
    lab = gpdata.open(write_lake(tmp_path / "lake", [run_line(number, 0) for number in range(45)]))
    choice = Choice(lab)
    pages = [choice.page(State(page=number), [])["rows"] for number in range(3)]
    assert [len(rows) for rows in pages] == [PAGE, PAGE, 5]
    assert len({row[0] for rows in pages for row in rows}) == 45
    assert choice.page(State(page=99), [])["page"] == 2  # what a filter has left behind
    assert "random-seed" not in {each["name"] for each in choice.filters()}  # 45 values are no filter


def test_an_empty_lake_has_no_runs(tmp_path):
    choice = Choice(gpdata.open(write_lake(tmp_path / "lake", [])))
    assert choice.filters() == []
    assert (choice.page(State(), [])["total"], choice.page(State(), [])["rows"]) == (0, [])


def test_a_config_key_called_like_a_column_of_the_end_keeps_its_own(tmp_path):
    config = {"start-time": 1, "problem-file": "odd", "argmap": {"outcome": "hoped", "generation": "lost"}}
    lines = [run_line(0, 0, config=config), run_line(1, 0)]
    choice = Choice(gpdata.open(write_lake(tmp_path / "lake", lines)))
    page = choice.page(State(text="hoped"), [])
    said = dict(zip(page["columns"], page["rows"][0], strict=True))
    assert (said["outcome"], said["outcome (at the end)"]) == ("hoped", "continue")
