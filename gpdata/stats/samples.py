"""Samples of values: Vargha and Delaney's effect size, and the bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from gpdata.errors import InvalidInput
from gpdata.stats.counts import check_share
from gpdata.stats.families import check_option

Values = Sequence[float] | npt.NDArray[Any]
Effect = Literal["negligible", "small", "medium", "large"]
Method = Literal["percentile", "bca"]

_READING: tuple[tuple[float, Effect], ...] = ((0.71, "large"), (0.64, "medium"), (0.56, "small"))


class VarghaDelaney(NamedTuple):
    """An effect size: the probability A12, and how large that is usually called."""

    a12: float
    effect: Effect


def a12(values: Values, against: Values) -> VarghaDelaney:
    """Return Vargha and Delaney's A12: how probably a value of the one sample is above one of the other.

    Parameters
    ----------
    values, against : sequence of float
        The two samples; infinite values are the greatest of all.

    Returns
    -------
    VarghaDelaney
        `a12`, from 0 to 1: 1/2 where neither tends to be above. `effect`: how far that is from 1/2, in either
        direction, by the usual reading: "negligible" below 0.56, "small" from there, "medium" from 0.64, "large"
        from 0.71 (of A12 or of 1 - A12).

    Raises
    ------
    InvalidInput
        A sample is empty or has a NaN.

    Notes
    -----
    A12 = P(X > Y) + P(X = Y) / 2, over all pairs of the samples. Of errors, less is better: there an A12 below 1/2
    speaks for the first sample.

    References
    ----------
    Vargha, A. and Delaney, H. D. (2000), "A critique and improvement of the CL common language effect size
    statistics of McGraw and Wong", J. Educational and Behavioral Statistics 25:101-132.

    Examples
    --------
    >>> a12([3.0, 5.0, 9.0], [1.0, 3.0])
    VarghaDelaney(a12=0.9166666666666666, effect='large')
    """
    one, other = _sample("values", values), _sample("against", against)
    from scipy.stats import rankdata

    ranks = float(rankdata(np.concatenate([one, other]))[: one.size].sum())
    share = (ranks - one.size * (one.size + 1) / 2) / (one.size * other.size)
    # Rounded, so that 1 - 0.44 is 0.56.
    distance = round(max(share, 1 - share), 12)
    return VarghaDelaney(share, next((word for least, word in _READING if distance >= least), "negligible"))


def bootstrap(
    values: Values,
    *,
    statistic: Literal["median", "mean"] | Callable[..., Any] = "median",
    confidence: float = 0.95,
    samples: int = 9999,
    method: Method = "percentile",
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of a statistic of a sample.

    Parameters
    ----------
    values : sequence of float
        The sample, such as one value of each run.
    statistic : {"median", "mean"} or callable
        A callable takes an array and gives a number; with a keyword `axis` it is quicker.
    confidence : float
        Between 0 and 1.
    samples : int
        How many samples are drawn, with replacement.
    method : {"percentile", "bca"}
        "bca" corrects bias and skewness, and is NaN where leaving out any one value changes nothing.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    low, high : float
        In the unit of the values; both NaN where there are fewer than two.

    Raises
    ------
    InvalidInput
        The sample is empty or has a NaN, or an option is not valid.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapters 13 (percentile) and 14 (BCa).

    Examples
    --------
    >>> bootstrap([3.0, 4.0, 4.0, 5.0, 7.0, 30.0])
    (3.5, 18.5)
    """
    sample = _sample("values", values)
    check_share("confidence", confidence)
    check_option("method", method, get_args(Method))
    named: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean}
    if not callable(statistic):
        check_option("statistic", statistic, list(named))
    compute = statistic if callable(statistic) else named[statistic]
    if samples < 1:
        raise InvalidInput(f"samples={samples}: give a number of at least 1, such as 9999.")
    if sample.size < 2:
        return math.nan, math.nan
    from scipy.stats import bootstrap as resample

    data: Any = (sample,)  # the stubs of scipy know sequences of numbers only
    with np.errstate(invalid="ignore"):
        found = resample(
            data,
            compute,
            confidence_level=confidence,
            n_resamples=samples,
            method="BCa" if method == "bca" else method,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def _sample(name: str, values: Values) -> npt.NDArray[np.float64]:
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not sample.size or np.isnan(sample).any():
        raise InvalidInput(
            f"{name} has {sample.size} values, {np.isnan(sample).sum()} of them NaN: give one or more numbers."
        )
    return sample
