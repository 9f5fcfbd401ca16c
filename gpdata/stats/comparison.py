"""The result of comparing treatments: a pandas frame that says how it was judged and prints as a paper's table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import pandas as pd

from gpdata.stats.pairs import NOT_SET

_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}"}
)


class Comparison(pd.DataFrame):
    """Comparisons of treatments, one row each; `attrs` holds test, correction, family and alpha.

    It is a pandas frame in every respect but two: `str` and `print` give the table that a paper would hold, with marks
    where treatments differ significantly, and `to_latex` gives that as LaTeX. What is filtered or sorted out of it is
    a plain frame, with the same `attrs`.

    Its facts, in `attrs`: `test`, `correction`, `family` (in words: which p-values were adjusted together), `alpha`,
    `treatment`, `within`, `control`, `better` ("higher" or "lower" values) and `treatments`, in their order.
    """

    def __str__(self) -> str:
        """Return the table of the paper under a sentence that says how it was judged."""
        table = self.paper()
        return f"{self.caption()}\n\n{table.to_string(index=False) if len(table) else 'no comparisons'}"

    def caption(self) -> str:
        """Say which test, which correction over which family and which alpha; what cells hold and marks mean."""
        facts = self.attrs
        adjusted = (
            "p-values not adjusted"
            if facts["correction"] == "none"
            else f"p-values adjusted by {facts['correction'].capitalize()}'s method over {facts['family']}"
        )
        judged = f"{facts['test']}, {adjusted}, alpha = {facts['alpha']:g}."
        return " ".join([judged, self._cells_hold(), self._marks_mean()])

    def paper(self) -> pd.DataFrame:
        """Return the table that a paper would hold: a row per group, a column per treatment, texts with marks."""
        return self._table(lambda text: text, lambda marks: f" {marks}")

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:  # type: ignore[override]
        r"""Return the paper's table as LaTeX; it needs the package `booktabs`.

        Parameters
        ----------
        caption : str, optional
            LaTeX; when left out, the sentence that says how it was judged.
        label : str, optional
            For `\ref`.

        Returns
        -------
        str
            A `table` environment. Marks are superscripts; special characters of names are escaped.
        """
        table = self._table(escape, lambda marks: f"$^{{{marks}}}$")
        text: str = table.to_latex(
            index=False,
            escape=False,
            caption=escape(self.caption()) if caption is None else caption,
            label=label,
            column_format="l" * len(self.attrs["within"]) + "r" * len(self.attrs["treatments"]),
        )
        return text

    def _cells_hold(self) -> str:
        if "median" in self.columns:
            return "Cells: median over runs."
        sizes = {int(size) for name in ("runs", "against_runs") for size in self[name]}
        return f"Cells: successes of {sizes.pop()} runs." if len(sizes) == 1 else "Cells: successes / runs."

    def _marks_mean(self) -> str:
        if self.attrs["control"] is None:
            return "A letter: significantly better than the treatment of that letter."
        return f"+ (-): significantly better (worse) than {name_of(self.attrs['control'])}."

    def _table(self, write: Any, mark: Any) -> pd.DataFrame:
        facts = self.attrs
        order, control, within = facts["treatments"], facts["control"], facts["within"]
        letters = {name: _letter(index) for index, name in enumerate(order)}
        heads = {name: f"{name_of(name)} ({letters[name]})" if control is None else name_of(name) for name in order}
        one_size = "successes of" in self._cells_hold()
        cells: dict[tuple[Any, ...], dict[Any, str]] = {}
        marks: dict[tuple[Any, ...], dict[Any, list[str]]] = {}
        for row in self.to_dict("records"):
            key = tuple(_plain(row[name]) for name in within)
            one, other = _plain(row[facts["treatment"]]), _plain(row["against"])
            cells.setdefault(key, {})[one] = _cell(row, "", one_size)
            cells[key][other] = _cell(row, "against_", one_size)
            if row["significant"]:
                won = _is_better(row, facts["better"])
                if control is None:
                    winner, loser = (one, other) if won else (other, one)
                    marks.setdefault(key, {}).setdefault(winner, []).append(letters[loser])
                else:
                    marks.setdefault(key, {})[one] = ["+" if won else "-"]
        rows = []
        for key, row in cells.items():
            texts = []
            for name in order:
                given = ",".join(sorted(marks.get(key, {}).get(name, []), key=lambda text: (len(text), text)))
                texts.append(write(row.get(name, "")) + (mark(given) if given else ""))
            rows.append([*(write(name_of(value)) for value in key), *texts])
        return pd.DataFrame(rows, columns=[*map(write, within), *(write(heads[name]) for name in order)])


def comparison(rows: Sequence[dict[str, Any]], types: dict[str, str], facts: dict[str, Any]) -> Comparison:
    """Make the result of rows, of these columns and types ("" being whatever the values are)."""
    made = Comparison(
        {name: pd.Series([row[name] for row in rows], dtype=kind or None) for name, kind in types.items()}
    )
    made.attrs.update(facts)
    return made


def name_of(value: Any) -> str:
    """Write a value of a column: null is "(not set)"."""
    return NOT_SET if value is None else str(value)


def escape(text: str) -> str:
    r"""Write a text so that LaTeX shows it as it is.

    Examples
    --------
    >>> print(escape("replace_space: 50 % & {more}"))
    replace\_space: 50 \% \& \{more\}
    """
    return text.translate(_SPECIAL)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _letter(index: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    more, last = divmod(index, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]


def _cell(row: dict[Any, Any], side: str, one_size: bool) -> str:
    if "median" in row:
        return f"{row[f'{side}median']:.4g}"
    successes, runs = row[f"{side}successes"], row[f"{side}runs"]
    return f"{successes}" if one_size else f"{successes}/{runs}"


def _is_better(row: dict[Any, Any], better: str) -> bool:
    above = bool(row["a12"] > 0.5 if "a12" in row else row["difference"] > 0)
    return above if better == "higher" else not above
