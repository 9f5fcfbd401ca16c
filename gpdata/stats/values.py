"""Which treatments have lower or higher values, such as errors, than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gpdata.errors import InvalidInput
from gpdata.stats.counts import check_share
from gpdata.stats.families import Correction, Family, adjust, check_option
from gpdata.stats.pairs import by_group, check_names, columns_of, family_name, pairs, read, treatments_of
from gpdata.stats.samples import a12

if TYPE_CHECKING:
    import pandas as pd

    from gpdata.stats.comparison import Comparison

Better = Literal["lower", "higher"]

_TYPES = {
    "against": "",
    "n": "int64",
    "median": "float64",
    "against_n": "int64",
    "against_median": "float64",
    "a12": "float64",
    "effect": "object",
    "p_value": "float64",
    "p_adjusted": "float64",
    "significant": "bool",
}
_KRUSKAL = {
    "treatments": "int64",
    "n": "int64",
    "statistic": "float64",
    "p_value": "float64",
    "p_adjusted": "float64",
    "significant": "bool",
}


def compare_values(
    frame: Any,
    *,
    value: str,
    treatment: str,
    control: Any = None,
    within: str | Sequence[str] | None = None,
    better: Better = "lower",
    correction: Correction = "holm",
    alpha: float = 0.05,
    family: Family = "within",
) -> Comparison:
    """Test by Mann-Whitney which treatments differ in a value of their runs, with Vargha and Delaney's effect size.

    Parameters
    ----------
    frame : frame
        One row per run, of any engine: last generations joined with runs, for instance. For curves, one row per run and
        generation, with "generation" in `within`. The columns named here are brought into this process.
    value : str
        The column of what is compared, such as "best_so_far".
    treatment, control, within, correction, alpha, family
        As for `gpdata.compare_success`.
    better : {"lower", "higher"}
        Which values are the better ones: it decides the marks of the printed table and nothing else.

    Returns
    -------
    Comparison
        A pandas frame, one row per comparison, as `gpdata.compare_success` returns; the columns of `within`, then:

        - the column of `treatment`, and `against`.
        - `n`, `median`, `against_n`, `against_median`: how many values, and their median. Null and NaN are left out.
        - `a12`: the probability that a value of the treatment is above one of `against`; and `effect`, its usual
          reading, as `gpdata.stats.a12` gives them.
        - `p_value` (two-sided), `p_adjusted`, `significant`.

    Raises
    ------
    InvalidInput
        An option is not valid, or the control is missing, altogether or in a group.
    UnknownColumn
        A column is missing.

    Notes
    -----
    A treatment that has no values in a group is not compared there. scipy chooses the exact distribution of U for
    samples of at most eight without ties, and the normal one with corrections for ties and continuity otherwise. Equal
    samples have p-value 1.

    References
    ----------
    Mann, H. B. and Whitney, D. R. (1947), Annals of Mathematical Statistics 18:50-60. Arcuri, A. and Briand, L. (2011),
    "A practical guide for using statistical tests to assess randomized algorithms in software engineering", ICSE.

    Examples
    --------
    >>> import pandas as pd
    >>> errors = pd.DataFrame({"selection": ["lexicase"] * 5 + ["tournament"] * 5, "error": range(10)})
    >>> found = compare_values(errors, value="error", treatment="selection")
    >>> found[["a12", "effect", "significant"]].values.tolist()
    [[0.0, 'large', True]]
    """
    check_share("alpha", alpha)
    check_option("better", better, get_args(Better))
    groups_of = columns_of(within)
    check_names(treatment, groups_of, list(_TYPES))
    groups = _samples(frame, value, treatment, groups_of)
    rows = []
    for key, one, other in pairs(groups, groups_of, treatment, control):
        values, against = groups[key][one], groups[key][other]
        size = a12(values, against)
        rows.append(
            dict(zip(groups_of, key, strict=True))
            | {treatment: one, "against": other}
            | {"n": len(values), "median": float(np.median(values))}
            | {"against_n": len(against), "against_median": float(np.median(against))}
            | {"a12": size.a12, "effect": size.effect, "p_value": _mann_whitney(values, against), "group": key}
        )
    _judge(rows, correction, family, alpha)
    from gpdata.stats.comparison import comparison

    facts: dict[str, Any] = {"test": "Mann-Whitney U test, two-sided", "correction": correction, "alpha": alpha}
    facts |= {"family": family_name(groups_of, family), "treatment": treatment, "within": groups_of}
    facts |= {"control": control, "better": better, "treatments": treatments_of(groups)}
    return comparison(rows, dict.fromkeys([*groups_of, treatment], "") | _TYPES, facts)


def kruskal(
    frame: Any,
    *,
    value: str,
    treatment: str,
    within: str | Sequence[str] | None = None,
    correction: Correction = "holm",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Test by Kruskal and Wallis whether any of the treatments differs from another in a value of their runs.

    Parameters
    ----------
    frame, value, treatment, within
        As for `compare_values`.
    correction : {"holm", "none"}
        How p-values are adjusted; the family is all rows of the result.
    alpha : float
        Adjusted p-values of at most that are significant.

    Returns
    -------
    pandas.DataFrame
        One row per group of `within` that has two treatments or more; `attrs` says test, correction, family and alpha.
        The columns of `within`, then `treatments` and `n` (how many), `statistic` (H, corrected for ties), `p_value`,
        `p_adjusted` and `significant`. Where all values are equal, H is 0 and the p-value 1.

    Raises
    ------
    InvalidInput
        An option is not valid.
    UnknownColumn
        A column is missing.

    References
    ----------
    Kruskal, W. H. and Wallis, W. A. (1952), "Use of ranks in one-criterion variance analysis", JASA 47:583-621.

    Examples
    --------
    >>> import pandas as pd
    >>> errors = pd.DataFrame({"selection": ["a"] * 4 + ["b"] * 4 + ["c"] * 4, "error": range(12)})
    >>> kruskal(errors, value="error", treatment="selection").round(4).values.tolist()
    [[3, 12, 9.8462, 0.0073, 0.0073, True]]
    """
    check_share("alpha", alpha)
    groups_of = columns_of(within)
    check_names(treatment, groups_of, list(_KRUSKAL))
    from scipy.stats import kruskal as test

    rows: list[dict[str, Any]] = []
    for key, members in _samples(frame, value, treatment, groups_of).items():
        if len(members) < 2:
            continue
        samples = list(members.values())
        differ = len({number for sample in samples for number in sample}) > 1
        statistic, p_value = test(*samples) if differ else (0.0, 1.0)
        rows.append(
            dict(zip(groups_of, key, strict=True))
            | {"treatments": len(samples), "n": sum(map(len, samples)), "group": key}
            | {"statistic": float(statistic), "p_value": float(p_value)}
        )
    _judge(rows, correction, "all", alpha)
    import pandas as pd

    types = dict.fromkeys(groups_of, "") | _KRUSKAL
    made = pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind or None) for name, kind in types.items()}
    )
    made.attrs.update({"test": "Kruskal-Wallis H test", "correction": correction, "family": "all rows", "alpha": alpha})
    return made


def _samples(frame: Any, value: str, treatment: str, within: Sequence[str]) -> dict[Any, dict[Any, list[float]]]:
    """Collect the numbers of each group and treatment, null and NaN left out."""
    groups: dict[Any, dict[Any, list[float]]] = {}
    for key, rows in by_group(read(frame, [*within, treatment, value], "frame"), within).items():
        members = groups.setdefault(key, {})
        for row in rows:
            if isinstance(row[value], str):
                raise InvalidInput(f"{value!r} holds texts, such as {row[value]!r}: name a column of numbers.")
            if row[value] is not None:
                members.setdefault(row[treatment], []).append(float(row[value]))
    return groups


def _mann_whitney(values: list[float], against: list[float]) -> float:
    if len({*values, *against}) == 1:
        return 1.0
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(values, against, alternative="two-sided").pvalue)


def _judge(rows: list[dict[str, Any]], correction: Correction, family: Family, alpha: float) -> None:
    adjusted = adjust([row["p_value"] for row in rows], [row["group"] for row in rows], correction, family)
    for row, p_adjusted in zip(rows, adjusted, strict=True):
        row |= {"p_adjusted": p_adjusted, "significant": p_adjusted <= alpha}
