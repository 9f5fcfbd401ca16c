"""Phylogenies: hand-computed cases, networkx, and phylotrackpy where GPDATA_PHYLOTRACK names a Python that has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import networkx as nx
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import PHYLOGENY, phylogeny
from gpdata.errors import InvalidInput, UnknownColumn


def taxa(parents, **columns):
    """Make taxa 0, 1, ...; parents are numbers or None."""
    ancestors = ["[NONE]" if parent is None else f"[{parent}]" for parent in parents]
    schema = {"id": pl.Int64, "ancestor_list": pl.String}
    return pl.DataFrame({"id": range(len(parents)), "ancestor_list": ancestors}, schema=schema).with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def measured(frame):
    assert frame.columns == [column.name for column in PHYLOGENY]
    (row,) = frame.rows()
    return row


CASES = {
    "a cherry": ([None, 0, 0], (0, 2.0, 2)),
    "a polytomy": ([None, 0, 0, 0], (0, 2.0, 3)),
    # Leaves 3, 5, 6 under 2: 3-5 are 2 apart, 3-6 and 5-6 are 3.
    "a stem and a polytomy": ([None, 0, 1, 2, 2, 2, 4], (2, 8 / 3, 6)),
    "a chain": ([None, 0, 1], (2, None, 2)),
    "one taxon": ([None], (0, None, 0)),
    "no taxa": ([], (None, None, None)),
    # 2-3 and 4-5 have a way, the others none.
    "two roots": ([None, None, 0, 0, 1, 1], (None, 2.0, 5)),
    "two roots alone": ([None, None], (None, None, 1)),
    "a caterpillar": ([None, 0, 0, 2, 2, 4, 4], (0, (3 + 4 + 4 + 3 + 3 + 2) / 6, 6)),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_by_hand(name):
    parents, wanted = CASES[name]
    assert measured(phylogeny(taxa(parents))) == wanted


def test_who_lives():
    parents = [None, 0, 1]
    assert measured(phylogeny(taxa(parents, destruction_time=[1.0, 2.0, 3.0]))) == (2, None, 2)  # a leaf lives
    ended = [float("inf"), float("inf"), float("inf")]
    assert measured(phylogeny(taxa(parents, destruction_time=ended))) == (0, 4 / 3, 2)
    assert measured(phylogeny(taxa(parents, destruction_time=["inf", "3", "5"]))) == (0, 2.0, 2)


@pytest.mark.parametrize("written", ["[NONE]", '["NONE"]', "[none]", "[]", "", None])
def test_every_way_to_write_a_root(written):
    frame = pl.DataFrame({"id": ["10", "11", "12"], "ancestor_list": [written, "[10]", "['10']"]})
    assert measured(phylogeny(frame)) == (0, 2.0, 2)


def test_frames_of_other_kinds():
    frame = taxa([None, 0, 0]).to_pandas()
    assert isinstance(phylogeny(frame), pd.DataFrame)
    assert phylogeny(frame.assign(id=frame["id"].astype(float))).to_numpy().tolist() == [[0, 2, 2]]


def test_what_is_no_phylogeny_is_refused():
    with pytest.raises(InvalidInput, match=r"several|parents 0, 1"):
        phylogeny(pl.DataFrame({"id": [0, 1, 2], "ancestor_list": ["[NONE]", "[NONE]", "[0,1]"]}))
    with pytest.raises(InvalidInput, match="parent 9, which is not in taxa"):
        phylogeny(taxa([None, 9]))
    with pytest.raises(InvalidInput, match="its own ancestor"):
        phylogeny(taxa([None, 2, 1]))
    with pytest.raises(InvalidInput, match="there twice"):
        phylogeny(pl.concat([taxa([None]), taxa([None])]))
    with pytest.raises(UnknownColumn, match="ancestor_list"):
        phylogeny(pl.DataFrame({"id": [0]}))


@st.composite
def trees(draw):
    """Draw the parents of some taxa in order, the first ones being roots."""
    first = draw(st.integers(1, 3))
    return [None] * first + [
        draw(st.integers(0, place - 1)) for place in range(first, first + draw(st.integers(0, 14)))
    ]


@settings(max_examples=150, deadline=None)
@given(parents=trees(), data=st.data())
def test_measures_are_those_of_networkx(parents, data):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((parent, child) for child, parent in enumerate(parents) if parent is not None)
    lives = data.draw(st.lists(st.booleans(), min_size=len(parents), max_size=len(parents)))
    extant = [node for node in graph if lives[node] or not graph.out_degree(node)]
    apart = nx.Graph(graph)
    ways = [nx.shortest_path_length(apart, a, b) for a, b in combinations(extant, 2) if nx.has_path(apart, a, b)]
    common = set.intersection(*({node} | nx.ancestors(graph, node) for node in extant))
    depth = max((len(nx.ancestors(graph, node)) for node in common), default=None)
    order = data.draw(st.permutations(range(len(parents))))
    frame = taxa(parents, destruction_time=[float("inf") if alive else 1.0 for alive in lives])[order]
    wanted = depth, sum(ways) / len(ways) if ways else None, len(parents) - 1
    assert measured(phylogeny(frame)) == (wanted[0], pytest.approx(wanted[1]), wanted[2])


PYTHON = os.environ.get("GPDATA_PHYLOTRACK", sys.executable)
ASK = """
import json, sys
from phylotrackpy.systematics import Systematics
for path in sys.argv[1:]:
    tracked = Systematics(lambda x: x, True, True, False, False)
    tracked.load_from_file(path, "id")
    mean = tracked.get_mean_pairwise_distance(False)
    print(json.dumps([tracked.mrca_depth(), None if mean != mean else mean, tracked.get_phylogenetic_diversity()]))
"""


def test_phylotrackpy_says_the_same(tmp_path: Path):
    """Over trees of every shape; a root that is a leaf is not asked for, of which phylotrackpy never answers."""
    there = subprocess.run([PYTHON, "-c", "import phylotrackpy"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip(f"{PYTHON} has no phylotrackpy; name a Python that has it in GPDATA_PHYLOTRACK to compare with it")
    import random

    shapes = [
        parents for name, (parents, _) in CASES.items() if name not in ("one taxon", "no taxa", "two roots alone")
    ]
    for seed in range(60):
        chance = random.Random(seed)
        roots = chance.choice([1, 1, 1, 2, 3])
        shape = [None] * roots + list(range(roots))  # no root is a leaf
        shapes.append(
            shape + [chance.randrange(place) for place in range(len(shape), chance.randrange(len(shape), 60))]
        )
    frames, paths = [], []
    for number, parents in enumerate(shapes):
        chance = random.Random(number)
        ends = [float("inf") if chance.random() < 0.2 else 1.0 for _ in parents]
        frames.append(taxa(parents, origin_time=[0] * len(parents), destruction_time=ends))
        paths.append(tmp_path / f"{number}.csv")
        frames[-1].write_csv(paths[-1])
    asked = subprocess.run([PYTHON, "-c", ASK, *paths], capture_output=True, text=True, check=True, timeout=60)
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    assert len(answers) == len(frames)
    for frame, (depth, mean, diversity) in zip(frames, answers, strict=True):
        wanted = (None if depth == -1 else depth, pytest.approx(mean), diversity)
        assert measured(phylogeny(frame)) == wanted, frame
