"""Which instructions genomes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.formulas import with_formulas
from gpdata.analyses.frames import check_same_engine, give_back, group_keys, grouped_runs, take, wrap
from gpdata.schema import GENES, INDIVIDUALS, Column, Type
from gpdata.schema.looks import TYPE_PATTERNS
from gpdata.schema.relations import GENOMES, other_form

INSTRUCTION_FREQUENCY = (
    *(GENES[name] for name in ("instruction", "type")),
    Column("genes", Type.INT, "genes that are this instruction", "instruction", unit="genes"),
    Column(
        "share", Type.DOUBLE, "those / all genes of the group that were counted", "instruction", unit="share of genes"
    ),
    Column("runs", Type.INT, "runs of the group that have such a gene", "run_uuid", unit="runs"),
)
"""The columns that `instruction_frequency` adds to the columns of `by`."""

_KEY = ["run_uuid", "generation", "location"]

_LOOKS = " ".join(f"WHEN regexp_matches(instruction, '{pattern}') THEN '{name}'" for name, pattern in TYPE_PATTERNS)
# A type that follows from the text is worked out of the few different texts, not of every gene.
_UNNESTED = (
    "run_uuid, unnest(gene_instruction) AS instruction, unnest(gene_type) AS type, gene_type IS NOT NULL AS stored"
)
_COUNTED = "run_uuid, instruction, type, stored, count(*) AS n"
_TYPED = f"run_uuid, instruction, CASE WHEN stored THEN type {_LOOKS} ELSE 'string' END AS type, n"
_PER_RUN = "run_uuid, instruction, type, CAST(sum(n) AS BIGINT) AS n"


def instruction_frequency(
    genes: IntoFrameT, runs: IntoFrameT, *, by: str | Sequence[str], of: Any = None
) -> IntoFrameT:
    """Count the genes of each group of runs by their instruction.

    Parameters
    ----------
    genes : frame
        `lab.genes`, or the part of it that is to be counted: genes that are not silent, a generation.
    runs : frame
        `lab.runs`: the runs that are asked about. Genes of other runs are left out.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    of : frame, optional
        The individuals whose genes are counted: any frame with their `run_uuid`, `generation` and `location`, such
        as `winner` and `ancestry` return. All by default. One that is named twice counts once.

    Returns
    -------
    frame
        One row per group, instruction and type that some gene has, ordered by the columns of `by`, nulls first, and
        `genes`, the most first, then instruction and type; the columns of `by`, then those of
        `INSTRUCTION_FREQUENCY`:

        - `instruction`, `type`: the text of the instruction and its JSON type: the string "1" and the number 1 are
          two. A constant is an instruction of its own; `type` tells them from the rest.
        - `genes`: how many.
        - `share`: of all genes of the group that were counted; the shares of a group sum up to 1.
        - `runs`: how many runs of the group have one.

        Nothing is null but the columns of `by`.

    Raises
    ------
    InvalidInput
        A frame is none, the frames are of different engines, or a column of `by` is called like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Genes are counted as often as generations have them: an individual that lives on is counted again. Where groups
    are compared, compare shares, not counts.

    Examples
    --------
    >>> import polars as pl
    >>> genes = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 4,
    ...         "generation": [0] * 4,
    ...         "location": [0, 0, 0, 1],
    ...         "instruction": ["exec_if", "7", "exec_if", "7"],
    ...         "type": ["string", "int", "string", "int"],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]})
    >>> of = genes.filter(location=0)
    >>> instruction_frequency(genes, runs, by="problem", of=of).drop("share", "runs").rows()
    [('odd', 'exec_if', 'string', 2), ('odd', '7', 'int', 1)]
    """
    frames = {"genes": genes, "runs": runs} | ({} if of is None else {"of": of})
    check_same_engine(**frames)
    grouped, keys = grouped_runs(runs, by, INSTRUCTION_FREQUENCY)
    native = wrap(genes, GENES.name)
    genomes = other_form(genes, GENOMES) if native.implementation.is_duckdb() else None
    rows = take(genes, GENES, [*_KEY, "instruction", "type"]) if genomes is None else nw.from_native(genomes)
    rows = rows.join(grouped, on="run_uuid", how="semi")
    if of is not None:
        rows = rows.join(take(of, INDIVIDUALS, _KEY), on=_KEY, how="semi")
    group = group_keys(keys)
    # Counted by run first, before anything is joined: the genes are the largest of all frames.
    if genomes is None:
        per_run = rows.group_by("run_uuid", "instruction", "type").agg(nw.len().alias("n"))
    else:
        # Step by step: for a query of its own DuckDB makes a view first, and then looks anew at all that it knew.
        stored: Any = rows.to_native()
        per_run = nw.from_native(stored.select(_UNNESTED).aggregate(_COUNTED).select(_TYPED).aggregate(_PER_RUN))
    counts = (
        per_run.join(grouped, on="run_uuid", how="inner")
        .group_by(*group, "instruction", "type")
        .agg(nw.col("n").sum().alias("genes"), nw.len().alias("runs"))
        .with_columns(nw.col("genes").sum().over(*group).alias("all"))
    )
    counts = with_formulas(counts, lambda column: {"share": column("genes") / column("all")}).sort(
        *group, "genes", "instruction", "type", descending=[*[False] * len(group), True, False, False]
    )
    return give_back(counts, keys, INSTRUCTION_FREQUENCY, genes)
