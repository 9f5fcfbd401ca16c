"""Further generations of a recorded run, bred as Clojush breeds them, where a stream ends too early.

Synthetic, and the same on every call: parents by tournaments of seven, genomes by alternation and uniform mutation,
both at a rate of 0.01 a gene, as in the recorded run. Errors and behaviors are not computed anew: a child has its
mother's, and of each case with a chance of 0.05 its father's.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

import msgspec

Individual = dict[str, Any]

_TOURNAMENT = 7
_RATE = 0.01
_OTHER_CASE = 0.05


def bred(line: bytes, size: int, generations: int) -> list[bytes]:
    """Return so many generations that follow the one of a line, of so many individuals each."""
    chance = random.Random(1)
    last: dict[str, Any] = msgspec.json.decode(line)
    genes = [gene["instruction"] for individual in last["population"] for gene in individual["genome"]]
    found = []
    for _ in range(generations):
        parents = last["population"]
        population = [_child(_chosen(parents, chance), _chosen(parents, chance), genes, chance) for _ in range(size)]
        last = last | {"index": last["index"] + 1, "population": population}
        found.append(msgspec.json.encode(last))
    return found


def _child(mother: Individual, father: Individual, genes: list[Any], chance: random.Random) -> Individual:
    both = (mother["genome"], father["genome"])
    genome, turn = [], 0
    for place in range(max(map(len, both))):
        turn ^= chance.random() < _RATE
        if place >= len(both[turn]):
            break
        gene = both[turn][place]
        genome.append(gene | {"instruction": chance.choice(genes)} if chance.random() < _RATE else gene)
    cases = [chance.random() < _OTHER_CASE for _ in mother["errors"]]
    errors = [
        his if other else hers for other, hers, his in zip(cases, mother["errors"], father["errors"], strict=True)
    ]
    behaviors = [his if cases[place % len(cases)] else hers for place, (hers, his)
                 in enumerate(zip(mother["behaviors"], father["behaviors"], strict=True))]  # fmt: skip
    return mother | {
        "uuid": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "parent-uuids": [mother["uuid"], father["uuid"]],
        "genome": genome,
        "genome-size": len(genome),
        "age": max(mother["age"], father["age"]) + 1,
        "errors": errors,
        "behaviors": behaviors,
        "total-error": sum(errors),
        "normalized-error": sum(errors),
    }


def _chosen(population: list[Individual], chance: random.Random) -> Individual:
    return min(chance.choices(population, k=_TOURNAMENT), key=lambda individual: float(individual["total-error"]))
