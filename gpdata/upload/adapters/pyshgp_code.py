"""What an individual of PyshGP's is made of, and what a search was told to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpdata.upload.adapters.begin import arguments
from gpdata.upload.adapters.pyshgp_taps import name

_COUNTS = ("population_size", "max_generations", "error_threshold", "initial_genome_size", "simplification_steps")


def code(individual: Any) -> dict[str, object]:
    """Return genome, program, program_size, errors and total_error of an individual.

    Genes are the names of instructions, `input_0` and so on, `close`, and the values of numeric and boolean
    literals; other literals as they are written in a program, texts in quotes.
    """
    block = individual.program.code
    found: dict[str, object] = {
        "genome": [_gene(atom) for atom in individual.genome],
        "program": block.pretty_str(),
        "program_size": block.size(),
    }
    if individual.error_vector is not None:
        found |= {"errors": np.asarray(individual.error_vector), "total_error": individual.total_error}
    return found


def _gene(atom: Any) -> object:
    value = getattr(atom, "value", None)
    if isinstance(value, bool | int | float | np.bool_ | np.number):
        return value
    return atom.pretty_str()


def config(producer: Any) -> dict[str, object]:
    """Return the arguments of an estimator or a search, under the names that Clojush has for the like."""
    settings = getattr(producer, "config", producer)
    found: dict[str, object] = {key: getattr(settings, key) for key in _COUNTS if hasattr(settings, key)}
    search = getattr(producer, "_search_name", None) or type(producer).__name__
    selection = getattr(settings, "selector", getattr(settings, "selection", None))
    variation = getattr(settings, "variation_strategy", getattr(settings, "variation", None))
    extra: Mapping[str, object] = getattr(settings, "ext", {})
    return {
        "search": search,
        **arguments(found),
        **_selection(selection),
        "genetic-operator-probabilities": _shares(variation),
        **{key: value for key, value in arguments(extra).items() if key != "push-config"},
    }


def _selection(selection: Any) -> dict[str, object]:
    options = selection
    if hasattr(selection, "elements") and selection.size() == 1:
        options = selection.elements[0]
    own = {} if isinstance(options, str) or not hasattr(options, "__dict__") else arguments(vars(options))
    shares = _shares(selection)
    return {"parent-selection": next(iter(shares)) if len(shares) == 1 else shares, **own}


def _shares(of: Any) -> dict[str, object]:
    """Return names and probabilities, of whatever PyshGP takes for a choice among several."""
    if isinstance(of, str):
        return {of: 1.0}
    if isinstance(of, Mapping):
        return {str(key): value for key, value in of.items()}
    if hasattr(of, "elements"):
        total = sum(of._raw_probabilities)
        return {_named(each): p / total for each, p in zip(of.elements, of._raw_probabilities, strict=True)}
    return {_named(of): 1.0}


def _named(operator: Any) -> str:
    parts = getattr(operator, "operators", None)
    return name(operator) if parts is None else "+".join(map(_named, parts))
