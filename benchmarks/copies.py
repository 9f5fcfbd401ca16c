"""A run with several copies of its population side by side, each with ids and values of its own."""

from __future__ import annotations

import uuid
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake.encoding import STORAGE
from gpdata.lake.uuids import binary, pack, text
from gpdata.wire.summary import summaries

GENES_CHANGED = 0.02
"""Share of the genes that get another instruction."""
ERRORS_CHANGED = 0.3
"""Share of the individuals that get a greater error, among those that are not the best of their generation."""

_ID = 16
_IDS = ("ids", "gene_ids")
_TEXTS = ("uuid_text", "parent_uuids_text", "gene_uuid_text", "gene_parent_uuid_text")

Random = np.random.Generator
Places = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class Source:
    """A run of the small lake, in the form of storage.

    Parameters
    ----------
    individuals, generations, run : pyarrow.Table
        Its rows.
    """

    def __init__(self, individuals: pa.Table, generations: pa.Table, run: pa.Table) -> None:
        self._individuals = individuals.sort_by([("generation", "ascending"), ("location", "ascending")])
        self._generations = generations.sort_by("generation")
        self._run = run
        self.size: int = individuals.num_rows
        self.mean_genes: float = (
            pc.sum(pc.list_value_length(individuals["gene_instruction"])).as_py() or 0
        ) / self.size

    def copied(self, copies: int, longer: int, batch: int, random: Random) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Return the individuals, the generations and the row of a run like this one.

        Parameters
        ----------
        copies : int
            How many copies of the population each generation holds.
        longer : int
            How often a genome stands in a row with itself.
        batch : int
            The batch that the rows belong to.
        random : numpy.random.Generator
            Where ids and changes come from.
        """
        new = str(uuid.UUID(bytes=random.bytes(_ID), version=4))
        masks = random.integers(0, 256, (copies, _ID), np.uint8)
        masks[:, 6] &= 0x0F  # the version and the variant of a uuid stay
        masks[:, 8] &= 0x3F
        place, copy = _side_by_side(self._population_sizes, copies)
        rows = self._individuals.take(pa.array(place)).combine_chunks()
        changed: dict[str, pa.Array] = {
            "location": pa.array(_within(self._population_sizes * copies), pa.int32()),
            **{name: _masked(rows[name].combine_chunks(), copy, masks) for name in _IDS},
            **{name: _marked(rows[name].combine_chunks(), copy, masks) for name in _TEXTS},
            **_other_errors(rows, self._least[place], random),
            "gene_instruction": self._other_genes(rows, place, random),
        }
        if longer > 1:
            changed |= _longer(rows, changed["gene_instruction"], longer)
        individuals = _filled(rows, "individuals", changed, new, batch)
        sizes = self._population_sizes * copies
        counted = summaries(_as_summarized(individuals), sizes.tolist(), {})
        shape = {
            name: pa.array([row[name] for row in counted], STORAGE["generations"].field(name).type)
            for name in counted[0]
        }
        shape |= {
            "population_size": pa.array(sizes, pa.int32()),
            "line_sha256": pa.array([random.bytes(32) for _ in sizes], pa.binary()),
            "best_uuid": _masked_texts(self._generations["best_uuid"].combine_chunks(), masks[0]),
        }
        generations = _filled(self._generations, "generations", shape, new, batch)
        return individuals, generations, _filled(self._run, "runs", {}, new, batch)

    @cached_property
    def _population_sizes(self) -> Places:
        """The size of each generation's population, in order."""
        generation = self._individuals["generation"].to_numpy()
        known = self._generations["generation"].to_numpy()
        sizes: Places = np.searchsorted(generation, known, "right") - np.searchsorted(generation, known, "left")
        return sizes

    @cached_property
    def _least(self) -> npt.NDArray[np.float64]:
        """Of each individual: the least total error of its generation, which must stay so."""
        errors = self._individuals["total_error"].to_numpy()
        starts = np.cumsum(self._population_sizes) - self._population_sizes
        return np.repeat(np.fmin.reduceat(errors, starts), self._population_sizes)

    @cached_property
    def _coded(self) -> tuple[npt.NDArray[np.int32], pa.Array]:
        """All genes as places in the run's vocabulary, and the vocabulary."""
        coded = self._individuals["gene_instruction"].combine_chunks().flatten().dictionary_encode()
        return pc.fill_null(coded.indices, -1).to_numpy(), coded.dictionary

    @cached_property
    def _usual(self) -> npt.NDArray[np.int32]:
        """The instructions whose type is how they look, as places in the vocabulary."""
        as_they_look = self._individuals.filter(pc.is_null(self._individuals["gene_type"]))
        found = pc.unique(pc.drop_null(as_they_look["gene_instruction"].combine_chunks().flatten()))
        places: npt.NDArray[np.int32] = pc.index_in(found, self._coded[1]).to_numpy()
        return places

    def _other_genes(self, rows: pa.Table, place: Places, random: Random) -> pa.Array:
        genomes = rows["gene_instruction"].combine_chunks()
        codes, words = self._coded
        lengths = np.asarray(pc.fill_null(pc.list_value_length(self._individuals["gene_instruction"]), 0))
        starts = (np.cumsum(lengths) - lengths)[place]
        many = lengths[place]
        genes = codes[np.repeat(starts, many) + _within(many)]
        if len(self._usual) < 2:
            return genomes
        other = np.flatnonzero(random.random(len(genes), np.float32) < GENES_CHANGED)
        free = np.repeat(np.asarray(pc.is_null(rows["gene_type"])), many)
        other = other[free[other] & (genes[other] >= 0)]
        genes[other] = self._usual[random.integers(0, len(self._usual), len(other))]
        values = words.take(pa.array(genes, mask=genes < 0))
        return _lists(genomes, many, values)


def _side_by_side(sizes: Places, copies: int) -> tuple[Places, Places]:
    """Return the row and the copy of each row, where each generation is followed by its copies."""
    starts = np.cumsum(sizes) - sizes
    place = np.concatenate([np.tile(np.arange(at, at + n), copies) for at, n in zip(starts, sizes, strict=True)])
    copy = np.concatenate([np.repeat(np.arange(copies), n) for n in sizes])
    return place, copy


def _within(lengths: Places) -> Places:
    """Return 0 .. length - 1 for each, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _lists(like: pa.ListArray, lengths: Places, values: pa.Array) -> pa.ListArray:
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=like.is_null() if like.null_count else None)


def _masked(lists: pa.ListArray, copy: Places, masks: Bytes) -> pa.ListArray:
    """Change the ids by the mask of their copy: equal ones stay equal, and only within a copy."""
    values = lists.flatten()
    if not len(values):
        return lists
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    valid = np.asarray(values.is_valid())
    ids = np.frombuffer(b"".join(values.drop_null().to_pylist()), np.uint8).reshape(-1, _ID)
    packed = np.zeros((len(values), _ID), np.uint8)
    packed[valid] = ids ^ masks[np.repeat(copy, lengths)[valid]]
    return _lists(lists, lengths, binary(packed, valid))


def _marked(texts: pa.Array, copy: Places, masks: Bytes) -> pa.Array:
    """Append something of each copy's own to ids that are no uuids."""
    if texts.null_count == len(texts):
        return texts
    marks = pa.array([mask.tobytes().hex()[:8] for mask in masks])
    if not pa.types.is_list(texts.type):
        return pc.binary_join_element_wise(texts, marks.take(pa.array(copy)), "-")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(texts), 0))
    own = marks.take(pa.array(np.repeat(copy, lengths)))
    return _lists(texts, lengths, pc.binary_join_element_wise(texts.flatten(), own, "-"))


def _masked_texts(uuids: pa.Array, mask: Bytes) -> pa.Array:
    """Change uuids in text as the first copy's."""
    packed, canonical = pack(uuids)
    changed = [
        text((row ^ mask).tobytes()) if is_uuid else None for row, is_uuid in zip(packed, canonical, strict=True)
    ]
    return pc.coalesce(pa.array(changed, pa.string()), uuids)


def _other_errors(rows: pa.Table, least: npt.NDArray[np.float64], random: Random) -> dict[str, pa.Array]:
    """Make a case of some individuals worse, and their total error by as much.

    Only where the total is the sum of the errors: not for an error of another kind, a NaN, or an infinity.
    """
    lists = rows["errors"].combine_chunks()
    total = rows["total_error"].to_numpy()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    values = lists.flatten().to_numpy(zero_copy_only=False).copy()
    ends = np.cumsum(lengths)
    sums = np.zeros(len(total))
    some = np.flatnonzero(lengths)
    if len(some):
        sums[some] = np.add.reduceat(values, (ends - lengths)[some])
    whole = (total == np.floor(total)) & np.isfinite(total)
    summed = np.isclose(sums, total, rtol=1e-12, atol=0) & np.isfinite(total) & (total > least) & (lengths > 0)
    weighted = np.asarray(rows["weighted_error"].is_valid())
    other = np.flatnonzero(summed & ~weighted & (random.random(len(total)) < ERRORS_CHANGED))
    more = np.where(whole[other], random.integers(1, 4, len(other)), random.random(len(other)))
    case = (ends - lengths)[other] + (random.random(len(other)) * lengths[other]).astype(np.int64)
    values[case] += more
    total = total.copy()
    total[other] += more
    nulls = np.asarray(lists.flatten().is_null())
    return {
        "errors": _lists(lists, lengths, pa.array(values, mask=nulls)),
        "total_error": pa.array(total, mask=np.asarray(rows["total_error"].is_null())),
    }


def _longer(rows: pa.Table, instructions: pa.Array, times: int) -> dict[str, pa.Array]:
    """Put each genome several times in a row with itself; genes have no ids and parents then."""
    found = {"gene_instruction": instructions}
    for name in ("gene_type", "gene_close", "gene_silent", "gene_random_insertion"):
        found[name] = rows[name].combine_chunks()
    for name, lists in found.items():
        if lists.null_count == len(lists):
            continue
        lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
        starts = np.repeat(np.cumsum(lengths) - lengths, times)
        each = np.repeat(lengths, times)
        take = np.repeat(starts, each) + _within(each)
        found[name] = _lists(lists, lengths * times, lists.flatten().take(pa.array(take)))
    for name in ("gene_ids", "gene_uuid_text", "gene_parent_uuid_text"):
        found[name] = pa.nulls(rows.num_rows, rows.schema.field(name).type)
    sizes = pc.multiply(rows["genome_size"].combine_chunks(), pa.scalar(times, pa.int32()))
    return found | {"genome_size": sizes}


def _as_summarized(individuals: pa.Table) -> pa.RecordBatch:
    """Return what is counted, under the names of the canonical columns; bytes are as different as their texts."""
    uuids = {"gene_uuid": "gene_ids", "gene_parent_uuid": "gene_parent_uuid_text"}
    names = ("total_error", "errors", "program", "behaviors", "genome_size", "program_size", "age", "gene_instruction",
             "gene_type", "gene_close", "gene_silent", "gene_random_insertion", *uuids)  # fmt: skip
    columns = {name: individuals[uuids.get(name, name)].combine_chunks() for name in names}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _filled(rows: pa.Table, table: str, changed: dict[str, pa.Array], run: str, batch: int) -> pa.Table:
    changed = changed | {
        "run_uuid": pa.array([run], pa.string()).take(pa.array(np.zeros(rows.num_rows, np.int64))),
        "batch": pa.array(np.full(rows.num_rows, batch), pa.int64()),
    }
    columns = [changed[name] if name in changed else rows[name].combine_chunks() for name in rows.schema.names]
    return pa.Table.from_arrays(columns, schema=STORAGE[table])
