"""The genomes of some individuals, read at once where that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from msgspec import Raw

from gpdata.wire.coded_genes import coded_genomes
from gpdata.wire.columns import UNREAD
from gpdata.wire.genes import ATTRIBUTES, Genomes
from gpdata.wire.lexical import parse
from gpdata.wire.lexical_genes import lexical_genome
from gpdata.wire.members import text_of
from gpdata.wire.typed_genes import typed_genomes


def read_genomes(raws: Sequence[Raw], depth: int) -> Genomes:
    """Read the genome of each individual.

    Parameters
    ----------
    raws : sequence of Raw
        The field `genome` of each, `NULL` where it has none.
    depth : int
        The most arrays and objects that may be open in a genome.

    Returns
    -------
    Genomes
        As many as `raws`.

    Raises
    ------
    Rejected
        `too_deep`.

    Examples
    --------
    >>> genomes = read_genomes([Raw(b'[{"instruction":"in1","close":1},2.50]')], depth=8)
    >>> {name: column.to_pylist() for name, column in genomes.columns().items()}
    {'genome_size': [2], 'gene_instruction': [['in1', '2.50']], 'gene_type': [['string', 'float']],
     'gene_close': [[1, None]], 'gene_silent': [None], 'gene_uuid': [None], 'gene_parent_uuid': [None],
     'gene_random_insertion': [None]}
    """
    for read in (coded_genomes, typed_genomes):
        try:
            return read(raws)
        except UNREAD:
            continue
    if len(raws) == 1:
        return lexical_genome(parse(text_of(raws[0]), depth))
    half = len(raws) // 2
    return _concatenated(read_genomes(raws[:half], depth), read_genomes(raws[half:], depth))


def _concatenated(first: Genomes, second: Genomes) -> Genomes:
    shift = len(first.sizes)
    attributes = {}
    for name in ATTRIBUTES:
        (values, present), (more_values, more_present) = first.attributes[name], second.attributes[name]
        attributes[name] = pa.concat_arrays([values, more_values]), np.concatenate([present, more_present])
    return Genomes(
        first.sizes + second.sizes,
        pa.concat_arrays([first.instruction, second.instruction]),
        pa.concat_arrays([first.type, second.type]),
        attributes,
        first.left | {place + shift: text for place, text in second.left.items()},
        first.unfit | {place + shift for place in second.unfit},
        first.duplicates | {place + shift for place in second.duplicates},
    )
