"""The cells of a sweep: parameters, the number of the repeat, and what follows from them: a seed and a run's uuid.

A cell's seed and uuid are made of the cell's own content, so they stay what they are when the grid is written in
another order, or values are added to it.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from gpdata.errors import InvalidInput
from gpdata.upload import line

MOST_CELLS: Final = 1_000_000
_SWEEPS: Final = uuid.UUID("6a3a47bd-0d6b-5f0b-9e0c-2f6d5a0e7c11")
"""The namespace of the uuids of all sweeps' runs."""
_RESERVED: Final = {
    "recorder": "it is what the run records with",
    "seed": "each run is given one of its own; more of them are asked for with repeats",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a sweep.

    Parameters
    ----------
    params : dict
        The parameters, as JSON can hold them.
    repeat : int
        Which of the runs with these parameters, from 0.

    Examples
    --------
    >>> one, other = Cell({"a": 1, "b": 2}, 0), Cell({"b": 2, "a": 1}, 0)
    >>> one.key == other.key, one.key == Cell({"a": 1, "b": 2}, 1).key
    (True, False)
    """

    params: dict[str, Any]
    repeat: int

    @property
    def digest(self) -> str:
        """The SHA-256 of the cell's canonical JSON, in hex."""
        return hashlib.sha256(canonical({"params": self.params, "repeat": self.repeat}).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The first 16 digits of the digest: the cell's name in tables and files."""
        return self.digest[:16]


def cells_of(grid: Mapping[str, Iterable[object]] | Iterable[Mapping[str, object]], repeats: int) -> list[Cell]:
    """Return the cells of a grid.

    Parameters
    ----------
    grid : mapping of str to iterables, or iterable of mappings
        The values of each parameter, of which every combination is a cell; or the combinations themselves.
    repeats : int
        How many runs there are of each combination.

    Returns
    -------
    list of Cell
        Repeat by repeat, so that a sweep that is stopped has runs of every combination.

    Raises
    ------
    InvalidInput
        The grid is empty, a parameter cannot be one, or a combination stands there twice.

    Examples
    --------
    >>> [cell.params for cell in cells_of({"size": [10, 20], "selection": ["lexicase"]}, 1)]
    [{'size': 10, 'selection': 'lexicase'}, {'size': 20, 'selection': 'lexicase'}]
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InvalidInput(f"repeats is {repeats!r}; valid is a whole number from 1")
    combinations = [_checked(params, number) for number, params in enumerate(_combinations(grid))]
    if not combinations:
        raise InvalidInput("the grid has no cell; valid is one value or more for each parameter, or a list of mappings")
    if len(combinations) * repeats > MOST_CELLS:
        raise InvalidInput(f"the grid has {len(combinations) * repeats:,} cells; valid are up to {MOST_CELLS:,}")
    seen: dict[str, int] = {}
    for number, params in enumerate(combinations):
        first = seen.setdefault(canonical(params), number)
        if first != number:
            raise InvalidInput(
                f"the combination {canonical(params)} stands in the grid twice (numbers {first} and {number}); "
                "leave one out, and ask for several runs of each with repeats"
            )
    return [Cell(params, repeat) for repeat in range(repeats) for params in combinations]


def seed_of(cell: Cell, seed: int) -> int:
    """Return the seed of a cell's run.

    Parameters
    ----------
    cell : Cell
        The cell.
    seed : int
        The seed of the sweep, from 0.

    Returns
    -------
    int
        From 0 to 2**32 - 1, what every library takes: the first word of the `numpy.random.SeedSequence` whose
        entropy is the sweep's seed and whose spawn key is the cell's digest, as eight words of 32 bits.

    Examples
    --------
    >>> seed_of(Cell({"a": 1}, 0), 0) == seed_of(Cell({"a": 1}, 0), 0) != seed_of(Cell({"a": 1}, 1), 0)
    True
    """
    import numpy as np

    digest = bytes.fromhex(cell.digest)
    words = tuple(int.from_bytes(digest[start : start + 4], "big") for start in range(0, len(digest), 4))
    return int(np.random.SeedSequence(seed, spawn_key=words).generate_state(1, np.uint32)[0])


def run_uuid_of(cell: Cell, identity: Mapping[str, object]) -> str:
    """Return the uuid of a cell's run: the same for the same cell of the same sweep, on every machine.

    Parameters
    ----------
    cell : Cell
        The cell.
    identity : mapping
        What makes the sweep this one: its name, its seed, and what all of its runs have in common.

    Returns
    -------
    str
        A uuid of version 5.

    Examples
    --------
    >>> run_uuid_of(Cell({"a": 1}, 0), {"name": "pilot"})
    '03ff1518-f851-59f4-ba8c-914c39cb01a6'
    """
    return str(uuid.uuid5(_SWEEPS, f"{canonical(identity)}\n{cell.digest}"))


def checked_name(name: str) -> str:
    """Return a sweep's name.

    Raises
    ------
    InvalidInput
        It cannot name a directory.

    Examples
    --------
    >>> checked_name("pilot-2")
    'pilot-2'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"the sweep's name is {name!r}; valid are 1 to 100 letters (a to z), digits, and ._- after the first: "
            "say name='...'"
        )
    return name


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces.

    Examples
    --------
    >>> canonical({"b": [1, 0.5], "a": None})
    '{"a":null,"b":[1,0.5]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _combinations(grid: object) -> list[Mapping[str, object]]:
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
                raise InvalidInput(
                    f"the grid's {name!r} is {values!r}; valid is a list of values, [{values!r}] for one"
                )
        return [dict(zip(grid, values, strict=True)) for values in product(*map(list, grid.values()))]
    if isinstance(grid, str | bytes) or not isinstance(grid, Iterable):
        raise InvalidInput(
            f"the grid is {grid!r}; valid is a mapping of names to lists of values, or a list of mappings of names to "
            "values"
        )
    return list(grid)


def _checked(params: object, number: int) -> dict[str, Any]:
    if not isinstance(params, Mapping):
        raise InvalidInput(f"number {number} of the grid is {params!r}; valid is a mapping of names to values")
    for name in params:
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"the grid has the parameter {name!r}; valid names are texts that are not empty")
        if name in _RESERVED:
            raise InvalidInput(f"the grid has the parameter {name!r}; name it otherwise: {_RESERVED[name]}")
    arguments = [argument(name) for name in params]
    if twice := sorted({name for name in arguments if arguments.count(name) > 1}):
        raise InvalidInput(f"the grid has {twice[0]!r} with a dash and with an underscore; leave one out")
    return line.arguments(params, "the grid's")


def argument(name: str) -> str:
    """Return what a parameter is called as an argument of a Python function: with underscores for dashes.

    Examples
    --------
    >>> argument("parent-selection")
    'parent_selection'
    """
    return name.replace("-", "_")
