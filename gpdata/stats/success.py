"""Which treatments succeed more often than others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from gpdata.errors import InvalidInput
from gpdata.stats.counts import Tested, check_share, chi_squared, fisher_exact, odds_ratio
from gpdata.stats.families import Correction, Family, adjust, check_option
from gpdata.stats.pairs import by_group, check_names, columns_of, family_name, pairs, read, treatments_of

if TYPE_CHECKING:
    from gpdata.stats.comparison import Comparison

Test = Literal["chi2", "fisher"]

_TESTS: dict[str, tuple[str, Callable[[int, int, int, int], Tested]]] = {
    "chi2": ("Chi-squared test with Yates' correction", chi_squared),
    "fisher": ("Fisher's exact test", fisher_exact),
}

_TYPES = {
    "against": "",
    "successes": "int64",
    "runs": "int64",
    "against_successes": "int64",
    "against_runs": "int64",
    "difference": "float64",
    "odds_ratio": "float64",
    "p_value": "float64",
    "p_adjusted": "float64",
    "significant": "bool",
}


def compare_success(
    table: Any,
    *,
    treatment: str,
    control: Any = None,
    within: str | Sequence[str] | None = None,
    test: Test = "chi2",
    correction: Correction = "holm",
    alpha: float = 0.05,
    family: Family = "within",
    runs: str = "runs",
) -> Comparison:
    """Test which treatments differ in how often they succeed, with the p-values of each family adjusted together.

    Parameters
    ----------
    table : frame
        One row per treatment and group, with the columns `runs` and `successes` and those named here: what
        `gpdata.success_table` returned, of any engine, or counts from elsewhere. It is brought into this process.
    treatment : str
        The column of what is compared, such as "parent-selection". Null is a treatment like any other.
    control : object, optional
        The value of `treatment` that every other is compared with. When left out, all pairs are compared.
    within : str or sequence of str, optional
        Columns, such as "problem": only rows that agree in them are compared.
    test : {"chi2", "fisher"}
        Chi-squared with Yates' continuity correction, or Fisher's exact test; both two-sided.
    correction : {"holm", "none"}
        How p-values are adjusted.
    alpha : float
        Adjusted p-values of at most that are significant.
    family : {"within", "all"}
        Which p-values are adjusted together: those of one group of `within`, as in the literature of program synthesis,
        or all of the table.
    runs : str
        The column that says of how many runs. `runs` of a success table counts unfinished runs, here as failures;
        "finished" leaves them out.

    Returns
    -------
    Comparison
        A pandas frame, one row per comparison, in the table's order: of two treatments the one that comes first in the
        table stands in the column of `treatment`, or the one that is not the control. `print` shows it as the table of
        a paper, and `to_latex` writes that. The columns of `within`, then:

        - the column of `treatment`, and `against`: the treatments that are compared; null where the table has null.
        - `successes`, `runs`, `against_successes`, `against_runs`: counts of runs.
        - `difference`: rate of the treatment minus rate of `against`, share of runs: its sign is the direction.
          NaN where one of them has no runs.
        - `odds_ratio`: as `gpdata.stats.odds_ratio` gives it; above 1 where the treatment succeeds more often.
        - `p_value`: two-sided; 1 where the rates are equal, all runs succeeded, none did, or there are none.
        - `p_adjusted`: within the family, between 0 and 1.
        - `significant`: whether p_adjusted <= alpha. It says that the rates differ; `difference` says which way.

        A group with a single treatment has no row.

    Raises
    ------
    InvalidInput
        An option is not valid; the control is missing, altogether or in a group; two rows are of the same group and
        treatment; counts are not counts.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Each comparison of a family counts for its size, those of equal rates too. With a control a family holds fewer
    comparisons than all pairs do, and is judged less strictly: choose before you look.

    References
    ----------
    Helmuth, T., McPhee, N. F. and Spector, L. (2016), "The impact of hyperselection on lexicase selection", GECCO:
    pairwise chi-squared tests with Holm's correction at 0.05. All marks of their nine problems come out with Yates'
    correction (or Fisher's test) and the family of each problem; not without Yates, nor with one family of all.
    Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6:65-70.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"selection": ["lexicase", "tournament", "SLT"], "successes": [45, 10, 53], "runs": 100})
    >>> found = compare_success(table, treatment="selection")
    >>> found[["selection", "against", "p_adjusted", "significant"]].round(4)
        selection     against  p_adjusted  significant
    0    lexicase  tournament      0.0000         True
    1    lexicase         SLT      0.3221        False
    2  tournament         SLT      0.0000         True
    >>> print(found)
    Chi-squared test with Yates' correction, p-values adjusted by Holm's method over all comparisons, alpha = 0.05. ...
    lexicase (a) tournament (b) SLT (c)
    45 b         10             53 b
    """
    check_option("test", test, get_args(Test))
    check_share("alpha", alpha)
    groups_of = columns_of(within)
    check_names(treatment, groups_of, list(_TYPES))
    groups = {
        key: _by_treatment(rows, treatment)
        for key, rows in by_group(read(table, [*groups_of, treatment, "successes", runs], "table"), groups_of).items()
    }
    name, tested = _TESTS[test]
    rows = []
    for key, one, other in pairs(groups, groups_of, treatment, control):
        (won, of), (other_won, other_of) = (_counts(groups[key][which], runs) for which in (one, other))
        rows.append(
            dict(zip(groups_of, key, strict=True))
            | {treatment: one, "against": other}
            | {"successes": won, "runs": of, "against_successes": other_won, "against_runs": other_of}
            | {"difference": won / of - other_won / other_of if of and other_of else math.nan}
            | {"odds_ratio": odds_ratio(won, of, other_won, other_of)}
            | {"p_value": tested(won, of, other_won, other_of).p_value, "group": key}
        )
    adjusted = adjust([row["p_value"] for row in rows], [row["group"] for row in rows], correction, family)
    for row, p_adjusted in zip(rows, adjusted, strict=True):
        row |= {"p_adjusted": p_adjusted, "significant": p_adjusted <= alpha}
    from gpdata.stats.comparison import comparison

    facts = {"test": name, "correction": correction, "family": family_name(groups_of, family), "alpha": alpha}
    facts |= {"treatment": treatment, "within": groups_of, "control": control, "better": "higher"}
    return comparison(
        rows, dict.fromkeys([*groups_of, treatment], "") | _TYPES, facts | {"treatments": treatments_of(groups)}
    )


def _by_treatment(rows: list[dict[str, Any]], treatment: str) -> dict[Any, dict[str, Any]]:
    members: dict[Any, dict[str, Any]] = {}
    for row in rows:
        if row[treatment] in members:
            raise InvalidInput(
                f"{treatment}={row[treatment]!r} has several rows in one group: their counts are not added unasked. "
                "Name the columns in which they differ in within, or make the table by fewer columns."
            )
        members[row[treatment]] = row
    return members


def _counts(row: dict[str, Any], runs: str) -> tuple[int, int]:
    successes, of = row["successes"], row[runs]
    if successes is None or of is None:
        raise InvalidInput(f"successes={successes!r} of {runs}={of!r}: a count is null. Leave such rows out.")
    if int(successes) != successes or int(of) != of:
        raise InvalidInput(
            f"successes={successes!r} of {runs}={of!r}: valid are whole numbers. Give counts, not rates."
        )
    return int(successes), int(of)
