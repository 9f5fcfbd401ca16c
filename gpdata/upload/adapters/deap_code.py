"""What a DEAP individual is made of: its genome, the program where it is one, and its errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpdata.errors import InvalidInput
from gpdata.upload.plain import Plain, double, total


def code(individual: Any) -> dict[str, object]:
    """Return genome, program and program_size of a DEAP individual.

    Parameters
    ----------
    individual : object
        A tree (`deap.gp.PrimitiveTree`), a list of trees (automatically defined functions), or a list, array,
        or set of values.

    Returns
    -------
    dict
        `genome`: of a tree the names of its primitives and terminals in prefix order, constants as numbers;
        of several trees one after the other; else the values. `program`: of a tree its text, of several a
        list of texts; left out else. `program_size`: the number of nodes; left out where there is no program.

    Raises
    ------
    InvalidInput
        The individual is none of these.

    Examples
    --------
    >>> import operator
    >>> from deap import gp
    >>> primitives = gp.PrimitiveSet("MAIN", 1)
    >>> primitives.addPrimitive(operator.add, 2)
    >>> primitives.addTerminal(3)
    >>> code(gp.PrimitiveTree.from_string("add(ARG0, 3)", primitives))
    {'genome': ['add', 'ARG0', 3], 'program': 'add(ARG0, 3)', 'program_size': 3}
    """
    from deap import gp

    if isinstance(individual, gp.PrimitiveTree):
        return {"genome": _genes(individual), "program": str(individual), "program_size": len(individual)}
    if isinstance(individual, np.ndarray):
        return {"genome": individual.tolist()}
    if isinstance(individual, set | frozenset):
        return {"genome": sorted(individual)}
    if not isinstance(individual, Iterable) or isinstance(individual, dict):
        raise InvalidInput(
            f"the individual is a {type(individual).__name__}; valid are trees, lists of trees, and lists, "
            "arrays and sets of values: describe others with Tracker(..., describe=lambda x: {'genome': [...]})"
        )
    values = list(individual)
    if values and all(isinstance(value, gp.PrimitiveTree) for value in values):
        return {
            "genome": [gene for tree in values for gene in _genes(tree)],
            "program": [str(tree) for tree in values],
            "program_size": sum(map(len, values)),
        }
    return {"genome": values}


def _genes(tree: Any) -> list[object]:
    return [node.name if node.arity else _terminal(node) for node in tree]


def _terminal(node: Any) -> object:
    """Return a constant's value where it is a number or a truth value, and else its text in the program."""
    constant = not isinstance(node.value, str) and isinstance(node.value, bool | int | float | np.generic)
    return node.value if constant else node.format()


def individuals_of(made: Any) -> list[Any]:
    """Return the individuals among what an operator returned, or was given where it returned nothing."""
    return [made] if hasattr(made, "fitness") else [each for each in made if hasattr(each, "fitness")]


def fitness_errors(individual: Any) -> list[Plain]:
    """Return the fitness values, each times minus its weight: less is better."""
    return [0.0 - value for value in individual.fitness.wvalues]  # 0.0 - 0.0 is no negative zero


def weighted_error(individual: Any) -> float | None:
    """Return minus the sum of weight times fitness value; None while the fitness is not valid."""
    return double(total(fitness_errors(individual))) if individual.fitness.valid else None
