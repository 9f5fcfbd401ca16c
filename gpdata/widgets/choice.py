"""Which runs there are to choose, and which were chosen: the filters' values and the pages of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.analyses import last_generation, runs_table
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput, near
from gpdata.widgets.code import choosing, program, run_lines
from gpdata.widgets.state import State
from gpdata.widgets.views import cell

if TYPE_CHECKING:
    from gpdata.lab import Lab

PAGE = 20
"""Rows of the table of runs on a page."""
_MOST_VALUES = 40
"""A column of more different values is no filter: what is typed finds them."""
_MOST_COLUMNS = 12
_ENDS = ("generation", "outcome", "best_so_far")
_ALWAYS = ("problem", "label", "owner", "parent-selection")
"""Columns that are filters even where all runs have the same value, as soon as they have one."""
_NEVER = ("run_uuid", "started_at", "config_id", "git_hash", "command", "version")


class Choice:
    """The runs of a lab as the explorer lists them; read once for each version.

    Parameters
    ----------
    lab : Lab
        The lab.

    Attributes
    ----------
    table : pyarrow.Table
        One row per run: `run_uuid`, how its last generation ended (`generation`, `outcome`, `best_so_far`),
        `started_at`, then the columns in which runs differ.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        runs = nw.from_native(lab.runs)
        present = runs.collect_schema().names()
        differing = (name for name in to_arrow(runs_table(lab)).column_names if name not in _NEVER)
        names = dict.fromkeys(["run_uuid", "started_at", *(n for n in _ALWAYS if n in present), *differing])
        quoted = [f"`{name}`" if runs.implementation.is_spark_like() else name for name in names]
        # Under names that no engine reads as something else.
        columns = [nw.col(name).alias(f"c{number}") for number, name in enumerate(quoted)]
        found = to_arrow(runs.lazy().select(*columns).to_native()).rename_columns(list(names))
        ends = nw.from_native(last_generation(nw.from_native(lab.generations).select("run_uuid", *_ENDS).to_native()))
        ended = to_arrow(ends.lazy().select("run_uuid", *_ENDS).to_native())
        # A config key may be called like a column of ends.
        taken = [f"{name} (at the end)" if name in names else name for name in _ENDS]
        joined = found.join(ended.rename_columns(["run_uuid", *taken]), "run_uuid", join_type="left outer")
        order = ["run_uuid", *taken, "started_at", *(n for n in names if n not in ("run_uuid", "started_at"))]
        self.ends = taken
        self.table: pa.Table = joined.select(order).sort_by([("started_at", "descending"), ("run_uuid", "ascending")])

    @property
    def columns(self) -> list[str]:
        """The columns that runs can be grouped by: config keys and the rest of runs, those that differ first."""
        known = [name for name in self.table.column_names if name not in (*_NEVER, *self.ends)]
        said = (name for name in self.lab.config_keys if name not in known and not name.startswith("config."))
        return [*known, *said]

    def filters(self) -> list[dict[str, Any]]:
        """Return the columns of few different values, each with its values and the number of runs that have them."""
        found = []
        for name in self.table.column_names:
            if name in (*_NEVER, *self.ends):
                continue
            counts = Counter(self.table[name].to_pylist())
            if set(counts) - {None} and len(counts) <= _MOST_VALUES:
                values = sorted(counts.items(), key=lambda item: (item[0] is None, _number(item[0]), str(item[0])))
                found.append({"name": name, "values": [[value, count] for value, count in values]})
        return found

    def chosen(self, state: State) -> pa.Table:
        """Return the rows of the chosen runs.

        Raises
        ------
        InvalidInput
            No run has a value that was asked for, or a date is none.
        """
        if not any(state.choice):
            return self.table
        runs = nw.from_native(run_lines(choosing(state), self.lab)["runs"])
        uuids = to_arrow(runs.select("run_uuid").to_native())["run_uuid"]
        return self.table.filter(pc.is_in(self.table["run_uuid"], value_set=uuids.combine_chunks()))

    def page(self, state: State, by: Sequence[str]) -> dict[str, Any]:
        """Return a page of the table as the browser shows it, and the code that chooses its runs.

        Parameters
        ----------
        state : State
            The choice, the order and the page.
        by : sequence of str
            Columns that are shown before the others.
        """
        rows = self.chosen(state)
        total = len(rows)
        if state.sort:
            if state.sort not in rows.column_names:
                raise InvalidInput(f"the table has no column {state.sort!r}: {near(state.sort, rows.column_names)}")
            rows = rows.take(_order(rows[state.sort], state.descending))
        page = min(state.page, max((total - 1) // PAGE, 0))
        rest = [name for name in rows.column_names if name not in ("run_uuid", *self.ends, "started_at", *by)]
        shown = ["run_uuid", *self.ends, *(n for n in by if n in rows.column_names), "started_at", *rest]
        shown = shown[:_MOST_COLUMNS]
        cut = rows.select(shown).slice(page * PAGE, PAGE).to_pylist()
        return {
            "columns": shown,
            "rows": [[row["run_uuid"], *(cell(row[name]) for name in shown[1:])] for row in cut],
            "total": total,
            "page": page,
            "pages": max(-(-total // PAGE), 1),
            "code": program(self.lab, *choosing(state), "gp.runs_table(runs)"),
        }


def _number(text: Any) -> float:
    """Return the number that a text stands for, for sorting; 0 where it stands for none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0


def _order(column: pa.ChunkedArray, descending: bool) -> pa.Array:
    """Sort a column, texts that all are numbers as numbers, what is missing last."""
    if pa.types.is_string(column.type):
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            column = pc.utf8_lower(column)
    order = "descending" if descending else "ascending"
    return pc.sort_indices(pa.table({"": column}), [("", order)])
