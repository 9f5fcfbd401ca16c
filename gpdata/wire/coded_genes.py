"""Genomes of which many genes are alike: each distinct gene is read once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Raw

from gpdata.wire.genes import Genomes
from gpdata.wire.lists import BARE, OBJECTS, Unfit, cut
from gpdata.wire.members import EMPTY_LIST, NULL
from gpdata.wire.typed_genes import typed_genomes


def coded_genomes(raws: Sequence[Raw]) -> Genomes:
    """Read the genome of each individual, or raise one of `UNREAD`."""
    first = next((raw for raw in raws if raw not in (NULL, EMPTY_LIST)), NULL)
    lists = cut(raws, OBJECTS if bytes(first).startswith(b"[{") else BARE)
    distinct, places = lists.coded()
    genes = typed_genomes([Raw(lists.brackets.joined(distinct).encode())])
    if genes.sizes != [len(distinct)]:
        raise Unfit
    sizes: list[int | None] = lists.sizes.tolist()
    for place in np.flatnonzero(lists.missing).tolist():
        sizes[place] = None
    of = places.to_numpy()
    return Genomes(
        sizes,
        genes.instruction.take(places),
        genes.type.take(places),
        {name: (values.take(places), present[of]) for name, (values, present) in genes.attributes.items()},
    )
