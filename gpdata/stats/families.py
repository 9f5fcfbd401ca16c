"""Several tests at once: Holm's correction over a family, and what a family is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from gpdata.errors import InvalidInput, near

Correction = Literal["holm", "none"]
Family = Literal["within", "all"]


def holm(p_values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Adjust the p-values of one family by Holm's step-down method.

    Parameters
    ----------
    p_values : sequence of float
        All p-values of the family, in any order.

    Returns
    -------
    numpy.ndarray
        The adjusted p-values in that order. Those of at most alpha are significant, and the chance that any of them
        is so by accident is at most alpha.

    Raises
    ------
    InvalidInput
        A p-value is NaN or not between 0 and 1.

    Notes
    -----
    The k-th smallest of m p-values is multiplied by m - k + 1; none comes out below a smaller one's, or above 1.

    References
    ----------
    Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6:65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=float)
    if not ((given >= 0) & (given <= 1)).all():
        raise InvalidInput(f"p_values={given.tolist()}: valid are numbers from 0 to 1. Leave out tests without one.")
    # Not by statsmodels, which collects garbage at each call: a tenth of a second for each family.
    order = np.argsort(given)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1)), 1.0)
    return adjusted


def adjust(
    p_values: Sequence[float], groups: Sequence[Hashable], correction: Correction, family: Family
) -> list[float]:
    """Adjust p-values, those of each group together, or all of them."""
    check_option("correction", correction, get_args(Correction))
    check_option("family", family, get_args(Family))
    if correction == "none":
        return list(p_values)
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group if family == "within" else None, []).append(index)
    adjusted = np.empty(len(p_values))
    for indices in members.values():
        adjusted[indices] = holm([p_values[index] for index in indices])
    return [float(value) for value in adjusted]


def check_option(name: str, given: Any, valid: Sequence[str]) -> None:
    """Raise `InvalidInput` where an option is none of the valid ones."""
    if given not in valid:
        raise InvalidInput(f"{name}={given!r}: {near(str(given), valid)} Give one of {', '.join(map(repr, valid))}.")
