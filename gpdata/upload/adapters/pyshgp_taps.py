"""PyshGP's taps: who was selected, what the operators produced of them, and when a population is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from gpdata.upload.adapters.begin import strange

KNOWN = "0.1"
_NAMES = {"AdditionMutation": "addition", "DeletionMutation": "deletion"}
"""How PyshGP's users name operators where it is not the class in small letters."""


class Birth(NamedTuple):
    """What is known of a child before it is one."""

    genome: Any
    parents: tuple[str, ...] | None
    operators: tuple[str, ...] | None
    kept: bool
    """Whether the genome is a parent's, as it was."""


class Births:
    """Collects, in order, the births of the children that a search makes.

    A search selects parents, hands their genomes to an operator, and makes an individual of what it returns. An
    operator of several shows the tap its parts; one that nobody has tapped shows nothing, and is not known.
    """

    def __init__(self) -> None:
        self._selected: list[Any] | None = None
        self._selecting = 0
        self._open: list[_Operator] = []
        self._births: list[Birth] = []

    def select(self) -> None:
        """Note that a selection begins; a selector may call another."""
        self._selecting += 1

    def selected(self, parents: list[Any]) -> None:
        """Note whom a selection returns."""
        self._selecting -= 1
        if self._selecting == 0:
            self._flush()
            self._selected = parents

    def produce(self, operator: Any) -> None:
        """Note that an operator begins."""
        above = self._open[-1] if self._open else None
        again = above is not None and above.operator is operator  # it calls the method of its base class
        if above is not None and not again:
            above.parts.append(name(operator))
            above.is_whole = False
        self._open.append(_Operator(operator, again))

    def produced(self, genomes: Any, child: Any, search: Any) -> None:
        """Note what an operator returns."""
        ended = self._open.pop()
        if ended.again:
            self._open[-1].take(ended)
            return
        if self._open:
            if not ended.is_whole:  # a part that has parts is said by them
                self._open[-1].parts[-1:] = ended.parts
            return
        parents = self._selected
        if parents is None:  # it selects in a way of its own, as simulated annealing does
            there = {id(each.genome): each for each in individuals(search.population)}
            parents = [there[id(genome)] for genome in genomes if id(genome) in there]
        operators = (name(ended.operator),) if ended.is_whole else tuple(ended.parts)
        kept = any(child is genome for genome in genomes)
        self._births.append(Birth(child, tuple(str(parent.id) for parent in parents), operators, kept))
        self._selected = None

    def take(self) -> list[Birth]:
        """Return the births since the last call."""
        self._flush()
        births, self._births = self._births, []
        return births

    def _flush(self) -> None:
        if self._selected is not None:
            self._births.append(Birth(None, tuple(str(parent.id) for parent in self._selected), None, False))
            self._selected = None


class _Operator:
    """An operator that has begun."""

    def __init__(self, operator: Any, again: bool) -> None:
        self.operator = operator
        self.again = again
        self.parts: list[str] = []
        self.is_whole = True

    def take(self, other: _Operator) -> None:
        self.parts += other.parts
        self.is_whole = self.is_whole and other.is_whole


def name(operator: Any) -> str:
    """Return what an operator or a selector is called: PyshGP's own as its users name them."""
    kind = type(operator)
    if kind.__module__.startswith("pyshgp."):
        return _NAMES.get(kind.__name__, kind.__name__.lower())
    return str(kind.__name__)


class Tap:
    """A tap of PyshGP's that calls back, and the tap that was there before.

    Parameters
    ----------
    before : object or None
        The tap that was registered for the function.
    pre, post : callable or None
        Called with the function's positional arguments, and `post` with what it returned besides.
    """

    def __init__(self, before: Any, pre: Callable[..., None] | None, post: Callable[..., None] | None) -> None:
        self._before = before
        self._pre = pre
        self._post = post

    def pre(self, id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Do what is to be done before the function is called."""
        if self._before is not None:
            self._before.pre(id, args, kwargs)
        if self._pre is not None:
            self._pre(*args, **kwargs)

    def post(self, id: str, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
        """Do what is to be done when it has returned."""
        if self._before is not None:
            self._before.post(id, args, kwargs, returned)
        if self._post is not None:
            self._post(returned, *args, **kwargs)

    def do(self, id: str, *args: Any, **kwargs: Any) -> None:
        """Do what the tap that was there before does."""
        if self._before is not None:
            self._before.do(id, *args, **kwargs)


class Taps:
    """Registers taps, and puts back what was there.

    Parameters
    ----------
    wanted : mapping
        For "select" and "produce" (of every class that has one), and for full names of functions: what to call
        before and after.
    """

    def __init__(self, wanted: Mapping[str, tuple[Callable[..., None] | None, Callable[..., None] | None]]) -> None:
        self._wanted = wanted
        self._there: dict[str, tuple[Any, Tap]] = {}

    def open(self) -> None:
        """Register the taps."""
        manager = import_module("pyshgp.tap").TapManager
        for key, (pre, post) in self._wanted.items():
            for function in self._functions(key):
                before = manager.get(function)
                tap = Tap(before, pre, post)
                manager.register(function, tap)
                self._there[function] = (before, tap)

    def close(self) -> None:
        """Put back the taps that were there, except where somebody has registered another since."""
        manager = import_module("pyshgp.tap").TapManager
        for function, (before, tap) in self._there.items():
            if manager.get(function) is tap:
                manager.unregister(function)
                if before is not None:
                    manager.register(function, before)
        self._there.clear()

    @staticmethod
    def _functions(key: str) -> set[str]:
        base = {"select": "selection.Selector", "produce": "variation.VariationOperator"}.get(key)
        if base is None:
            return {key}
        module, _, kind = base.partition(".")
        classes = _family(getattr(import_module(f"pyshgp.gp.{module}"), kind))
        functions = (vars(each)[key] for each in classes if key in vars(each))
        return {f"{function.__module__}.{function.__qualname__}" for function in functions}


def _family(base: type) -> set[type]:
    """Return a class, the classes below it, and those that they are made of besides."""
    found, left = set(base.__mro__), [base]
    while left:
        below: list[type] = left.pop().__subclasses__()
        for kind in below:
            found |= set(kind.__mro__)
            left.append(kind)
    return found


def individuals(population: Any) -> Iterator[Any]:
    """Yield the individuals of a population of PyshGP's, evaluated ones first."""
    if not hasattr(population, "evaluated"):
        raise strange(f"the population is a {type(population).__name__}", "pyshgp", KNOWN)
    yield from population.evaluated
    yield from population.unevaluated
