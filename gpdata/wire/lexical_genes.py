"""One genome read lexically, of which msgspec would lose something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from msgspec import UNSET, UnsetType

from gpdata.wire.columns import FloatText
from gpdata.wire.genes import ATTRIBUTES, CODE_OF, Genomes, attribute, type_names
from gpdata.wire.lexical import Node, Verbatim, dump
from gpdata.wire.members import DUPLICATE_KEYS, duplicates_text, grouped, object_text
from gpdata.wire.values import is_int, utf8


@dataclass(slots=True)
class _LexicalGene:
    instruction: str | None
    type: int
    attributes: dict[str, Any]
    left: dict[str, str]
    unfit: bool
    duplicates: bool


def lexical_genome(node: Node) -> Genomes:
    """Read one genome; what no column holds is in `left`."""
    genes = [_lexical_gene(item) for item in node] if isinstance(node, list) else []
    left = {position: object_text(gene.left) for position, gene in enumerate(genes) if gene.left}
    is_list = isinstance(node, list | None)
    genomes = Genomes(
        [len(genes) if isinstance(node, list) else None],
        pa.array([gene.instruction for gene in genes], pa.string()),
        type_names(pa.array([gene.type for gene in genes], pa.uint8())),
        {
            name: attribute([gene.attributes.get(name, UNSET) for gene in genes], len(genes), kind.arrow)
            for name, kind in ATTRIBUTES.items()
        },
        unfit={0} if not is_list or any(gene.unfit for gene in genes) else set(),
        duplicates={0} if any(gene.duplicates for gene in genes) else set(),
    )
    if left:
        genomes.left[0] = "{" + ",".join(f'"{position}":{text}' for position, text in left.items()) + "}"
    elif not is_list:
        genomes.left[0] = dump(node)
    return genomes


def _lexical_gene(node: Node) -> _LexicalGene:
    fields, repeated = grouped(node) if isinstance(node, tuple) else ({"instruction": node}, {})
    gene = _LexicalGene(None, CODE_OF[UnsetType], {}, {}, unfit=False, duplicates=bool(repeated))
    for name, value in fields.items():
        if name == "instruction":
            gene.instruction, gene.type, fits = _lexical_instruction(value)
        elif name in ATTRIBUTES:
            gene.attributes[name], fits = ATTRIBUTES[name].lexical(value)
        else:
            gene.left[name] = dump(value)
            continue
        if not fits:
            gene.left[name] = dump(value)
            gene.unfit = True
    if repeated:
        gene.left.pop(DUPLICATE_KEYS, None)
        gene.left[DUPLICATE_KEYS] = duplicates_text(
            {name: [dump(value) for value in values] for name, values in repeated.items()}
        )
    return gene


def _lexical_instruction(node: Node) -> tuple[str, int, bool]:
    if type(node) is Verbatim:
        return node, CODE_OF[int if is_int(node) else FloatText], True
    if type(node) is str:
        text, fits = utf8(node)
        return text, CODE_OF[str], fits
    return dump(node), CODE_OF[type(node)], True
