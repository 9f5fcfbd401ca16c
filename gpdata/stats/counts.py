"""Two counts of successes against each other: chi-squared, Fisher, odds ratio; and the interval of one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gpdata.errors import InvalidInput


class Tested(NamedTuple):
    """What a test says: its statistic and its two-sided p-value."""

    statistic: float
    p_value: float


def chi_squared(successes: int, runs: int, against_successes: int, against_runs: int) -> Tested:
    """Test whether two success rates differ, by Pearson's chi-squared with Yates' continuity correction.

    Parameters
    ----------
    successes, runs : int
        Successes and runs of the one treatment.
    against_successes, against_runs : int
        Successes and runs of the other.

    Returns
    -------
    Tested
        The statistic (one degree of freedom) and the two-sided p-value. Where all runs of both succeeded, none did,
        or one treatment has no runs, nothing speaks for a difference: statistic 0, p-value 1.

    Raises
    ------
    InvalidInput
        A count is not an integer, is negative, or there are more successes than runs.

    Notes
    -----
    Over the four cells with observed count O and expected count E, with d = min(1/2, |O - E|):

        chi2 = sum((|O - E| - d)^2 / E)

    The approximation is poor where an expected count is under 5: `fisher_exact` is exact there.

    References
    ----------
    Yates, F. (1934), "Contingency tables involving small numbers and the chi-squared test", Supplement to the JRSS
    1:217-235. Helmuth, T. et al. (2016), GECCO: with this test, success rates of selection methods.

    Examples
    --------
    >>> round(chi_squared(45, 100, 10, 100).statistic, 3)
    28.991
    >>> chi_squared(0, 100, 0, 50)
    Tested(statistic=0.0, p_value=1.0)
    """
    table = _two_by_two(successes, runs, against_successes, against_runs)
    if _has_empty_margin(table):
        return Tested(0.0, 1.0)
    from scipy.stats import chi2_contingency

    found = chi2_contingency(table, correction=True)
    return Tested(float(found.statistic), float(found.pvalue))


def fisher_exact(successes: int, runs: int, against_successes: int, against_runs: int) -> Tested:
    """Test whether two success rates differ, by Fisher's exact test.

    Parameters
    ----------
    successes, runs, against_successes, against_runs : int
        As for `chi_squared`.

    Returns
    -------
    Tested
        The odds ratio, as `odds_ratio` gives it, and the two-sided p-value: the probability, given the margins, of
        all tables that are at most as probable as this one. 1 where a margin is zero.

    Raises
    ------
    InvalidInput
        As for `chi_squared`.

    References
    ----------
    Fisher, R. A. (1935), "The logic of inductive inference", JRSS 98:39-82.

    Examples
    --------
    >>> fisher_exact(3, 4, 1, 4)  # the lady who tasted tea
    Tested(statistic=9.0, p_value=0.48571428571428565)
    """
    table = _two_by_two(successes, runs, against_successes, against_runs)
    ratio = odds_ratio(successes, runs, against_successes, against_runs)
    if _has_empty_margin(table):
        return Tested(ratio, 1.0)
    from scipy.stats import fisher_exact as exact

    return Tested(ratio, float(exact(np.asarray(table)).pvalue))


def odds_ratio(successes: int, runs: int, against_successes: int, against_runs: int) -> float:
    """Return the odds of success of the one treatment divided by those of the other.

    Parameters
    ----------
    successes, runs, against_successes, against_runs : int
        As for `chi_squared`.

    Returns
    -------
    float
        successes / failures, divided by the same of the other: above 1 where the one succeeds more often. Infinite
        where the other never succeeds or the one never fails; NaN where all succeed, none do, or there are no runs.

    Raises
    ------
    InvalidInput
        As for `chi_squared`.

    Examples
    --------
    >>> odds_ratio(50, 100, 20, 100), odds_ratio(8, 100, 0, 100), odds_ratio(0, 100, 0, 100)
    (4.0, inf, nan)
    """
    (won, lost), (other_won, other_lost) = _two_by_two(successes, runs, against_successes, against_runs)
    above, below = won * other_lost, lost * other_won
    if below == 0:
        return math.inf if above else math.nan
    return above / below


def wilson(successes: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a success rate.

    Parameters
    ----------
    successes, runs : int
        Successes and runs.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    low, high : float
        Shares of runs, between 0 and 1; both NaN where there are no runs.

    Raises
    ------
    InvalidInput
        A count is not an integer, is negative, there are more successes than runs, or `confidence` is out of range.

    References
    ----------
    Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference", JASA 22:209-212.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(10, 100)]
    [0.0552, 0.1744]
    """
    _check_counts(successes, runs)
    check_share("confidence", confidence)
    if runs == 0:
        return math.nan, math.nan
    from scipy.stats import binomtest

    low, high = binomtest(successes, runs).proportion_ci(confidence, method="wilson")
    # Exactly 0 and 1 at the ends, where rounding errors would leave them.
    return float(low) if successes else 0.0, float(high) if successes < runs else 1.0


def check_share(name: str, given: float) -> None:
    """Raise `InvalidInput` where an option is not strictly between 0 and 1."""
    if not 0 < given < 1:
        raise InvalidInput(f"{name}={given!r}: give a number between 0 and 1, such as 0.05 or 0.95.")


def _check_counts(successes: int, runs: int) -> None:
    for count in (successes, runs):
        if int(count) != count:
            raise InvalidInput(
                f"{successes} successes of {runs} runs: valid are whole numbers. Give counts, not rates."
            )
    if not 0 <= successes <= runs:
        raise InvalidInput(
            f"{successes} successes of {runs} runs: valid are 0 <= successes <= runs. Give counts of the same runs."
        )


def _two_by_two(successes: int, runs: int, against_successes: int, against_runs: int) -> list[list[int]]:
    _check_counts(successes, runs)
    _check_counts(against_successes, against_runs)
    return [[successes, runs - successes], [against_successes, against_runs - against_successes]]


def _has_empty_margin(table: list[list[int]]) -> bool:
    return 0 in (*map(sum, table), *map(sum, zip(*table, strict=True)))
