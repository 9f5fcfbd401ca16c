"""Small runs of PyshGP, whose version 0.1.8 Python 3.10 and newer import with a word of help."""

from __future__ import annotations

import collections
import collections.abc
from typing import Any

import pytest

pytest.importorskip("pyrsistent", reason="PyshGP is not installed")
if not hasattr(collections, "Sequence"):
    collections.Sequence = collections.abc.Sequence  # type: ignore[attr-defined]
pytest.importorskip("pyshgp", reason="PyshGP is not installed")

from pyshgp.gp.estimators import PushEstimator
from pyshgp.gp.genome import GeneSpawner
from pyshgp.push.instruction_set import InstructionSet

X = [[x] for x in range(-3, 4)]
Y = [[x * x + x + 3] for (x,) in X]
TERMINATES = {"population_size": 20, "max_generations": 4, "initial_genome_size": (5, 15), "simplification_steps": 20}


def spawner() -> Any:
    return GeneSpawner(1, InstructionSet().register_core_by_stack({"int", "bool"}), [1, 3, True, "word"], [])


def estimator(**options: Any) -> Any:
    return PushEstimator(spawner(), **{**TERMINATES, **options})
