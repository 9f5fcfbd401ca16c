"""Cells: what identifies them, and what follows from that."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.errors import InvalidInput
from gpdata.sweeps.cells import Cell, cells_of, run_uuid_of, seed_of

NAMES = st.text("abcdefgh-", min_size=1, max_size=8).filter(lambda name: name not in ("seed", "recorder"))
VALUES = st.one_of(
    st.integers(-(2**40), 2**40), st.booleans(), st.text(max_size=8), st.none(),
    st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers(0, 9), max_size=3),
)  # fmt: skip
GRIDS = st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=4, unique_by=repr), min_size=1, max_size=3)


def _seeds(grid: object, repeats: int, seed: int = 0) -> dict[str, int]:
    return {cell.key: seed_of(cell, seed) for cell in cells_of(grid, repeats)}  # type: ignore[arg-type]


@given(GRIDS, st.integers(1, 3), st.integers(0, 2**64), st.randoms(use_true_random=False))
def test_a_seed_does_not_depend_on_the_order_of_the_grid(
    grid: dict[str, list[object]], repeats: int, seed: int, chance: random.Random
) -> None:
    names = list(grid)
    chance.shuffle(names)
    shuffled = {name: chance.sample(grid[name], len(grid[name])) for name in names}
    assert _seeds(shuffled, repeats, seed) == _seeds(grid, repeats, seed)
    assert _seeds([cell.params for cell in cells_of(shuffled, 1)], repeats, seed) == _seeds(grid, repeats, seed)


@given(GRIDS, st.integers(1, 3), st.data())
def test_values_and_repeats_added_later_leave_the_others_as_they_are(
    grid: dict[str, list[object]], repeats: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(grid)))
    more = data.draw(VALUES.filter(lambda value: repr(value) not in map(repr, grid[name])))
    before, after = _seeds(grid, repeats), _seeds({**grid, name: [more, *grid[name]]}, repeats + 1)
    assert before.items() <= after.items()
    assert len(after) > len(before)


@given(GRIDS, st.integers(2, 4))
def test_cells_have_seeds_of_their_own(grid: dict[str, list[object]], repeats: int) -> None:
    seeds = _seeds(grid, repeats)
    assert len(seeds) == len(cells_of(grid, repeats))
    assert all(0 <= seed < 2**32 for seed in seeds.values())
    # 256 cells at most, of 4 billion seeds: two that are equal would be no chance.
    assert len(set(seeds.values())) == len(seeds)


def test_another_seed_of_the_sweep_gives_other_seeds() -> None:
    grid = {"size": range(50)}
    assert not set(_seeds(grid, 1, 1).values()) & set(_seeds(grid, 1, 2).values())


def test_a_seed_is_that_of_numpys_sequence_and_never_changes() -> None:
    cell = Cell({"parent-selection": "lexicase", "size": 100}, 3)
    words = [int(cell.digest[start : start + 8], 16) for start in range(0, 64, 8)]
    by_hand = np.random.SeedSequence(7, spawn_key=words).generate_state(1)[0]
    assert seed_of(cell, 7) == by_hand == 3173205632


def test_numpys_numbers_are_those_of_python() -> None:
    assert [cell.key for cell in cells_of({"n": np.arange(3), "x": np.array([0.5])}, 1)] == [
        cell.key for cell in cells_of({"n": [0, 1, 2], "x": [0.5]}, 1)
    ]


def test_every_combination_comes_before_a_second_of_any() -> None:
    cells = cells_of({"a": [1, 2], "b": ["x", "y"]}, 2)
    assert [cell.repeat for cell in cells] == [0] * 4 + [1] * 4
    assert [tuple(cell.params.values()) for cell in cells[:4]] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_runs_uuid_follows_from_the_sweep_and_the_cell() -> None:
    one, other = cells_of({"a": [1, 2]}, 1)
    uuids = {
        run_uuid_of(cell, {"name": name, "seed": seed}) for cell in (one, other) for name in "pq" for seed in (0, 1)
    }
    assert len(uuids) == 8
    assert run_uuid_of(one, {"name": "p", "seed": 0}) == run_uuid_of(one, {"seed": 0, "name": "p"})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, None),
        ([], "the grid has no cell"),
        ({"a": []}, "the grid has no cell"),
        ({"a": 7}, "the grid's 'a' is 7; valid is a list of values, [7] for one"),
        ({"a": "lexicase"}, "valid is a list of values, ['lexicase'] for one"),
        ({"seed": [1]}, "each run is given one of its own"),
        ({"recorder": [1]}, "name it otherwise"),
        ({"": [1]}, "valid names are texts"),
        ({"a-b": [1], "a_b": [2]}, "'a_b' with a dash and with an underscore"),
        ({"a": [1, 1]}, 'the combination {"a":1} stands in the grid twice (numbers 0 and 1)'),
        ([{"a": 1}, 7], "number 1 of the grid is 7"),
        ({"a": [object()]}, "the grid's 'a'"),
        (7, "the grid is 7; valid is a mapping"),
    ],
)
def test_a_grid_that_is_none_is_told_why(grid: object, said: str | None) -> None:
    if said is None:
        assert [cell.params for cell in cells_of(grid, 2)] == [{}, {}]  # type: ignore[arg-type]
        return
    with pytest.raises(InvalidInput, match=re.escape(said)):
        cells_of(grid, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("repeats", [0, -1, 1.5, True, "2"])
def test_repeats_that_are_none_are_told(repeats: object) -> None:
    with pytest.raises(InvalidInput, match="repeats is"):
        cells_of({"a": [1]}, repeats)  # type: ignore[arg-type]
