"""Laws that hold for every recorded run, of whatever library."""

from __future__ import annotations

import itertools


def check_laws(populations: list[list[dict]]) -> None:
    """Check uuids, parents and ages where each generation is made of the one before."""
    for row in populations[0]:
        assert (row["parent_uuids"], row["genetic_operators"], row["age"]) == (None, ["random"], 0)
    for before, now in itertools.pairwise(populations):
        alive = {row["uuid"]: row for row in before}
        for row in now:
            parents = row["parent_uuids"]
            assert set(parents) <= set(alive), row
            if row["uuid"] in alive:
                assert (parents, row["genetic_operators"]) == ([row["uuid"]], ["reproduction"])
            if row["genetic_operators"] == ["reproduction"]:
                (parent,) = parents
                assert row["age"] == alive[parent]["age"] + 1
                assert row["gene_instruction"] == alive[parent]["gene_instruction"]
            elif row["genetic_operators"] != ["cloning"]:
                assert row["age"] == 0
