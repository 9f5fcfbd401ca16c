"""The formats that `gpdata import` reads: what each begins with, what reads it, and what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from gpdata.importers import clojush_csv, clojush_edn, clojush_json, clojush_text, phylogeny
from gpdata.importers.items import Item
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS

HEAD_BYTES = 256 << 10
"""How much of a file is looked at to tell its format."""

_OBJECT = re.compile(rb'^\s*\{\s*"', re.MULTILINE)
_FIELD = re.compile(rb'"(config-uuid|population|index|outcome|config)"\s*:')

_ERRORS = tuple(f"total_error_{stat}" for stat in ("min", "q1", "median", "q3", "max", "mean"))


def _four(of: str) -> tuple[str, ...]:
    return tuple(f"{of}_{stat}" for stat in ("min", "median", "mean", "max"))


_GENES = ("gene_instruction", "gene_type", "gene_close", "gene_silent", "gene_uuid", "gene_parent_uuid",
          "gene_random_insertion")  # fmt: skip
_COMPUTED = {
    "runs": {"run_uuid", "system", "owner", "source", "config_id", "flags", "extra"},
    "generations": {"run_uuid", "generation", "received_at", "population_size", "line_sha256", "flags", "extra"},
    "individuals": {"run_uuid", "generation", "location", "extra"},
}
"""Columns that do not depend on the format."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files.

    Parameters
    ----------
    name, title : str
        What it is called, short and for people.
    is_it : callable
        Whether a file that begins so has the format.
    read : callable or None
        What yields the generations of a decompressed stream; None: its lines are those of the wire.
    rank : int
        Of the same run in several formats, the one of the greatest rank says most.
    run_uuid : callable, optional
        Returns the run that the beginning of a file names.
    holds : dict of str to set of str
        The columns that it can fill, by table.
    """

    name: str
    title: str
    is_it: Callable[[bytes], bool]
    read: Callable[[BinaryIO, int], Iterator[Item]] | None
    rank: int
    run_uuid: Callable[[bytes], str | None] = lambda head: None
    holds: dict[str, set[str]] = field(default_factory=dict)


def is_recorder(head: bytes) -> bool:
    """Whether a file that begins so is a recorder stream: a line of it is a JSON object with a field of the wire.

    Examples
    --------
    >>> is_recorder(b'{"start-time":1,"population":[{'), is_recorder(b'{"dependencies": {}}')
    (True, False)
    """
    return _OBJECT.search(head) is not None and _FIELD.search(head) is not None


_EDN = {
    "runs": {"label", "config"},
    "generations": {*_ERRORS, "best_so_far", "distinct_error_vectors", "distinct_total_errors", "distinct_genomes",
                    "distinct_programs", *_four("genome_size"), *_four("program_size")},
    "individuals": {"uuid", "parent_uuids", "genetic_operators", "total_error", "errors", "program", "program_size",
                    "genome_size", *_GENES},
}  # fmt: skip

FORMATS: dict[str, Format] = {
    found.name: found
    for found in (
        Format(
            "recorder",
            "recorder stream",
            is_recorder,
            None,
            9,
            holds={table.name: set(table.names) for table in (RUNS, GENERATIONS, INDIVIDUALS)},
        ),
        Format(
            "edn", "Clojush EDN log", clojush_edn.is_clojush_edn, clojush_edn.read_edn, 8, clojush_edn.run_uuid, _EDN
        ),
        Format(
            "csv",
            "Clojush CSV log",
            clojush_csv.is_clojush_csv,
            clojush_csv.read_csv,
            7,
            holds={
                "runs": set(),
                "generations": _EDN["generations"],
                "individuals": _EDN["individuals"] | {"is_random_replacement"},
            },
        ),
        Format(
            "json",
            "Clojush JSON log",
            clojush_json.is_clojush_json,
            clojush_json.read_json,
            6,
            holds={
                "runs": set(),
                "generations": {*_ERRORS, "best_so_far", "distinct_error_vectors", "distinct_total_errors",
                                "distinct_programs", *_four("program_size")},
                "individuals": {"total_error", "errors", "weighted_error", "program", "program_size"},
            },
        ),
        Format(
            "phylogeny",
            "ALife phylogeny",
            phylogeny.is_phylogeny,
            phylogeny.read_phylogeny,
            5,
            holds={"runs": set(), "generations": set(), "individuals": {"uuid", "parent_uuids"}},
        ),
        Format(
            "text",
            "Clojush standard output",
            clojush_text.is_clojush_text,
            clojush_text.read_text,
            4,
            clojush_text.run_uuid,
            {
                "runs": {"problem", "label", "version", "git_hash", "command", "config"},
                "generations": {"outcome", "best_total_error", "best_errors", "best_test_errors", "best_mean_error",
                                "best_genome_size", "best_program_size", "best_percent_parens", "best_program",
                                "best_simplified_program", "report"},
                "individuals": set(),
            },
        ),
    )
}  # fmt: skip
"""Every format, by its name; content is held to them in the order below."""

_ORDER = ("edn", "json", "csv", "phylogeny", "text", "recorder")


def format_of(head: bytes) -> Format | None:
    r"""Return the format of a file that begins so; None where it is none that is known.

    Parameters
    ----------
    head : bytes
        Its first 256 KiB, decompressed.

    Examples
    --------
    >>> format_of(b"uuid,generation,TC0\n").title, format_of(b"# Notes")
    ('Clojush CSV log', None)
    """
    return next((FORMATS[name] for name in _ORDER if FORMATS[name].is_it(head)), None)


def lacks(name: str) -> dict[str, tuple[str, ...]]:
    """Return the columns that a format cannot fill; they are null, and an outcome is ``continue``.

    What a name's pattern adds (problem, label, config) is not counted. A run may have logged fewer columns than its
    format can hold.

    Parameters
    ----------
    name : str
        One of `FORMATS`.

    Returns
    -------
    dict of str to tuple of str
        Columns by table: runs, generations, individuals.

    Examples
    --------
    >>> lacks("text")["runs"], "outcome" in lacks("csv")["generations"], lacks("recorder")["individuals"]
    (('started_at',), True, ())
    """
    holds = FORMATS[name].holds
    return {
        table.name: tuple(column for column in table.names if column not in holds[table.name] | _COMPUTED[table.name])
        for table in (RUNS, GENERATIONS, INDIVIDUALS)
    }


def said_lacks(name: str) -> str:
    """Say in a line what a format lacks; columns of one kind are named together.

    Examples
    --------
    >>> said_lacks("text").split("; ")[0]
    'runs: started_at'
    """
    found = []
    for table, lacking in lacks(name).items():
        columns = tuple(column for column in lacking if column != "outcome")  # which is never null
        if columns:
            found.append(f"{table}: {', '.join(_together(table, columns))}")
    return "; ".join(found)


def _together(table: str, columns: tuple[str, ...]) -> list[str]:
    names = next(t.names for t in (RUNS, GENERATIONS, INDIVIDUALS) if t.name == table)
    found: list[str] = []
    for column in columns:
        kind = column.split("_")[0]
        alike = [name for name in names if name.startswith(f"{kind}_") and name != "best_so_far"]
        said = f"{kind}_*" if len(alike) > 2 and set(alike) <= set(columns) else column
        if said not in found:
            found.append(said)
    return found
