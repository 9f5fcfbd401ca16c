"""The demo's problem: which grade does a score get? After "Grade" of the program synthesis benchmarks PSB1.

Three falling thresholds and a score are given, whole numbers from 0 to 19; the answer is how many of the
thresholds the score reaches. An answer counts as right or wrong: the error of a case is 0 or 1.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from deap import gp

NAME = "grade"
TRAINING_CASES, TEST_CASES = 100, 500
_THRESHOLDS = 3
_GREATEST = 19
_CASES_SEED = 1

Cases = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Inputs, one row per input and one column per case; the right answers."""


def _if_less(a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    return np.where(np.less(a, b), then, otherwise)


def primitives() -> gp.PrimitiveSet:
    """Return what programs are made of: the four inputs, small constants, and a choice between two values.

    Examples
    --------
    >>> sorted(primitives().arguments)
    ['high', 'low', 'middle', 'score']
    """
    found = gp.PrimitiveSet(NAME, _THRESHOLDS + 1)
    found.renameArguments(ARG0="high", ARG1="middle", ARG2="low", ARG3="score")
    found.addPrimitive(_if_less, 4, name="if_less")
    found.addEphemeralConstant("constant", partial(random.randint, 0, _THRESHOLDS))
    return found


def cases() -> tuple[Cases, Cases]:
    """Return the training cases and the unseen test cases: the same ones for every run.

    Examples
    --------
    >>> training, test = cases()
    >>> training[0].shape, test[1].shape
    ((4, 100), (500,))
    """
    source = random.Random(_CASES_SEED)
    return _draw(source, TRAINING_CASES), _draw(source, TEST_CASES)


def errors(program: gp.PrimitiveTree, of: Cases) -> npt.NDArray[np.int8]:
    """Return a program's error on each case: 0 where its answer is right, 1 where it is wrong.

    Parameters
    ----------
    program : deap.gp.PrimitiveTree
        A tree of `primitives`.
    of : Cases
        The cases, all of which it is run on at once.

    Returns
    -------
    array of int8, one per case

    Examples
    --------
    >>> always_zero = gp.PrimitiveTree.from_string("if_less(score, low, 0, 0)", primitives())
    >>> training, _ = cases()
    >>> int(errors(always_zero, training).sum()) == int((training[1] != 0).sum())
    True
    """
    inputs, answers = of
    values = dict(zip(("high", "middle", "low", "score"), inputs, strict=True))
    stack: list[Any] = []
    for node in reversed(program):
        if node.arity:
            stack.append(_if_less(*(stack.pop() for _ in range(node.arity))))
        else:
            stack.append(values[node.value] if isinstance(node.value, str) else node.value)
    wrong: npt.NDArray[np.bool_] = np.not_equal(stack.pop(), answers)
    return wrong.astype(np.int8)


def _draw(source: random.Random, number: int) -> Cases:
    rows = []
    for _ in range(number):
        thresholds = sorted((source.randint(0, _GREATEST) for _ in range(_THRESHOLDS)), reverse=True)
        rows.append([*thresholds, source.randint(0, _GREATEST)])
    inputs = np.array(rows, np.int64).T
    return inputs, (inputs[-1] >= inputs[:-1]).sum(axis=0)
