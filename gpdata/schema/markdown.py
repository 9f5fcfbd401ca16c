"""The documentation page of the schema, made from the declaration."""

from __future__ import annotations

from collections.abc import Iterable

from gpdata.schema.arrow import ARROW
from gpdata.schema.declaration import Column, Table, Type
from gpdata.schema.tables import OUTCOMES, SCHEMA_VERSION, STORED, TABLES

_HEAD = """# The tables of a gpdata lake

<!-- Made from gpdata/schema/tables.py; do not edit.
Make it anew: gpdata schema --format markdown > docs/schema.md -->

Schema version {version}. A lake stores {stored};
{views} are views that `gpdata.open` makes of `individuals`.
A generation's outcome is {outcomes}.

"never" under "null means" says that the column is never null. A source that is a path is a field of the line
that a GP system sends; `population[]` is each individual.
"""


def page() -> str:
    """Return the whole page: what is stored, the types, then one section per table.

    Returns
    -------
    str
        Markdown that ends in a newline; `docs/schema.md` holds exactly this.

    Examples
    --------
    >>> page().splitlines()[0]
    '# The tables of a gpdata lake'
    """
    head = _HEAD.format(
        version=SCHEMA_VERSION,
        stored=_and(f"`{table.name}`" for table in STORED),
        views=_and(f"`{table.name}`" for table in TABLES if table not in STORED),
        outcomes=", ".join(f"`{outcome}`" for outcome in OUTCOMES[:-1]) + f" or `{OUTCOMES[-1]}`",
    )
    return "\n".join([head, _types(), *(section(table) for table in TABLES)])


def section(table: Table) -> str:
    """Return the section of one table: grain, key, invariants and columns.

    Parameters
    ----------
    table : Table
        One of `gpdata.schema.TABLES`.

    Returns
    -------
    str
        Markdown that ends in a newline, under a second-level heading.

    Examples
    --------
    >>> from gpdata.schema import ERRORS
    >>> print(section(ERRORS).split("| column")[0].rstrip())
    ## errors
    <BLANKLINE>
    View: one row per individual and training case. Key: `run_uuid`, `generation`, `location`, `case`.
    """
    key = ", ".join(f"`{name}`" for name in table.key)
    lines = [f"## {table.name}", "", f"{table.grain[0].upper()}{table.grain[1:]}. Key: {key}.", ""]
    if table.invariants:
        lines += [
            "Invariants, which `gpdata verify` checks:",
            "",
            *(f"- {rule}" for rule in table.invariants),
            "",
        ]
    columns = (_row(column) for column in table.columns)
    return "\n".join([*lines, _table(("column", "type", "unit", "meaning", "null means", "source"), columns)])


def _row(column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        f"`{column.type.value}`",
        column.unit or "none",
        column.meaning,
        column.null or "never",
        column.source,
    )


def _types() -> str:
    return "## Types\n\n" + _table(("type", "Arrow"), ((f"`{t.value}`", f"`{ARROW[t]}`") for t in Type))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}"
