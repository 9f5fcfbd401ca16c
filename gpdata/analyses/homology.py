"""How alike the genomes of a population are, by a sample of pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from narwhals.stable.v2.typing import IntoFrameT
from rapidfuzz.distance import Levenshtein

from gpdata.analyses.frames import give_rows, only_runs, run_names, take
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, INDIVIDUALS, Column, Type
from gpdata.schema.arrow import ARROW

_KEY = ("run_uuid", "generation", "location")
_UNIT = "share of the longer genome"


def _over_pairs(name: str, what: str, null: str | None = None) -> Column:
    return Column(name, Type.DOUBLE, f"{what} of distance / length of the longer genome", "gene_*", null, _UNIT)


HOMOLOGY = (
    *(GENERATIONS[name] for name in ("run_uuid", "generation")),
    Column("pairs", Type.INT, "pairs of individuals in the sample", "pairs", unit="pairs"),
    _over_pairs("distance_mean", "mean"),
    _over_pairs("distance_sd", "standard deviation (n - 1)", "one pair"),
    _over_pairs("distance_q1", "first quartile (linear interpolation)"),
    _over_pairs("distance_median", "median"),
    _over_pairs("distance_q3", "third quartile (linear interpolation)"),
)
"""The result columns of `homology`."""


def homology(
    individuals: IntoFrameT, *, runs: str | Sequence[str] | None = None, pairs: int = 100, seed: int = 0
) -> IntoFrameT:
    """Estimate how far the genomes of each population are apart, over a sample of pairs.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`, or the part of it that is asked about, such as every tenth generation.
    runs : str or sequence of str, optional
        The `run_uuid` of the runs to read, all by default. Name them in a large lake: see the notes.
    pairs : int
        How many pairs of each generation are drawn, with replacement, each of two different individuals. Where the
        population has no more pairs than that, every pair is taken once, and nothing is left to chance.
    seed : int
        Another seed draws another sample, the same one on every engine and machine.

    Returns
    -------
    frame
        One row per run and generation of which two individuals or more have a genome, ordered so, with the columns
        of `HOMOLOGY`:

        - `run_uuid`, `generation`, and `pairs`: the size of the sample.
        - `distance_mean`, `distance_sd`, `distance_q1`, `distance_median`, `distance_q3`: over the sample, of the
          Levenshtein distance of the two genomes / the length of the longer: 0 where they are the same, 1 where they
          have nothing in common. The standard deviation is null for one pair.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame, `runs` is neither a text nor a list of texts, `pairs` is less than 1, or `seed`
        less than 0.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Genes are the same if their instructions are, in text and type; what they close, their uuids and whether they are
    silent is not looked at. Two empty genomes have the distance 0.

    The keys of the individuals that have a genome are collected, then the genomes of the sample, and no others: at
    most 2 x `pairs` a generation.

    Source: the homology statistics of Clojush, which draw 1,000 pairs, those of an individual with itself among
    them: its mean is expected to be (P - 1) / P of this one. Distances are computed by RapidFuzz.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = {"run_uuid": ["a"] * 3, "generation": [0] * 3, "location": [0, 1, 2]}
    >>> individuals |= {"gene_instruction": [["x", "y"], ["x", "z", "y", "y"], ["z", "w"]]}
    >>> individuals |= {"gene_type": [["string"] * 2, ["string"] * 4, ["string"] * 2]}
    >>> homology(pl.DataFrame(individuals)).select("pairs", "distance_mean", "distance_q1").rows()
    [(3, 0.75, 0.625)]
    """
    if pairs < 1 or seed < 0:
        raise InvalidInput(f"{pairs=}, {seed=}: give 1 pair or more, and a seed of 0 or more.")
    chosen = individuals if runs is None else only_runs(individuals, INDIVIDUALS, run_names("runs", runs))
    drawn = list(_draw(_with_genome(chosen), pairs, seed))
    wanted = {
        "run_uuid": [run for run, _, locations in drawn for _ in np.unique(locations)],
        "generation": [generation for _, generation, locations in drawn for _ in np.unique(locations)],
        "location": [int(location) for _, _, locations in drawn for location in np.unique(locations)],
    }
    keys = {name: pa.array(values, ARROW[INDIVIDUALS[name].type]) for name, values in wanted.items()}
    sample = take(give_rows(keys, [INDIVIDUALS[name] for name in _KEY], chosen, "sample"), INDIVIDUALS, _KEY)
    genomes = _Genomes(chosen, sample)
    rows = [_summary(run, generation, genomes.distances(run, generation, of)) for run, generation, of in drawn]
    columns = {
        column.name: pa.array([row[place] for row in rows], ARROW[column.type]) for place, column in enumerate(HOMOLOGY)
    }
    return give_rows(columns, HOMOLOGY, individuals, "homology")


class _Genomes:
    """The genomes of the sample, by run and generation."""

    def __init__(self, individuals: Any, sample: nw.LazyFrame[Any]) -> None:
        rows = take(individuals, INDIVIDUALS, [*_KEY, "gene_instruction", "gene_type"])
        table = rows.join(sample, on=list(_KEY), how="semi").collect("pyarrow").to_native()
        self._table: pa.Table = table.sort_by([(name, "ascending") for name in _KEY])
        self._start = 0

    def distances(self, run: str, generation: int, pairs: npt.NDArray[np.int64]) -> list[float]:
        """Return the distance of each pair of locations; generations are asked for in their order."""
        count = len(np.unique(pairs))
        part = self._table.slice(self._start, count)
        self._start += count
        genomes = {
            row["location"]: list(zip(row["gene_instruction"], row["gene_type"], strict=True))
            for row in part.to_pylist()
        }
        return [
            Levenshtein.distance(genomes[a], genomes[b]) / (max(len(genomes[a]), len(genomes[b])) or 1)
            for a, b in pairs.tolist()
        ]


def _with_genome(individuals: Any) -> pa.Table:
    rows = take(individuals, INDIVIDUALS, _KEY, gene_instruction="gene_instruction")
    keys = rows.filter(~nw.col("gene_instruction").is_null()).select(*_KEY)
    return keys.collect("pyarrow").to_native().sort_by([(name, "ascending") for name in _KEY])


def _draw(keys: pa.Table, pairs: int, seed: int) -> Iterator[tuple[str, int, npt.NDArray[np.int64]]]:
    """Yield for each run and generation the pairs of locations of its sample, in an array of two columns."""
    runs, generations = keys["run_uuid"].to_pylist(), keys["generation"].to_pylist()
    location = keys["location"].to_numpy()
    changes = [at for at in range(1, len(runs)) if (runs[at], generations[at]) != (runs[at - 1], generations[at - 1])]
    for start, end in zip([0, *changes], [*changes, len(runs)], strict=True):
        size = end - start
        if size < 2:
            continue
        if pairs >= size * (size - 1) // 2:
            places = np.stack(np.triu_indices(size, 1), axis=1)
        else:
            name = f"{seed} {runs[start]} {generations[start]}".encode()
            # The raw bits: of them alone numpy promises that they stay the same.
            bits = np.random.Philox(int.from_bytes(hashlib.sha256(name).digest()[:16])).random_raw(2 * pairs)
            first, other = (bits[:pairs] % size).astype(np.int64), (bits[pairs:] % (size - 1)).astype(np.int64)
            places = np.stack([first, other + (other >= first)], axis=1)
        yield runs[start], generations[start], location[start:end][places]


def _summary(run: str, generation: int, distances: list[float]) -> tuple[Any, ...]:
    quartiles = (float(value) for value in np.quantile(distances, [0.25, 0.5, 0.75]))
    sd = float(np.std(distances, ddof=1)) if len(distances) > 1 else None
    return run, generation, len(distances), float(np.mean(distances)), sd, *quartiles
