"""How a recorded run begins, of whatever library: its Recorder, and its arguments as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpdata.errors import InvalidInput
from gpdata.upload.plain import Unfit, plain
from gpdata.upload.recorder import Recorder

Lake = str | Path | None


def begin(
    system: str,
    distribution: str,
    lake: Lake,
    *,
    problem: str | None,
    config: Mapping[str, object] | None,
    label: str | None,
    options: Mapping[str, Any],
    found: Mapping[str, object] | None = None,
) -> Recorder:
    """Return the Recorder of a run of a library, under the library's installed version.

    Parameters
    ----------
    system : str
        What the run's `system` is.
    distribution : str
        The package that the library is installed as.
    lake, problem, config, label : optional
        As for `gpdata.Recorder`.
    options : mapping
        More keywords of `gpdata.Recorder`.
    found : mapping, optional
        Arguments that the library itself tells; `config` goes before them.

    Raises
    ------
    InvalidInput
        An argument cannot be used.
    """
    unknown = sorted(set(options) & {"system"})
    if unknown:
        raise InvalidInput(f"system is {options['system']!r}, but the run is recorded as {system!r}; leave it out")
    if config is not None and not isinstance(config, Mapping):
        raise InvalidInput(f"config is a {type(config).__name__}; valid is a mapping of argument names to values")
    return Recorder(
        lake,
        system=system,
        problem=problem,
        config={**(found or {}), **(config or {})},
        label=label,
        **{"version": installed(distribution), **options},
    )


def installed(distribution: str) -> str | None:
    """Return the installed version of a package; None where no package of that name is known.

    Examples
    --------
    >>> installed("no-such-package")
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def strange(what: str, distribution: str, known: str) -> InvalidInput:
    """Return the error that says which object of a library is not as the adapter knows it.

    Examples
    --------
    >>> print(strange("the list has no fit", "no-such-package", "0.4"))
    the list has no fit; this adapter knows no-such-package 0.4, and none is installed: \
record it with gpdata.Recorder, which takes any loop
    """
    there = installed(distribution)
    return InvalidInput(
        f"{what}; this adapter knows {distribution} {known}, and {there or 'none'} is installed: "
        "record it with gpdata.Recorder, which takes any loop"
    )


def arguments(given: Mapping[str, object]) -> dict[str, object]:
    """Return a library's own arguments with dashes in their names, and objects among them by name.

    Examples
    --------
    >>> arguments({"population_size": 9, "function_set": ("add", abs), "metric": None})
    {'population-size': 9, 'function-set': ['add', 'abs'], 'metric': None}
    """
    return {name.replace("_", "-"): _argument(value) for name, value in given.items()}


def _argument(value: object) -> object:
    try:
        return plain(value)
    except Unfit:
        if isinstance(value, list | tuple | set | frozenset):
            return [_argument(each) for each in value]
        return name_of(value)


def name_of(thing: object) -> str:
    """Return what a function, a partial call of one, or an object is called.

    Examples
    --------
    >>> import functools
    >>> name_of(abs), name_of(functools.partial(max, 1)), name_of(Recorder), name_of(object())
    ('abs', 'max', 'Recorder', 'object')
    """
    for named in (thing, getattr(thing, "func", None), getattr(thing, "function", None)):
        for attribute in ("__name__", "name"):
            name = getattr(named, attribute, None)
            if isinstance(name, str):
                return name
    return type(thing).__name__


def least(errors: Iterable[float | None]) -> int | None:
    """Return the position of the least error, the first of equals; None where none is a number.

    Examples
    --------
    >>> least([None, 2.0, math.nan, 1.0, 1.0])
    3
    """
    found = ((error, position) for position, error in enumerate(errors))
    best = min((pair for pair in found if pair[0] is not None and not math.isnan(pair[0])), default=None)
    return None if best is None else best[1]
