"""Which treatments are compared with which: rows of a small frame, grouped, and the pairs of each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput, UnknownColumn, near

Row = dict[str, Any]
Key = tuple[Any, ...]

NOT_SET = "(not set)"


def read(frame: Any, names: Sequence[str], name: str) -> list[Row]:
    """Bring columns of a frame into this process as rows, null and NaN as None; every one must be there."""
    table = to_arrow(_only(frame, names, name))
    return [{column: _plain(value) for column, value in row.items()} for row in table.to_pylist()]


def _only(frame: Any, names: Sequence[str], name: str) -> Any:
    """Select the columns where the frame is: what is not needed is not brought here."""
    import narwhals.stable.v2 as nw

    wrapped: Any = nw.from_native(frame, pass_through=True)
    if wrapped is frame:
        return frame  # `to_arrow` says what is wrong
    present = wrapped.collect_schema().names()
    for column in names:
        if column not in present:
            raise UnknownColumn(f"{name} has no column {column!r}: {near(column, present)}. Name one of its columns.")
    return wrapped.select(list(dict.fromkeys(names))).to_native()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def check_names(treatment: str, within: Sequence[str], taken: Sequence[str]) -> None:
    """Raise `InvalidInput` where a column would stand twice in the result."""
    for name in (treatment, *within):
        if name in taken:
            raise InvalidInput(
                f"{name!r} is a column of the result too; its own are {', '.join(map(repr, taken))}. "
                "Rename yours first."
            )
    if treatment in within:
        raise InvalidInput(f"treatment={treatment!r} is also in within={list(within)!r}. Leave it out of within.")


def columns_of(names: str | Sequence[str] | None) -> list[str]:
    """Read an option that names no column, one or several.

    Examples
    --------
    >>> columns_of(None), columns_of("problem"), columns_of(["problem", "seed", "problem"])
    ([], ['problem'], ['problem', 'seed'])
    """
    return [] if names is None else [names] if isinstance(names, str) else list(dict.fromkeys(names))


def by_group(rows: Sequence[Row], within: Sequence[str]) -> dict[Key, list[Row]]:
    """Group rows by the columns of `within`, in the order of their first rows."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in within), []).append(row)
    return groups


def pairs(
    groups: Mapping[Key, Mapping[Any, Any]], within: Sequence[str], treatment: str, control: Any
) -> Iterator[tuple[Key, Any, Any]]:
    """Yield group, treatment and what it is compared with.

    Parameters
    ----------
    groups : mapping
        For each group, what is known of each treatment.
    within, treatment : sequence of str, str
        The columns they are of, for the messages.
    control : object
        The treatment that every other is compared with; None: each is compared with every later one.
    """
    order = treatments_of(groups)
    if control is not None and groups and control not in order:
        raise InvalidInput(
            f"control={control!r} is no value of {treatment!r}: {near(str(control), map(str, order))}. "
            "Give one of these."
        )
    for key, members in groups.items():
        if control is None:
            present = [name for name in order if name in members]
            yield from ((key, one, other) for one, other in combinations(present, 2))
        elif control not in members:
            where = ", ".join(f"{name}={value!r}" for name, value in zip(within, key, strict=True))
            raise InvalidInput(
                f"{treatment}={control!r}, the control, is not there for {where}; each group needs one. "
                "Leave these rows out, or compare all pairs, without a control."
            )
        else:
            yield from ((key, name, control) for name in order if name in members and name != control)


def treatments_of(groups: Mapping[Key, Mapping[Any, Any]]) -> list[Any]:
    """Return every treatment once, in the order of the first rows."""
    return list(dict.fromkeys(name for members in groups.values() for name in members))


def family_name(within: Sequence[str], family: str) -> str:
    """Say in words which comparisons a family holds.

    Examples
    --------
    >>> family_name(["problem"], "within"), family_name(["problem"], "all")
    ('the comparisons of each problem', 'all comparisons')
    """
    if family == "all" or not within:
        return "all comparisons"
    return f"the comparisons of each {', '.join(within)}"
