"""One generation as the line that gpdata takes in: the wire's names, checked, in plain JSON values."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from gpdata.errors import InvalidInput
from gpdata.schema import INDIVIDUALS, Type
from gpdata.upload.plain import Plain, Unfit, double, number, numbers, plain, total

_GENE_FIELDS = {"parent_uuid": "parent-uuid", "random_insertion": "random-insertion"}
_NEAR = 0.86
"""How alike an unknown name and a known one are, at the least, for it to be a slip of the pen."""


def _wire(name: str) -> str:
    return name.replace("_", "-")


def _name(key: str) -> str:
    return key.replace("-", "_")


def _uuid(value: object) -> Plain:
    """Return a uuid as text: systems that count their individuals send whole numbers."""
    found = plain(value)
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    raise Unfit(f"is {value!r}; valid is a text, a UUID or a whole number")


def _uuids(value: object) -> Plain:
    found = plain(value)
    if found is None:
        return None
    if not isinstance(found, list) or None in found:
        raise Unfit(f"is {value!r}; valid is a list of uuids, [] after genesis, or None for a random individual")
    return [_uuid(element) for element in found]


def _genome(value: object) -> Plain:
    found = plain(value)
    if found is not None and not isinstance(found, list):
        raise Unfit(f"is {value!r}; valid is a list of genes (texts, numbers or mappings), or None")
    if found and dict in set(map(type, found)):
        return [_gene(gene) if isinstance(gene, dict) else gene for gene in found]
    return found


def _gene(fields: dict[str, Plain]) -> Plain:
    return {_GENE_FIELDS.get(name, name): field for name, field in fields.items()}


_TAKE: dict[Type, Callable[[object], Plain]] = {
    Type.INT: number,
    Type.DOUBLE: number,
    Type.DOUBLES: numbers,
}
_SETTABLE = {c.name: c for c in INDIVIDUALS.columns if f"population[].{_wire(c.name)}" in c.source}
_KNOWN: dict[str, Callable[[object], Plain]] = {
    **{name: _TAKE.get(column.type, plain) for name, column in _SETTABLE.items()},
    "uuid": _uuid,
    "parent_uuids": _uuids,
    "genome": _genome,
}
"""What an individual's fields are called in Python, and how each is taken."""
_BEST_MEASURES = ("mean_error", "genome_size", "percent_parens")
"""What stands beside the best individual, not in it."""
_SET_BY_GPDATA = set(INDIVIDUALS.names) - set(_SETTABLE)


def individuals(population: Iterable[Mapping[str, object]], new_uuid: Callable[[], str]) -> list[dict[str, Plain]]:
    """Return a population as the wire has it.

    Parameters
    ----------
    population : iterable of mappings
        The individuals in the order of their locations; see `gpdata.Recorder.generation`.
    new_uuid : callable
        Names an individual that has no uuid.

    Returns
    -------
    list of dict
        One object per individual, under the wire's dashed names.

    Raises
    ------
    InvalidInput
        There is no individual, one is no mapping, or a field cannot be taken.

    Examples
    --------
    >>> individuals([{"parent_uuids": ["a"], "errors": [0.5, 1]}], new_uuid=lambda: "b")
    [{'uuid': 'b', 'parent-uuids': ['a'], 'errors': [0.5, 1], 'total-error': 1.5}]
    """
    found = []
    for location, given in enumerate(population):
        fields = individual(given, f"individual {location}")
        if fields.get("uuid") is None:
            fields = {**fields, "uuid": new_uuid()} if "uuid" in fields else {"uuid": new_uuid(), **fields}
        found.append(fields)
    if not found:
        raise InvalidInput("the population is empty; valid is one individual or more, in every generation")
    return found


def individual(given: Mapping[str, object], where: str) -> dict[str, Plain]:
    """Return one individual as the wire has it; its total error is added where only errors are given.

    Raises
    ------
    InvalidInput
        It is no mapping, or a field cannot be taken.

    Examples
    --------
    >>> individual({"errors": [1, float("nan")], "depth": 7}, "best")
    {'errors': [1, 'NaN'], 'depth': 7, 'total-error': 'NaN'}
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"{where} is a {type(given).__name__}; valid is a mapping of field names to values, such as "
            '{"uuid": ..., "errors": [...]} (of a pandas frame: frame.to_dict("records"))'
        )
    fields: dict[str, Plain] = {}
    for key, value in given.items():
        if not isinstance(key, str):
            raise InvalidInput(f"{where} has the key {key!r}; valid keys are texts: convert it with str()")
        try:
            name, take = _field(key)
            if name in fields:
                raise Unfit("is given twice, with a dash and with an underscore; leave one out")
            fields[name] = take(value)
        except Unfit as error:
            raise InvalidInput(f"{where}: {key!r} {error}") from None
    errors = fields.get("errors")
    if fields.get("total-error") is None and isinstance(errors, list):
        fields["total-error"] = total(errors)
    return fields


def best_of(population: list[dict[str, Plain]]) -> dict[str, Plain] | None:
    """Return the individual of least total error, the first of equals; None where none has a number.

    Examples
    --------
    >>> best_of([{"total-error": "NaN"}, {"total-error": 3}, {"total-error": 3.0, "uuid": "b"}])
    {'total-error': 3}
    """
    scored = ((double(fields.get("total-error")), location) for location, fields in enumerate(population))
    least = min((pair for pair in scored if not math.isnan(pair[0])), default=None)
    return None if least is None else population[least[1]]


def best_section(given: Mapping[str, object]) -> dict[str, Plain]:
    """Return `best` as the wire has it, of a mapping that describes the best individual.

    Parameters
    ----------
    given : mapping
        An individual; also `simplified` (another individual), `mean_error`, `genome_size`, `percent_parens`.

    Returns
    -------
    dict
        The wire's object: the individual, the simplified one, and sizes and mean error as far as known.

    Raises
    ------
    InvalidInput
        As for `individual`.

    Examples
    --------
    >>> best_section({"errors": [1, 0], "genome": ["x", "y", "add"]})["genome-size"]
    3
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"best is a {type(given).__name__}; valid is a mapping that describes an individual, or None"
        )
    measures = {key: value for key, value in given.items() if _name(key) in _BEST_MEASURES}
    simplified = given.get("simplified")
    rest = {key: value for key, value in given.items() if key != "simplified" and key not in measures}
    section = measured(individual(rest, "best"))
    if simplified is not None:
        section["individual-simplified"] = individual(simplified, "best's 'simplified'")  # type: ignore[arg-type]
    for key, value in measures.items():
        try:
            section[_wire(key)] = number(value)
        except Unfit as error:
            raise InvalidInput(f"best: {key!r} {error}") from None
    return section


def measured(fields: dict[str, Plain]) -> dict[str, Plain]:
    """Return the section of a best individual: itself, and what can be measured on it.

    Examples
    --------
    >>> measured({"errors": [1, 2], "program-size": 7})
    {'individual': {'errors': [1, 2], 'program-size': 7}, 'mean-error': 1.5, 'program-size': 7}
    """
    section: dict[str, Plain] = {"individual": fields}
    errors = fields.get("errors")
    if isinstance(errors, list) and errors:
        mean = double(total(errors)) / len(errors)
        if math.isfinite(mean):
            section["mean-error"] = mean
    genome = fields.get("genome")
    if isinstance(genome, list):
        section["genome-size"] = len(genome)
    if fields.get("program-size") is not None:
        section["program-size"] = fields["program-size"]
    return section


def with_test_errors(section: dict[str, Plain], test_errors: object) -> dict[str, Plain]:
    """Return the section of a best individual with its errors on the unseen test cases.

    Raises
    ------
    InvalidInput
        They are no sequence of numbers.

    Examples
    --------
    >>> with_test_errors({"individual": {"uuid": "a"}}, [0, 1])
    {'individual': {'uuid': 'a', 'test-errors': [0, 1]}}
    """
    try:
        cases = numbers(test_errors)
    except Unfit as error:
        raise InvalidInput(f"test_errors {error}") from None
    return {**section, "individual": {**section["individual"], "test-errors": cases}}  # type: ignore[dict-item]


def report_section(given: Mapping[str, object]) -> Plain:
    """Return the sender's own statistics as the wire has them.

    Raises
    ------
    InvalidInput
        It is no mapping of names to what JSON can hold.

    Examples
    --------
    >>> report_section({"mean-depth": 4.5})
    {'mean-depth': 4.5}
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"report is a {type(given).__name__}; valid is a mapping of names to numbers, or None")
    return arguments(given, "the report's")


def arguments(given: Mapping[str, object], what: str) -> dict[str, Plain]:
    """Return a mapping of names to JSON values, naming the key that cannot be one.

    Raises
    ------
    InvalidInput
        A key is no text, or a value is nothing that JSON can hold.

    Examples
    --------
    >>> arguments({"parent-selection": "lexicase", "rate": 0.5}, "config's")
    {'parent-selection': 'lexicase', 'rate': 0.5}
    """
    found: dict[str, Plain] = {}
    for key, value in given.items():
        try:
            found.update(plain({key: value}))  # type: ignore[arg-type]
        except Unfit as error:
            raise InvalidInput(f"{what} {key!r} {error}") from None
    return found


def encode(document: Mapping[str, Plain]) -> bytes:
    """Return a document of plain values as the bytes of its JSON, without a newline.

    Raises
    ------
    InvalidInput
        A whole number is too long to be written.

    Examples
    --------
    >>> encode({"index": 0, "outcome": "continue"})
    b'{"index":0,"outcome":"continue"}'
    """
    try:
        try:
            return msgspec.json.encode(document)
        except UnicodeEncodeError:  # a lone surrogate, which JSON can only have as an escape
            return json.dumps(document, separators=(",", ":")).encode()
    except ValueError as error:
        raise InvalidInput(f"a field cannot be written as JSON ({error}); give the text of it instead") from None


@lru_cache(maxsize=4096)
def _field(key: str) -> tuple[str, Callable[[object], Plain]]:
    """Return the wire's name of a field and how it is taken; refuse what can only be a slip of the pen."""
    name = _name(key)
    if name in _KNOWN:
        return _wire(name), _KNOWN[name]
    if name in _SET_BY_GPDATA:
        hint = "give `genome`, a list of genes" if name.startswith("gene_") else "leave it out"
        raise Unfit(f"is made by gpdata itself: {hint}")
    near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=_NEAR)
    if near:
        raise Unfit(
            f"is not a field of gpdata's; did you mean {near[0]!r}? "
            "A field of your own needs a name that is less like one of gpdata's"
        )
    return key, plain
