from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from gpdata.schema import INDIVIDUALS
from gpdata.wire import typed_genes
from gpdata.wire.genes import ATTRIBUTES, Genomes
from gpdata.wire.genome import read_genomes
from gpdata.wire.lexical import parse
from gpdata.wire.lexical_genes import lexical_genome
from gpdata.wire.members import without_space


def read(*texts: str) -> Genomes:
    return read_genomes([Raw(without_space(text.encode(), 9)) for text in texts], 9)


def column(genomes: Genomes, name: str) -> list[Any]:
    return genomes.columns()[name].to_pylist()


def test_the_columns_are_the_declared_ones() -> None:
    declared = {name for name in INDIVIDUALS.names if name.startswith("gene_")}
    assert set(read("[]").columns()) == declared | {"genome_size"}


def test_types_and_texts_of_instructions() -> None:
    genomes = read(
        '[{"instruction":"in1"},{"instruction":1.0E5},{"instruction":-0},{"instruction":true}]',
        '["a",2,0.50,null,[1, 2]]',
    )
    assert column(genomes, "gene_instruction") == [["in1", "1.0E5", "-0", "true"], ["a", "2", "0.50", "null", "[1,2]"]]
    assert column(genomes, "gene_type") == [
        ["string", "float", "int", "bool"],
        ["string", "int", "float", "null", "json"],
    ]


def test_no_genome_and_an_empty_one_differ() -> None:
    genomes = read("null", "[]")
    assert column(genomes, "gene_instruction") == [None, []]
    assert column(genomes, "genome_size") == [None, 0]
    assert column(genomes, "gene_close") == [None, None]


def test_a_list_is_null_where_no_gene_has_the_attribute() -> None:
    genomes = read('[{"close":1},{"close":2}]', '[{"instruction":"a"}]', '[{"silent":true},{"close":3}]')
    assert column(genomes, "gene_close") == [[1, 2], None, [None, 3]]
    assert column(genomes, "gene_silent") == [None, None, [True, None]]
    assert column(genomes, "gene_instruction") == [[None, None], ["a"], [None, None]]
    assert genomes.columns()["gene_close"].values.null_count == 1, "no values behind a null list"


def test_a_new_gene_has_a_parent_that_is_null() -> None:
    genomes = read('[{"parent-uuid":null},{"parent-uuid":null}]')
    assert column(genomes, "gene_parent_uuid") == [[None, None]]


def test_what_no_column_holds_is_left_by_position() -> None:
    genomes = read('[{"close":1.5,"instruction":"a"},"b",{"arguments":[1.0E5],"close":2}]')
    assert column(genomes, "gene_close") == [[None, None, 2]]
    assert genomes.left == {0: '{"0":{"close":1.5},"2":{"arguments":[1.0E5]}}'}
    assert genomes.unfit


def test_an_unknown_field_alone_is_no_misfit() -> None:
    assert not read('[{"arguments":1}]').unfit


@pytest.mark.parametrize("text", ['"(a b)"', "5", '{"0":{}}'])
def test_what_is_no_list_is_left_whole(text: str) -> None:
    genomes = read(text)
    assert column(genomes, "gene_instruction") == [None]
    assert (genomes.left, genomes.unfit) == ({0: text}, {0})


@pytest.mark.parametrize(
    "gene",
    [
        '{"close":1,"close":2}',
        '{"close" :1,"close":2}',
        '{"close"\t:1,"close":2}',
        '{"close":1,"clos\\u0065":2}',
        '{"clos\\u0065":1,"close":2}',
        '{"close":1,"instruction":":","close":2}',
        '{"close":1,"instruction":"\\n","close":2}',
    ],
)
@pytest.mark.parametrize("other", ['{"instruction":"a","close":0}', '{"uuid":"x"}', '{"instruction":"\\"close\\":"}'])
def test_equal_keys_in_a_gene_are_found(gene: str, other: str) -> None:
    genomes = read(f"[{other}]", f"[{gene},{other}]", f"[{other}]")
    assert genomes.duplicates
    assert set(genomes.left) == {1}
    assert '"duplicate_keys":{"close":[1,2]}' in genomes.left[1]
    assert column(genomes, "gene_close")[1][0] == 2


def test_strings_that_look_like_keys_are_read_at_once() -> None:
    with mock.patch("gpdata.wire.genome.lexical_genome", side_effect=AssertionError("read lexically")):
        read(
            '[{"instruction":":","close":1},{"instruction":"\\"close\\":","close":12345}]',
            '[{"uuid":"\\u00e9","instruction": 5}]',
        )


GENES = st.lists(
    st.builds(
        lambda instruction, fields: {"instruction": instruction, **fields},
        st.one_of(st.sampled_from(["a", "b\n", ':"', "é"]), st.integers(-20, 20), st.booleans(), st.none()),
        st.fixed_dictionaries(
            {},
            optional={
                "close": st.integers(-(2**31), 2**31 - 1),
                "silent": st.booleans(),
                "uuid": st.text(max_size=3),
                "parent-uuid": st.none() | st.text(max_size=3),
                "random-insertion": st.booleans(),
            },
        ),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(genomes=st.lists(st.none() | GENES, min_size=1, max_size=4))
def test_the_length_of_compact_json_is_known(genomes: list[Any]) -> None:
    import msgspec

    joined = msgspec.json.encode(genomes)
    with mock.patch.object(typed_genes, "_count_keys", side_effect=AssertionError("lengths differ")):
        if b"\\u" not in joined:
            typed_genes.typed_genomes([Raw(msgspec.json.encode(genome)) for genome in genomes])
    at_once = read(*[msgspec.json.encode(genome).decode() for genome in genomes])
    one_by_one = [lexical_genome(parse(msgspec.json.encode(genome).decode(), 9)) for genome in genomes]
    for name, values in at_once.columns().items():
        assert values.to_pylist() == [single.columns()[name].to_pylist()[0] for single in one_by_one]


def test_every_attribute_has_a_column() -> None:
    assert {f"gene_{name.replace('-', '_')}" for name in ATTRIBUTES} | {"gene_instruction", "gene_type"} == {
        name for name in INDIVIDUALS.names if name.startswith("gene_")
    }
