"""What a line says of the best individual."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.compute as pc
from msgspec import Raw

from gpdata.wire.columns import DOUBLE, INT
from gpdata.wire.generation import Generation
from gpdata.wire.individuals import COLUMNS_OF, DROPPED, Individuals
from gpdata.wire.lexical import parse
from gpdata.wire.members import DUPLICATE_KEYS, NULL, Members, compact, members, object_text, text_of

_NUMBERS = {"mean-error": DOUBLE, "genome-size": INT, "program-size": INT, "percent-parens": DOUBLE}
BEST_INDIVIDUALS = {
    "individual": {
        "uuid": "best_uuid",
        "total-error": "best_total_error",
        "errors": "best_errors",
        "test-errors": "best_test_errors",
        "program": "best_program",
    },
    "individual-simplified": {
        "program": "best_simplified_program",
        "total-error": "best_simplified_total_error",
        "test-errors": "best_simplified_test_errors",
    },
}
"""The individuals of `best`, and the column of each of their fields that has one in GENERATIONS."""


def best_individuals(raw: Raw, depth: int) -> dict[str, Members]:
    """Return the individuals that `best` holds, by field.

    Parameters
    ----------
    raw : Raw
        The field `best`, `NULL` where there is none.
    depth : int
        The most arrays and objects that may be open in it.
    """
    best = members(raw, depth)
    found: dict[str, Members] = {}
    if best is None:
        return found
    for name in BEST_INDIVIDUALS:
        individual = members(best.values.get(name, NULL), depth - 1)
        if individual is not None:
            found[name] = individual
    return found


def read_best(
    generation: Generation, raw: Raw, places: Mapping[str, int], population: range, individuals: Individuals, depth: int
) -> None:
    """Add `best` to the row; what neither a column holds nor the population repeats goes to `extra`.

    Parameters
    ----------
    generation : Generation
        Is added to.
    raw : Raw
        The field `best`, `NULL` where there is none.
    places : mapping of str to int
        Where the individuals of `best` stand in `individuals`.
    population : range
        Where the population stands there.
    individuals : Individuals
        Those of some lines.
    depth : int
        The most arrays and objects that may be open in `best`.
    """
    best = members(raw, depth)
    if best is None:
        if raw != NULL:
            generation.left["best"] = compact(raw, depth)
            generation.unfit = True
        return
    left: dict[str, str] = {}
    for name, value in best.values.items():
        if name in _NUMBERS:
            number, fits = _NUMBERS[name].lexical(parse(text_of(value), depth - 1))
            generation.row[f"best_{name.replace('-', '_')}"] = number
        else:
            fits = name in places or (name in BEST_INDIVIDUALS and value == NULL)
        if not fits:
            left[name] = compact(value, depth - 1)
            generation.unfit |= name in _NUMBERS or name in BEST_INDIVIDUALS
    for name, place in places.items():
        held = BEST_INDIVIDUALS[name]
        twin = _twin(individuals, place, population)
        if name == "individual":
            generation.row["best_location"] = None if twin is None else twin - population.start
        for field, column in held.items():
            generation.row[column] = individuals.columns[COLUMNS_OF[field][0]][place].as_py()
        kept = _unrepeated(individuals, place, twin, held, depth - 2)
        if kept:
            left[name] = object_text(kept)
    generation.keep_duplicates(left, best, depth - 1)
    if left:
        generation.left["best"] = object_text(left)


def _twin(individuals: Individuals, place: int, population: range) -> int | None:
    """Return the first place in the population of the individual at `place`."""
    uuids = individuals.columns["uuid"]
    location: int = pc.index(uuids.slice(population.start, len(population)), uuids[place]).as_py()
    return None if location < 0 else population.start + location


def _unrepeated(
    individuals: Individuals, place: int, twin_place: int | None, held: Mapping[str, str], depth: int
) -> dict[str, str]:
    """Return what is sent of the individual at `place` that no column holds and its twin has not."""
    left = individuals.left.get(place, {})
    twin = Members({}) if twin_place is None else individuals.members[twin_place]
    twin_left = {} if twin_place is None else individuals.left.get(twin_place, {})
    kept = {}
    for name, raw in individuals.members[place].values.items():
        if name == DUPLICATE_KEYS or (name in held and name not in left) or twin.values.get(name) == raw:
            continue
        fits = name not in left and name not in twin_left
        if fits and (name in DROPPED or _equal(individuals, name, place, twin_place)):
            continue
        text = compact(raw, depth)
        if name not in twin.values or text != compact(twin.values[name], depth):
            kept[name] = text
    if DUPLICATE_KEYS in left:
        kept[DUPLICATE_KEYS] = left[DUPLICATE_KEYS]
    return kept


def _equal(individuals: Individuals, field: str, place: int, twin: int | None) -> bool:
    """Whether two individuals have the same value of a field; `None` stands for one that has none."""
    columns = [individuals.columns[name] for name in COLUMNS_OF[field]]
    if twin is None:
        return all(not column[place].is_valid for column in columns)
    return all(column.slice(place, 1).equals(column.slice(twin, 1)) for column in columns)
