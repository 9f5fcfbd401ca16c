"""Python values as plain JSON values: numpy unpacked, NaN and Infinity as the words that the wire uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias
from uuid import UUID

import numpy as np

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

_ATOMS = frozenset({str, int, bool, type(None)})
_NUMBERS = frozenset({int, float})

WORDS = frozenset({"NaN", "Infinity", "-Infinity"})
"""How the wire writes the doubles that JSON lacks."""


class Unfit(Exception):
    """A value that the field cannot hold; the message goes on after the field's name."""


def plain(value: object) -> Plain:
    """Return a value as JSON can hold it; what is plain already is not copied.

    Parameters
    ----------
    value : object
        None, a bool, a number, text, a UUID, a numpy scalar or array; lists, tuples and mappings with text as
        keys of those, nested.

    Returns
    -------
    Plain
        The value made of None, bool, int, float, str, list and dict. NaN and infinities become the texts
        "NaN", "Infinity" and "-Infinity"; fractions become doubles.

    Raises
    ------
    Unfit
        A value of another type, or nesting without end.

    Examples
    --------
    >>> plain({"errors": np.array([1.5, np.nan]), "hits": (1, True, None)})
    {'errors': [1.5, 'NaN'], 'hits': [1, True, None]}
    """
    try:
        return _plain(value)
    except RecursionError:
        raise Unfit("nests too deeply; give the text of it instead") from None


def number(value: object) -> Plain:
    """Return a number as JSON can hold it, or None; a bool counts as 0 or 1.

    Raises
    ------
    Unfit
        The value is no number.

    Examples
    --------
    >>> number(np.float32(0.5)), number(float("inf")), number(None)
    (0.5, 'Infinity', None)
    """
    found = plain(value)
    if isinstance(found, bool):
        return int(found)
    if found is None or isinstance(found, int | float) or (isinstance(found, str) and found in WORDS):
        return found
    raise Unfit(f"is {_show(value)}; valid is a number or None")


def numbers(value: object) -> list[Plain] | None:
    """Return a sequence of numbers as a list that JSON can hold, or None; as `number` for each.

    Raises
    ------
    Unfit
        The value is no list, tuple or one-dimensional array of numbers.

    Examples
    --------
    >>> numbers(np.array([True, False])), numbers([1, float("nan")]), numbers(None)
    ([1, 0], [1, 'NaN'], None)
    """
    found = plain(value)
    if found is None:
        return None
    if not isinstance(found, list):
        raise Unfit(f"is {_show(value)}; valid is a list or a one-dimensional array of numbers, or None")
    if _NUMBERS.issuperset(map(type, found)):
        return found
    return [number(element) for element in found]


def total(errors: list[Plain]) -> Plain:
    """Return the sum of plain errors: exact for whole numbers, correctly rounded (`math.fsum`) otherwise.

    Examples
    --------
    >>> total([1, 2]), total([0.1] * 10), total([1.0, "NaN"]), total([1, None])
    (3, 1.0, 'NaN', None)
    """
    if {int}.issuperset(map(type, errors)):
        return sum(errors)  # type: ignore[arg-type]
    if None in errors:
        return None
    doubles = [double(error) for error in errors]
    try:
        return _plain(math.fsum(doubles))
    except (OverflowError, ValueError):  # too great for a double; infinities of both signs
        return _plain(sum(doubles))


def double(value: Plain) -> float:
    """Return a plain number as the nearest double; NaN where it is none.

    Examples
    --------
    >>> double("Infinity"), double(10**400), double(None)
    (inf, inf, nan)
    """
    if value is None or isinstance(value, list | dict):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


def _plain(value: object) -> Plain:
    kind = type(value)
    if kind in _ATOMS:
        return value  # type: ignore[return-value]
    if kind is float:
        return value if math.isfinite(value) else _word(value)  # type: ignore[arg-type,return-value]
    if kind is list or kind is tuple:
        return _list(value)  # type: ignore[arg-type]
    if kind is dict or isinstance(value, Mapping):
        return _dict(value)  # type: ignore[arg-type]
    if isinstance(value, np.ndarray | np.generic):
        found = value.tolist()
        if isinstance(found, np.generic):  # a long double, which Python has no type for
            found = float(found)
        return _plain(found)
    return _other(value)


def _list(value: list[object] | tuple[object, ...]) -> Plain:
    kinds = set(map(type, value))
    if kinds <= _ATOMS or (kinds == {float} and math.isfinite(sum(value))):  # type: ignore[arg-type]
        return value if type(value) is list else list(value)  # type: ignore[return-value,arg-type]
    return [_plain(element) for element in value]


def _dict(value: Mapping[object, object]) -> Plain:
    found: dict[str, Plain] = {}
    for key, element in value.items():
        if not isinstance(key, str):
            raise Unfit(f"has the key {_show(key)}; valid keys are texts: convert it with str()")
        found[str.__str__(key)] = _plain(element)
    return found


def _other(value: object) -> Plain:
    """Take subclasses (enumerations, named tuples, DEAP's lists of numbers) by what they are made of."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Fraction):
        return _plain(float(value))
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return _list(list(value))
    raise Unfit(
        f"holds {_show(value)}; valid are texts, numbers, True, False, None, numpy arrays, "
        "and lists and mappings of those: give its name, str() of it, or leave it out"
    )


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _show(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
