"""The shape of a phylogeny: the common ancestor, the distance and the diversity of who lives."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from narwhals.stable.v2 import LazyFrame
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_columns, give_rows, wrap
from gpdata.errors import InvalidInput
from gpdata.schema import Column, Type

PHYLOGENY = (
    Column("mrca_depth", Type.INT, "steps from the root to the most recent common ancestor of the extant taxa",
           "ancestor_list", "there is none: no taxa, or several roots", "taxa"),
    Column("mean_pairwise_distance", Type.DOUBLE, "mean steps between two extant taxa, over the pairs with a path",
           "ancestor_list", "no two extant taxa have a common ancestor", "taxa"),
    Column("phylogenetic_diversity", Type.INT, "extant taxa and their ancestors, less one", "ancestor_list",
           "there are no taxa", "taxa"),
)  # fmt: skip
"""The result columns of `phylogeny`."""

_NONE = {"", "none"}


def phylogeny(taxa: IntoFrameT) -> IntoFrameT:
    """Measure a phylogeny in the ALife standard: common ancestor, mean pairwise distance, diversity.

    Parameters
    ----------
    taxa : frame
        One row per taxon, in any order: `id`; `ancestor_list`, the parent's id as `[12]`, or `[NONE]` or `[]` for a
        root; optionally `destruction_time`. Other columns are not looked at. `gpdata.exports.to_phylogeny` makes one
        (with `parents="first"`), and `pandas.read_csv` reads one.

    Returns
    -------
    frame
        One row, with the columns of `PHYLOGENY`:

        - `mrca_depth`: steps from the root, whose depth is 0, to the most recent common ancestor of all extant taxa;
          of one extant taxon, it is that itself. Null where there are several roots, or no taxa.
        - `mean_pairwise_distance`: mean number of steps between two extant taxa, over the pairs that have a common
          ancestor. Null where there is no such pair.
        - `phylogenetic_diversity`: number of extant taxa and their ancestors, less one: with one root, the steps of
          the least tree that has all extant taxa and the root. Null where there are no taxa.

    Raises
    ------
    InvalidInput
        `taxa` is not a frame, an id is missing or there twice, a taxon has several parents or one that is not there,
        or is its own ancestor.
    UnknownColumn
        `id` or `ancestor_list` is missing.

    Notes
    -----
    Extant are the taxa without offspring, whatever their `destruction_time`, and those whose `destruction_time` is
    infinite. Every step counts 1, unifurcations too. These are the definitions of phylotrackpy (`load_from_file`,
    `mrca_depth`, `get_mean_pairwise_distance(False)`, `get_phylogenetic_diversity`), which does not answer where a
    root is a leaf; we do.

    The taxa are collected, and measured in time that grows as their number does.

    Source: Dolson, E., Rodriguez-Papa, S., Moreno, M. A. (2024), "Phylotrack: C++ and Python libraries for in silico
    phylogenetic tracking"; Webb, C. O., Losos, J. B. (2000), "Exploring the phylogenetic structure of ecological
    communities", American Naturalist 156:145-155; Faith, D. P. (1992), "Conservation evaluation and phylogenetic
    diversity", Biological Conservation 61:1-10. Format: https://alife-data-standards.github.io/alife-data-standards/

    Examples
    --------
    >>> import polars as pl
    >>> taxa = pl.DataFrame({"id": [0, 1, 2, 3], "ancestor_list": ["[NONE]", "[0]", "[1]", "[1]"]})
    >>> phylogeny(taxa).rows(named=True)
    [{'mrca_depth': 1, 'mean_pairwise_distance': 2.0, 'phylogenetic_diversity': 3}]
    """
    parent, extant = _read(taxa)
    order, depth = _from_the_roots(parent)
    children: list[list[int]] = [[] for _ in parent]
    for taxon, above in enumerate(parent):
        if above >= 0:
            children[above].append(taxon)
    living = [int(lives or not below) for lives, below in zip(extant, children, strict=True)]
    for taxon in reversed(order):
        if parent[taxon] >= 0:
            living[parent[taxon]] += living[taxon]

    roots = [taxon for taxon in order if parent[taxon] < 0]
    total = {root: living[root] for root in roots}
    root_of: dict[int, int] = {}
    for taxon in order:
        root_of[taxon] = taxon if parent[taxon] < 0 else root_of[parent[taxon]]
    # A step is on the path of each pair with one taxon below it and one not.
    steps = sum(living[t] * (total[root_of[t]] - living[t]) for t in order if parent[t] >= 0)
    pairs = sum(n * (n - 1) // 2 for n in total.values())
    row = {
        "mrca_depth": _common_depth(roots[0], children, living, depth) if len(roots) == 1 else None,
        "mean_pairwise_distance": steps / pairs if pairs else None,
        "phylogenetic_diversity": len(parent) - 1 if parent else None,
    }
    return give_rows({name: [value] for name, value in row.items()}, PHYLOGENY, taxa, "phylogeny")


def _common_depth(root: int, children: list[list[int]], living: list[int], depth: list[int]) -> int:
    """Go down from the root while all that lives is below one child."""
    at = root
    while True:
        below = [child for child in children[at] if living[child] == living[root]]
        if not below:
            return depth[at]
        at = below[0]


def _from_the_roots(parent: list[int]) -> tuple[list[int], list[int]]:
    """Return the taxa, each after its parent, and their depths."""
    depth = [-1] * len(parent)
    order = []
    for start in range(len(parent)):
        line = []
        at = start
        while at >= 0 and depth[at] < 0:
            depth[at] = len(parent)  # on the way
            line.append(at)
            at = parent[at]
        if at >= 0 and depth[at] == len(parent):
            raise InvalidInput(f"taxon {at} of {len(parent)}, from 0, is its own ancestor: mend its ancestor_list.")
        above = depth[at] if at >= 0 else -1
        for taxon in reversed(line):
            above += 1
            depth[taxon] = above
            order.append(taxon)
    return order, depth


def _read(taxa: Any) -> tuple[list[int], list[bool]]:
    """Return for each taxon the position of its parent, -1 for a root, and whether it is said to live."""
    given = wrap(taxa, "taxa")
    present = given.collect_schema().names()
    check_columns(["id", "ancestor_list"], present, "taxa", "Give a phylogeny in the ALife standard.")
    columns = [name for name in ("id", "ancestor_list", "destruction_time") if name in present]
    chosen = given.select(*columns)
    table: pa.Table = chosen.collect("pyarrow").to_native() if isinstance(chosen, LazyFrame) else chosen.to_arrow()
    ids = [_name(value) for value in table["id"].to_pylist()]
    place = {name: at for at, name in enumerate(ids)}
    if "" in place or len(place) < len(ids):
        raise InvalidInput("taxa has an id that is missing or there twice: give one row per taxon.")
    parents = []
    for name, ancestors in zip(ids, table["ancestor_list"].to_pylist(), strict=True):
        parts = ancestors if isinstance(ancestors, list) else str(ancestors or "").strip().strip("[]").split(",")
        above = [part for part in (_name(part) for part in parts) if part.lower() not in _NONE]
        if len(above) > 1:
            raise InvalidInput(
                f"taxon {name} has the parents {', '.join(above)}: these measures are of lines of single parents. "
                'gpdata.exports.to_phylogeny(..., parents="first") makes such lines.'
            )
        if above and above[0] not in place:
            raise InvalidInput(f"taxon {name} has the parent {above[0]}, which is not in taxa: give it, or [NONE].")
        parents.append(place[above[0]] if above else -1)
    ends = table["destruction_time"].to_pylist() if "destruction_time" in columns else [None] * len(ids)
    return parents, [_is_infinite(end) for end in ends]


def _name(value: object) -> str:
    """Write an id alike, as a number or as text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip().strip("\"'")


def _is_infinite(end: object) -> bool:
    try:
        return math.isinf(float(str(end)))
    except ValueError:
        return False
