"""LEAP's pipelines, watched: what each operator made of whom, noted on the individuals."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gpdata.upload.adapters.begin import name_of
from gpdata.upload.adapters.lineage import MIGRATION, Lineage, carried, carry

_MIGRATE = "do_migrate"
"""What the operator that `leap_ec.ops.migrate` makes is called."""


class Watch:
    """Watches the operators of pipelines for one run.

    Parameters
    ----------
    run : str
        The run's uuid.
    now : callable
        Gives the generation for which individuals are being made.
    """

    def __init__(self, run: str, now: Callable[[], int]) -> None:
        self._run = run
        self._now = now

    def pipeline(self, operators: Iterable[Any]) -> list[Any]:
        """Return the operators, watched, to be used in their place."""
        return [self._watched(operator) for operator in operators]

    def lineage(self, individual: Any) -> Lineage:
        """Return the lineage of an individual of a pipeline.

        LEAP's `clone` copies all attributes and gives a new uuid: where the uuid is another one, what is noted
        is that of the individual it was cloned from.
        """
        uuid, noted = str(individual.uuid), carried(individual)
        if noted is None:  # it stood in no generation that was recorded: its parent is known, and no more
            return Lineage(uuid, self._run, parents_of(individual), None, self._now(), self._now())
        if noted.uuid != uuid:
            return Lineage(uuid, self._run, parents_of(individual), None, noted.made)
        return noted

    def _watched(self, operator: Any) -> Any:
        if hasattr(operator, "recombine"):
            return self._crossover(operator)

        def watched(population: Any, *args: Any, **options: Any) -> Any:
            if isinstance(population, Iterator):
                source = _Pulled(population, self.lineage)
                made = operator(source, *args, **options)
                return self._children(made, source, name) if isinstance(made, Iterator) else made
            there = {id(individual) for individual in population}
            made = operator(population, *args, **options)
            if isinstance(made, list):
                self._arrived([individual for individual in made if id(individual) not in there], name)
            return made

        name = name_of(operator)
        return watched

    def _crossover(self, operator: Any) -> Any:
        """Return a crossover that notes when it recombines, which it does with a probability only."""

        def recombine(first: Any, second: Any, *args: Any, **options: Any) -> Any:
            sources = [self.lineage(first), self.lineage(second)]
            children = operator.recombine(first, second, *args, **options)
            for child in children:
                self._made(child, sources, name_of(operator))
            return children

        crossover = copy.copy(operator)
        crossover.recombine = recombine
        return crossover

    def _children(self, made: Iterator[Any], source: _Pulled, name: str) -> Iterator[Any]:
        for child in made:
            group = source.group()
            same = next((pulled for pulled in group if pulled.individual is child), None)
            if same is not None:
                if not _equal(same.genome, child.genome):
                    self._made(child, [pulled.lineage for pulled in group], name)
            elif str(child.uuid) not in {pulled.lineage.uuid for pulled in group}:
                self._copied(child, group, name)
            yield child

    def _copied(self, child: Any, group: list[_Pull], name: str) -> None:
        """Note a new individual: a clone where it is one of those pulled, and what the operator made of all else."""
        origin = next((pulled for pulled in group if _equal(pulled.genome, child.genome)), None)
        if origin is None:
            self._made(child, [pulled.lineage for pulled in group], name)
        else:
            source = origin.lineage
            made = Lineage(str(child.uuid), self._run, source.as_parents, source.so_far, source.made)
            carry(child, made)

    def _made(self, child: Any, sources: list[Lineage], name: str) -> None:
        parents = sum((source.as_parents for source in sources), ())
        operators = (*sum((source.so_far for source in sources), ()), name)
        carry(child, Lineage(str(child.uuid), self._run, parents, operators, self._now()))

    def _arrived(self, individuals: list[Any], name: str) -> None:
        for individual in individuals:
            noted = carried(individual)
            if noted is not None and noted.uuid != str(individual.uuid):
                operators = (MIGRATION if name == _MIGRATE else name,)
                carry(individual, self.lineage(individual)._replace(operators=operators))


class _Pull:
    """An individual that an operator pulled, as it was then."""

    def __init__(self, individual: Any, lineage: Lineage) -> None:
        self.individual = individual
        self.lineage = lineage
        self.genome = copy.deepcopy(individual.genome)


class _Pulled:
    """An iterator that remembers which individuals were pulled from it since the last question."""

    def __init__(self, source: Iterator[Any], lineage: Callable[[Any], Lineage]) -> None:
        self._source = source
        self._lineage = lineage
        self._new: list[_Pull] = []
        self._group: list[_Pull] = []

    def __iter__(self) -> _Pulled:
        return self

    def __next__(self) -> Any:
        individual = next(self._source)
        self._new.append(_Pull(individual, self._lineage(individual)))
        return individual

    def group(self) -> list[_Pull]:
        """Return those that a child is made of: pulled since the last one, or with it where none was."""
        if self._new:
            self._group, self._new = self._new, []
        return self._group


def parents_of(individual: Any) -> tuple[str, ...]:
    """Return the parents that LEAP itself notes, in no order and each once."""
    return tuple(sorted(map(str, getattr(individual, "parents", ()))))


def _equal(one: Any, other: Any) -> bool:
    """Whether two genomes are equal; arrays, and lists of arrays, too."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
