"""What a lab knows of its frames: how to have the same rows in another form, more cheaply.

On Spark an attribute of the frame says it; a DuckDB relation takes none. What somebody makes of a frame, by a filter,
is another one, of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

ERROR_VECTORS = "error_vectors"
"""Of `lab.errors`: the individuals, whose vectors they are."""

GENOMES = "genomes"
"""Of `lab.genes` and `lab.individuals`: the individuals with their key, gene_instruction and gene_type, which is null
where each type is what the instruction's text looks like (`gpdata.schema.looks`)."""

PARENT_COUNT = "_gpdata_parent_count"
"""Of `lab.individuals`: with `parent_count`, the length of parent_uuids, without a uuid being written out. On Spark
the name of the attribute."""

_KNOWN: WeakKeyDictionary[Any, dict[str, Callable[[], Any]]] = WeakKeyDictionary()


def remember(relation: Any, form: str, make: Callable[[], Any]) -> None:
    """Note what makes the rows of a DuckDB relation in another form; `make` must not hold the relation itself."""
    _KNOWN.setdefault(relation, {})[form] = make


def other_form(relation: Any, form: str) -> Any:
    """Return a relation's rows in another form, or None where no lab noted how to make it.

    Examples
    --------
    >>> import duckdb
    >>> other_form(duckdb.sql("SELECT 1"), ERROR_VECTORS) is None
    True
    """
    make = _KNOWN.get(relation, {}).get(form)
    return None if make is None else make()
