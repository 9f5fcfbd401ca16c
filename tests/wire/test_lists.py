from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from gpdata.wire.coded_genes import coded_genomes
from gpdata.wire.columns import DOUBLES, JSON_TEXTS, UNREAD, Kind
from gpdata.wire.genome import read_genomes
from gpdata.wire.lexical import parse
from gpdata.wire.lexical_genes import lexical_genome
from gpdata.wire.lists import BARE, OBJECTS, Unfit, cut

ODD = ["},{", "],[", "}],[{", "a,b", '"', "\\", "[", "]", "", "é", "null", "x"]
ITEM = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from([0, -0.0, 1, 2**53 + 1, 2**70, 1e22, 0.1, 5e-324, True, None]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([[], [1], [[2], 3], {"a": 1}, {"instruction": "x"}]),
)
GENE = st.fixed_dictionaries({}, optional={"instruction": ITEM, "close": st.sampled_from([0, 1, 1.5]), "luck": ITEM})


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def repeated(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists that draw from few items, so that most are alike."""
    few = st.lists(items, min_size=1, max_size=3)
    return few.flatmap(
        lambda some: st.lists(st.none() | st.lists(st.sampled_from(some), max_size=12), min_size=1, max_size=4)
    )


@settings(max_examples=200, deadline=None)
@given(lists=repeated(ITEM), kind=st.sampled_from([DOUBLES, JSON_TEXTS]))
def test_a_column_equals_what_is_read_one_by_one(lists: list[Any], kind: Kind) -> None:
    raws = [raw(value) for value in lists]
    array, unfit = kind.read(raws, 9)
    expected = [kind.lexical(parse(bytes(value).decode(), 9)) for value in raws]
    assert array.equals(pa.array([value for value, _ in expected], kind.arrow))
    assert sorted(unfit) == [place for place, (_, fits) in enumerate(expected) if not fits]


@settings(max_examples=200, deadline=None)
@given(genomes=st.one_of(repeated(GENE), repeated(ITEM), repeated(GENE | ITEM)))
def test_genomes_equal_what_is_read_one_by_one(genomes: list[Any]) -> None:
    raws = [raw(genome) for genome in genomes]
    found = read_genomes(raws, 9)
    columns = found.columns()
    for place, one in enumerate(raws):
        expected = lexical_genome(parse(bytes(one).decode(), 9))
        for name, column in expected.columns().items():
            assert columns[name][place].as_py() == column[0].as_py(), name
        assert found.left.get(place) == expected.left.get(0)
        assert (place in found.unfit) == bool(expected.unfit)


@pytest.mark.parametrize("twice", ['{"close":1,"close":2}', '{"instruction":"a","close":1,"instruction":"b"}'])
def test_equal_keys_are_refused(twice: str) -> None:
    with pytest.raises(UNREAD):
        coded_genomes([Raw(f"[{','.join([twice] * 9)}]".encode())])


def test_alike_genes_are_read_together() -> None:
    genes = [{"instruction": "a", "close": 1}, {"instruction": 2}] * 9
    genomes = coded_genomes([raw(genes), raw(None), raw([]), raw(genes[:1])])
    assert genomes.columns()["gene_instruction"].to_pylist() == [["a", "2"] * 9, None, [], ["a"]]
    assert genomes.columns()["gene_close"].to_pylist() == [[1, None] * 9, None, None, [1]]


@pytest.mark.parametrize("value", ["5", '"ab"', "true", "{}", '{"a":[1]}'])
def test_what_is_no_list_is_refused(value: str) -> None:
    for brackets in (BARE, OBJECTS):
        with pytest.raises(Unfit):
            cut([Raw(value.encode())], brackets)
