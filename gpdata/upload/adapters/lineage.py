"""Where an individual comes from, as the adapters keep it: on the individual itself, in plain values."""

from __future__ import annotations

from typing import Any, NamedTuple

RANDOM, REPRODUCTION, MIGRATION = "random", "reproduction", "migration"
"""What no operator did: an individual made at random, kept or copied as it was, come from another run."""
_ATTRIBUTE = "gpdata_lineage"


class Lineage(NamedTuple):
    """Where an individual comes from.

    It travels as an attribute of the individual, a tuple of texts and numbers: copies and pickles keep it, and a
    process that evaluates needs no gpdata.
    """

    uuid: str
    run: str
    parents: tuple[str, ...] | None
    """None of a random individual."""
    operators: tuple[str, ...] | None
    """The operators that it went through; None where nobody knows them."""
    made: int
    """The generation for which its program was made."""
    born: int | None = None
    """The generation in which it was recorded first; None while it stood in none."""

    @property
    def as_parents(self) -> tuple[str, ...]:
        """What a child of it has as parents: it, or its own parents while it is only on its way."""
        return self.parents or () if self.born is None else (self.uuid,)

    @property
    def so_far(self) -> tuple[str, ...]:
        """The operators that a child of it went through already.

        Examples
        --------
        >>> on_its_way = Lineage("c", "run", ("a", "b"), ("mate",), made=1)
        >>> on_its_way.as_parents, on_its_way.so_far
        (('a', 'b'), ('mate',))
        >>> born = on_its_way._replace(born=1)
        >>> born.as_parents, born.so_far
        (('c',), ())
        """
        return self.operators or () if self.born is None else ()


def carry(individual: Any, lineage: Lineage) -> None:
    """Let an individual carry its lineage."""
    setattr(individual, _ATTRIBUTE, tuple(lineage))


def carried(individual: Any) -> Lineage | None:
    """Return the lineage that an individual carries; None where it carries none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> individual = SimpleNamespace()
    >>> carried(individual)
    >>> carry(individual, Lineage("a", "run", None, (RANDOM,), made=0, born=0))
    >>> carried(individual).uuid
    'a'
    """
    found = getattr(individual, _ATTRIBUTE, None)
    return None if found is None else Lineage(*found)
