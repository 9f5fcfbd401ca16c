"""Recorder lines into record batches, or rejections: many lines cost little more than their bytes together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, count

import numpy as np
import pyarrow as pa

from gpdata.schema import GENERATIONS, INDIVIDUALS, arrow_schema
from gpdata.wire.best import BEST_INDIVIDUALS, read_best
from gpdata.wire.generation import Generation, read_report, read_start_time
from gpdata.wire.individuals import Individuals, read_individuals
from gpdata.wire.limits import DEFAULT_LIMITS, Limits
from gpdata.wire.line import Head, Origin, read_head, rows_of
from gpdata.wire.members import compact, object_text
from gpdata.wire.rejection import Rejected, Rejection
from gpdata.wire.summary import summaries

_GENERATIONS = arrow_schema(GENERATIONS)
_INDIVIDUALS = arrow_schema(INDIVIDUALS)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One line as rows of the canonical schema.

    Parameters
    ----------
    run_uuid, generation
        The line's key.
    line_sha256 : str
        SHA-256 of the line's bytes, in hex.
    config_sha256 : str
        SHA-256 of the canonical JSON of the line's config, in hex: a run's lines should share it.
    run : pyarrow.RecordBatch
        One row of RUNS.
    generation_row : pyarrow.RecordBatch
        One row of GENERATIONS; `best_so_far` is null, since it needs the earlier lines.
    individuals : pyarrow.RecordBatch
        One row of INDIVIDUALS per individual, in the order of their locations.
    """

    run_uuid: str
    generation: int
    line_sha256: str
    config_sha256: str
    run: pa.RecordBatch
    generation_row: pa.RecordBatch
    individuals: pa.RecordBatch


def decode(line: bytes, origin: Origin, limits: Limits = DEFAULT_LIMITS) -> Decoded | Rejection:
    """Turn one recorder line into rows, or say why it is none. Raises on no bytes whatever.

    Nothing that is sent is dropped: what no column holds is in `extra` of its table, as JSON text with numbers as
    they were written. A value that does not fit its column is null there (or the nearest double), verbatim in
    `extra`, and the generation's `flags` have `value_in_extra`. Of equal keys the column has the last value and
    `extra.duplicate_keys` all of them, and `flags` have `duplicate_keys`. Null and [] of history, ancestors,
    reuse-info and repetition-info say nothing and are not kept.

    Parameters
    ----------
    line : bytes
        The line without its newline.
    origin : Origin
        What the channel knows about it.
    limits : Limits, optional
        What a line may be at most.

    Returns
    -------
    Decoded or Rejection
        Rows, or a code of `REJECTIONS` with a detail.

    Examples
    --------
    >>> line = b'{"config-uuid":"r","index":0,"outcome":"failure","population":[{"total-error":3,"luck":7}]}'
    >>> decoded = decode(line, Origin("import"))
    >>> decoded.individuals.select(["location", "total_error", "extra"]).to_pylist()
    [{'location': 0, 'total_error': 3.0, 'extra': '{"luck":7}'}]
    >>> decode(line[:-2], Origin("import")).code
    'torn'
    """
    return decode_lines([(line, origin)], limits)[0]


def decode_lines(lines: Iterable[tuple[bytes, Origin]], limits: Limits = DEFAULT_LIMITS) -> list[Decoded | Rejection]:
    """Do with each line what `decode` does with one; small lines are read several times as fast together.

    Parameters
    ----------
    lines : iterable of (bytes, Origin)
        Lines, and what their channels know about them; all are held in memory.
    limits : Limits, optional
        What a line may be at most.

    Returns
    -------
    list of Decoded or Rejection
        In the order of the lines; batches of rows are slices of common ones.
    """
    heads = [read_head(line, origin, limits) for line, origin in lines]
    decoded = iter(_decoded([head for head in heads if isinstance(head, Head)], limits.depth))
    return [next(decoded) if isinstance(head, Head) else head for head in heads]


def _decoded(heads: Sequence[Head], depth: int) -> list[Decoded | Rejection]:
    """Turn lines into rows together; where one is rejected, halve by halve until it stands alone."""
    if not heads:
        return []
    try:
        return list(_together(heads, depth))
    except Rejected as rejected:
        if len(heads) == 1:
            (head,) = heads
            return [Rejection(rejected.code, rejected.detail, head.run_uuid, head.generation)]
    half = len(heads) // 2
    return [*_decoded(heads[:half], depth), *_decoded(heads[half:], depth)]


def _together(heads: Sequence[Head], depth: int) -> Iterable[Decoded]:
    sizes = [len(head.population) for head in heads]
    ends = list(accumulate(sizes))
    # All populations stand first, so that their rows are one slice; then what is alike stands together.
    everybody = chain(
        chain.from_iterable(head.population for head in heads),
        (head.best[name] for name in BEST_INDIVIDUALS for head in heads if name in head.best),
    )
    individuals = read_individuals(list(everybody), depth - 3)
    best: list[dict[str, int]] = [{} for _ in heads]
    behind = count(ends[-1])
    for name in BEST_INDIVIDUALS:
        for head, places in zip(heads, best, strict=True):
            if name in head.best:
                places[name] = next(behind)
    generations = [
        _generation(head, range(end - size, end), places, individuals, depth)
        for head, size, end, places in zip(heads, sizes, ends, best, strict=True)
    ]
    rows = _rows(heads, sizes, individuals)
    for generation, summary in zip(generations, summaries(rows, sizes, individuals.genomes_left()), strict=True):
        generation.row |= summary
    table = rows_of([generation.row for generation in generations], _GENERATIONS)
    for place, (head, size, end) in enumerate(zip(heads, sizes, ends, strict=True)):
        yield Decoded(
            head.run_uuid,
            head.generation,
            head.sha256,
            head.config.sha256,
            head.run,
            table.slice(place, 1),
            rows.slice(end - size, size),
        )


def _generation(
    head: Head, population: range, best: dict[str, int], individuals: Individuals, depth: int
) -> Generation:
    """Return a line's row of GENERATIONS but its summaries; its individuals stand at the given places."""
    own = (*population, *best.values())
    generation = Generation(
        unfit=head.config.unfit or not individuals.unfit.isdisjoint(own),
        duplicates=head.config.duplicates or not individuals.duplicates.isdisjoint(own),
    )
    generation.row |= {
        "run_uuid": head.run_uuid,
        "generation": head.generation,
        "outcome": head.outcome,
        "received_at": head.received_at,
        "population_size": len(population),
        "line_sha256": head.sha256,
    }
    read_start_time(generation, head.field("start-time"), depth - 1)
    read_report(generation, head.field("population-report"), depth - 1)
    read_best(generation, head.field("best"), best, population, individuals, depth - 1)
    for name, raw in head.others().items():
        generation.left[name] = compact(raw, depth - 1)
    generation.keep_duplicates(generation.left, head.fields, depth - 1)
    generation.row["flags"] = generation.flags()
    generation.row["extra"] = object_text(generation.left) if generation.left else None
    return generation


def _rows(heads: Sequence[Head], sizes: Sequence[int], individuals: Individuals) -> pa.RecordBatch:
    """Return the rows of INDIVIDUALS of all populations, which stand first."""
    total = sum(sizes)
    of = np.repeat(np.arange(len(heads)), sizes)
    starts = np.cumsum(sizes) - sizes
    columns = {
        "run_uuid": pa.array([head.run_uuid for head in heads], pa.string()).take(pa.array(of)),
        "generation": pa.array(np.array([head.generation for head in heads], dtype=np.int32)[of]),
        "location": pa.array((np.arange(total) - starts[of]).astype(np.int32)),
        "extra": individuals.extra().slice(0, total),
    }
    columns |= {name: column.slice(0, total) for name, column in individuals.columns.items()}
    return pa.RecordBatch.from_arrays([columns[name] for name in _INDIVIDUALS.names], schema=_INDIVIDUALS)
