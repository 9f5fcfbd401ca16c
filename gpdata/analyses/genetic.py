"""The ancestors that gave genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT
from rapidfuzz.distance import DamerauLevenshtein

from gpdata.analyses.ancestors import read_lines
from gpdata.analyses.frames import give_rows, take
from gpdata.analyses.genealogy import KEY, Flags, Genealogy
from gpdata.errors import InvalidInput
from gpdata.schema import INDIVIDUALS, Column, Type

_LOST = "no recorded parent of the child is meant: see the rows of lost parents"

GENETIC_ANCESTRY = (
    *(INDIVIDUALS[name] for name in ("run_uuid", "generation", "location", "uuid")),
    Column("parent_uuid", Type.STRING, "the parent that gave genes", "parent_uuids",
           "which parent is not known: no recorded one has the genes that the child's genes name"),
    Column("parent_generation", Type.INT, "the parent's generation", "generation, uuid", _LOST, "generation"),
    Column("parent_location", Type.INT, "the parent's location there", "location, uuid", _LOST),
    Column("genes", Type.INT, "the child's traced genes that are the parent's", "gene_uuid, gene_parent_uuid",
           "the parent was not recorded: how many it gave is not known", "genes"),
    Column("distance", Type.INT, "Damerau-Levenshtein distance of the two genomes", "gene_instruction, gene_type",
           _LOST, "genes"),
)  # fmt: skip
"""The result columns of `genetic_ancestry`."""


def genetic_ancestry(individuals: IntoFrameT, *, of: Any) -> IntoFrameT:
    """Return the ancestors whose genes came down to chosen individuals, and from whom to whom they went.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`, of runs that recorded the uuids of genes (in Clojush, with `:track-instruction-maps true`).
    of : frame
        The chosen individuals: any frame with their `run_uuid`, `generation` and `location`, such as `winner`
        returns. They may be many, and of several runs.

    Returns
    -------
    frame
        One row per child and parent that gave it a traced gene, ordered by run, child and parent, with the columns
        of `GENETIC_ANCESTRY`:

        - `run_uuid`, `generation`, `location`, `uuid`: the child, a chosen individual or a genetic ancestor.
        - `parent_uuid`, `parent_generation`, `parent_location`: the parent's row in individuals.
        - `genes`: how many of the child's traced genes are the parent's. One that two parents hold, because they had
          it from the same ancestor, counts for both.
        - `distance`: the Damerau-Levenshtein distance of the two whole genomes, the weight of the edge.

        What is lost is said and never invented. A parent that was not recorded has a row of its `parent_uuid`, all
        that follows being null. Where every parent was recorded, but none has the gene that a gene names, there is a
        row whose `genes` counts such genes, its other columns of the parent being null.

        A traced gene that names no gene and that no parent has is new: it began with the child and has no row.

    Raises
    ------
    InvalidInput
        A frame is none, `individuals` lacks a row of `of`, or a chosen individual has no gene uuids.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Traced are all genes of the chosen individuals, and each gene that one of those was copied from, and so on: a
    parent's gene is meant if its uuid is the child's gene's own, which was kept, or else the one that the child's
    gene names as its parent. An ancestor whose genes all got lost on the way is none here, though it is one of
    `ancestry`. Which row a parent's uuid means is said with `ancestry_edges`.

    The distance is the least number of insertions, deletions, replacements and swaps of neighbours, further edits
    between the swapped being allowed (Lowrance, R., Wagner, R. A. (1975), "An extension of the string-to-string
    correction problem", JACM 22:177-183). Two genes are equal if their instructions are, in text and type.

    Keys, uuids and parents of the runs of `of` are collected, and the genomes of all ancestors, of no other
    individual; the result is a frame of the engine of `individuals`.

    Source: McPhee, N. F., Casale, M. M., Finzel, M., Helmuth, T., Spector, L. (2016), "Visualizing genetic programming
    ancestries", GECCO 2016 Companion.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [0, 0, 1],
    ...         "location": [0, 1, 0],
    ...         "uuid": ["p", "q", "r"],
    ...         "parent_uuids": [None, None, ["p", "q"]],
    ...         "gene_instruction": [["x", "y"], ["z"], ["x", "w"]],
    ...         "gene_type": [["string"] * 2, ["string"], ["string"] * 2],
    ...         "gene_uuid": [["1", "2"], ["3"], ["4", "5"]],
    ...         "gene_parent_uuid": [None, None, ["1", None]],
    ...     }
    ... )
    >>> found = genetic_ancestry(individuals, of=individuals.filter(uuid="r"))
    >>> found.select("uuid", "parent_uuid", "genes", "distance").rows()
    [('r', 'p', 1, 1)]
    """
    lines, chosen = read_lines(individuals, of)
    genomes = _genomes(individuals, lines, lines.ancestors(chosen))
    for row in chosen.tolist():
        if not genomes[row].tracked:
            where = {name: lines.rows[name][row].as_py() for name in KEY}
            raise InvalidInput(
                f"{where} has no gene uuids: what came from whom was not recorded. Ask `ancestry`, or record runs "
                "that track genes (in Clojush, :track-instruction-maps true)."
            )
    edges = _trace(lines, set(chosen.tolist()), genomes)
    columns: dict[str, list[Any]] = {column.name: [] for column in GENETIC_ANCESTRY}
    names = [column.name for column in GENETIC_ANCESTRY[:4]]
    shown = lines.rows.select(names).take(pa.array([edge.child for edge in edges], pa.int64()))
    for edge in edges:
        found = edge.parent >= 0
        columns["parent_uuid"].append(edge.uuid)
        columns["parent_generation"].append(int(lines.generation[edge.parent]) if found else None)
        columns["parent_location"].append(int(lines.location[edge.parent]) if found else None)
        columns["genes"].append(edge.genes)
        distance = DamerauLevenshtein.distance(genomes[edge.child].genes, genomes[edge.parent].genes) if found else None
        columns["distance"].append(distance)
    return give_rows(columns | {n: shown[n] for n in names}, GENETIC_ANCESTRY, individuals, "genetic_ancestry")


@dataclass(frozen=True, slots=True)
class _Genome:
    genes: list[tuple[str, str]]
    uuids: list[str | None]
    copied: list[str | None]
    """Of each gene: the uuid of the gene that it was copied from."""
    tracked: bool


@dataclass(frozen=True, slots=True)
class _Edge:
    child: int
    parent: int
    uuid: str | None
    genes: int | None


def _genomes(individuals: Any, lines: Genealogy, marked: Flags) -> dict[int, _Genome]:
    """Collect the genomes of the marked rows."""
    rows = np.flatnonzero(marked)
    keys = lines.rows.select(list(KEY)).take(pa.array(rows))
    columns = [INDIVIDUALS[name] for name in KEY]
    wanted = take(give_rows({n: keys[n] for n in KEY}, columns, individuals, "ancestors"), INDIVIDUALS, KEY)
    genes = ("gene_instruction", "gene_type", "gene_uuid", "gene_parent_uuid")
    read = take(individuals, INDIVIDUALS, [*KEY, *genes]).join(wanted, on=list(KEY), how="semi")
    table: pa.Table = read.collect("pyarrow").to_native()
    found = {}
    for row, (instructions, types, uuids, copied) in zip(
        lines.find(table).tolist(), zip(*(table[name].to_pylist() for name in genes), strict=True), strict=True
    ):
        size = len(instructions or [])
        found[row] = _Genome(
            list(zip(instructions or [], types or [], strict=True)),
            uuids or [None] * size,
            copied or [None] * size,
            instructions is not None and (uuids is not None or not size),
        )
    return found


def _trace(lines: Genealogy, chosen: set[int], genomes: dict[int, _Genome]) -> list[_Edge]:
    """Follow the genes of the chosen rows back, generation by generation; edges by child and parent."""
    wanted: dict[int, set[str | None]] = {row: set(genomes[row].uuids) for row in chosen}
    edges = []
    # A parent is of an earlier generation: when a row is reached, all that its children want of it is known.
    for row in sorted(genomes, key=lambda row: -lines.generation[row]):
        if row not in wanted:
            continue
        genome, mine = genomes[row], wanted[row]
        first, end = np.searchsorted(lines.child, [row, row + 1])
        parents = dict.fromkeys(parent for parent in lines.parent[first:end].tolist() if parent >= 0)
        lost = dict.fromkeys(lines.parent_uuid[at].as_py() for at in range(first, end) if lines.parent[at] < 0)
        pools = {parent: set(genomes[parent].uuids) - {None} for parent in parents}
        given = dict.fromkeys(parents, 0)
        unknown = 0
        for uuid, copied in zip(genome.uuids, genome.copied, strict=True):
            if uuid not in mine:
                continue
            for source in (uuid, copied):
                givers = [parent for parent in parents if source in pools[parent]]
                if givers:
                    for parent in givers:
                        given[parent] += 1
                        wanted.setdefault(parent, set()).add(source)
                    break
            else:
                unknown += copied is not None
        edges += [_Edge(row, p, lines.rows["uuid"][p].as_py(), genes) for p, genes in given.items() if genes]
        edges += [_Edge(row, -1, uuid, None) for uuid in lost]
        if unknown and not lost:
            edges.append(_Edge(row, -1, None, unknown))

    def order(edge: _Edge) -> tuple[int, ...]:
        child, parent = edge.child, edge.parent
        giver = (1, 0, 0) if parent < 0 else (0, int(lines.generation[parent]), int(lines.location[parent]))
        return (int(lines.run[child]), int(lines.generation[child]), int(lines.location[child]), *giver)

    return sorted(edges, key=order)
