from __future__ import annotations

import itertools
import statistics

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from gpdata.analyses import HOMOLOGY, homology
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import INDIVIDUALS
from tests.analyses.populations import table_of

LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas arrow", "arrow"])
NAMES = ["run_uuid", "generation", "location", "gene_instruction", "gene_type"]
genome = st.lists(st.tuples(st.sampled_from("x12"), st.sampled_from(["string", "int"])), max_size=5)


def textbook(a, b):
    """Fill the table of Wagner and Fischer."""
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    table[:, 0], table[0, :] = range(len(a) + 1), range(len(b) + 1)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (a[i] != b[j]))
    return table[-1, -1]


def distance(a, b):
    return textbook(a, b) / max(len(a), len(b)) if a or b else 0.0


def rows(populations):
    return [
        {
            "run_uuid": run, "generation": at, "location": location,
            "gene_instruction": None if genes is None else [instruction for instruction, _ in genes],
            "gene_type": None if genes is None else [type_ for _, type_ in genes],
        }
        for (run, at), genomes in populations.items()
        for location, genes in enumerate(genomes)
    ]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(a=st.lists(st.integers(0, 3), max_size=80), b=st.lists(st.integers(0, 3), max_size=80))
def test_the_distance_is_that_of_the_textbook(a, b):
    assert Levenshtein.distance(a, b) == Levenshtein.distance(b, a) == textbook(a, b)


@settings(max_examples=25, deadline=None)
@given(
    populations=st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2)), st.lists(st.none() | genome, max_size=5)
    ),
    name=LAZY,
)
def test_every_pair_equals_plain_python(engines, rows_of, assert_same, populations, name):
    want = []
    for (run, at), genomes in sorted(populations.items()):
        pairs = [distance(a, b) for a, b in itertools.combinations([g for g in genomes if g is not None], 2)]
        if pairs:
            quartiles = np.quantile(pairs, [0.25, 0.5, 0.75]).tolist()
            sd = statistics.stdev(pairs) if len(pairs) > 1 else None
            values = (run, at, len(pairs), statistics.fmean(pairs), sd, *quartiles)
            want.append(dict(zip((column.name for column in HOMOLOGY), values, strict=True)))
    got = rows_of(homology(engines[name](table_of(INDIVIDUALS, rows(populations), NAMES)), pairs=10))
    assert_same(got, want)


@pytest.fixture(scope="module")
def population():
    """Return two generations of 40 genomes, of 30 genes or fewer, the same for ever."""

    def gene(at, location, place):
        return str((location * location * (place + 3) // 5 + place * place * (at + 7) // 3 + location * place) % 4)

    return {
        ("a", at): [
            [(gene(at, location, place), "string") for place in range(location * 11 % 31)] for location in range(40)
        ]
        for at in (0, 1)
    }


def test_the_sample_is_the_same_on_every_engine(engine, engines, population, rows_of, assert_same, result_types):
    table = table_of(INDIVIDUALS, rows(population))
    given_ = engine(table)
    got = homology(given_, pairs=30, seed=5)
    assert_same(
        rows_of(got), rows_of(homology(engines["polars"](table.take(list(range(79, -1, -1)))), pairs=30, seed=5))
    )
    assert type(got) is type(given_)
    assert result_types(got) == {column.name: column.type.value for column in HOMOLOGY}
    assert rows_of(homology(given_, runs="b")) == []
    assert [row["pairs"] for row in rows_of(got)] == [30, 30]


def test_the_sample_is_of_this_seed_and_estimates_the_population(population, rows_of):
    frame = pl.from_arrow(table_of(INDIVIDUALS, rows(population)))
    means = [rows_of(homology(frame, pairs=60, seed=seed))[0]["distance_mean"] for seed in range(40)]
    assert len(set(means)) == 40
    exact = [distance(a, b) for a, b in itertools.combinations(population["a", 0], 2)]
    error = statistics.stdev(exact) / 60**0.5
    assert statistics.fmean(means) == pytest.approx(statistics.fmean(exact), abs=3 * error / 40**0.5)
    assert statistics.stdev(means) == pytest.approx(error, rel=0.4)
    # Written down once: a sample that was published must come again.
    assert means[0] == pytest.approx(FIRST, abs=1e-15)


FIRST = 0.7036590756082768


def test_nobody_is_paired_with_itself(rows_of):
    different = {("a", 0): [[(str(location), "string")] for location in range(30)]}
    frame = pl.from_arrow(table_of(INDIVIDUALS, rows(different)))
    (row,) = rows_of(homology(frame, pairs=400))
    assert (row["pairs"], row["distance_mean"], row["distance_sd"]) == (400, 1.0, 0.0)


def test_says_what_is_wrong(population):
    frame = pl.from_arrow(table_of(INDIVIDUALS, rows(population)))
    for options in ({"pairs": 0}, {"seed": -1}):
        with pytest.raises(InvalidInput, match="give 1 pair or more, and a seed of 0 or more"):
            homology(frame, **options)
    with pytest.raises(UnknownColumn, match="individuals has no column 'gene_type'"):
        homology(frame.drop("gene_type"))
    with pytest.raises(InvalidInput, match="valid is the run_uuid of a run"):
        homology(frame, runs=1)
