"""The words a table is declared with: a type, a column, a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Type(Enum):
    """The column types of the canonical schema; each projection maps every one of them."""

    STRING = "string"
    INT = "int"
    """32-bit signed: counts, positions, generations."""
    DOUBLE = "double"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    """Microseconds since the epoch, UTC."""
    STRINGS = "list<string>"
    INTS = "list<int>"
    DOUBLES = "list<double>"
    BOOLS = "list<bool>"
    STRING_MAP = "map<string,string>"
    DOUBLE_MAP = "map<string,double>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it means, in which unit, what null means and where it comes from."""

    name: str
    type: Type
    meaning: str
    source: str
    """The field of the wire that it is read from, or how it is computed."""
    null: str | None = None
    """What null means; None where the column is never null."""
    unit: str | None = None

    @property
    def nullable(self) -> bool:
        """Whether the column can hold null."""
        return self.null is not None


@dataclass(frozen=True)
class Table:
    """A table: its key, its columns, and the invariants that `gpdata verify` checks."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    invariants: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        """Return the column of that name."""
        return next(column for column in self.columns if column.name == name)
