"""`gpdata export`: rows and genealogies for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa

from gpdata.cli.ancestry import edges_of
from gpdata.cli.output import STATUS, chosen_form, opened, output_options, write_file, write_rows
from gpdata.cli.select import Asked, run_options
from gpdata.errors import InvalidInput, UnknownColumn, near

if TYPE_CHECKING:
    from gpdata.lab import Lab

ROWS = ("csv", "parquet", "json", "jsonl")
FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("runs", "generations", "individuals", "errors", "genes", "edges"), ROWS),
    "phylogeny": ("csv",),
    "graph": ("graphml", "dot"),
}
"""What can be exported, and how."""

_BATCH = {"individuals": 5_000, "generations": 5_000}
"""Rows that are held at a time: an individual may have hundreds of errors and genes."""
_NARROW = 100_000
"""The same of tables whose rows are short."""


@click.command(epilog=STATUS)
@click.argument("what", type=click.Choice(list(FORMS)), metavar="WHAT")
@run_options
@click.option("--columns", metavar="NAME,...", help="Only these columns, in this order.  [default: all]")
@click.option("--ancestors", is_flag=True,
              help="Of edges, phylogeny and graph: only the winner of each run and its ancestors.")  # fmt: skip
@click.option("--parents", type=click.Choice(["all", "first"]), default="all", show_default=True,
              help="Of phylogeny: every parent, or the first that was named, which makes trees.")  # fmt: skip
@output_options(tuple(dict.fromkeys(form for forms in FORMS.values() for form in forms)), default="csv; graph: graphml")
def export(
    asked: Asked, what: str, columns: str | None, ancestors: bool, parents: Any, form: str | None, output: str | None
) -> None:
    """Write rows or genealogies for other tools: R, pandas, Gephi, Graphviz, a colleague.

    WHAT is one of:

    \b
    runs, generations, individuals, errors, genes   the tables of gpdata schema, one row per line
    edges       a row for each individual and each of its parents
    phylogeny   CSV in the ALife standard, for phylotrackpy, hstrat and others
    graph       GraphML for Gephi, Cytoscape, igraph and yEd, or DOT for Graphviz

    The tables are streamed: five million rows took about 400 MB of memory. Genealogies are made in memory: choose
    runs. Numbers are exact. In CSV a null is an empty field, texts have quotes, lists and maps are JSON; in JSON the
    infinities and what is not a number are the texts "Infinity", "-Infinity" and "NaN".

    \b
    $ gpdata export runs example-lake
    "run_uuid","system","problem",…
    $ gpdata export individuals example-lake --columns run_uuid,generation,total_error -o errors.parquet
    $ gpdata export genes example-lake --run a7ae -f jsonl | head -n 3
    $ gpdata export graph example-lake --run a7ae --ancestors -o winner.graphml

    Next: gpdata schema says what each column means; in Python, lab.files(table) names the lake's own Parquet files.
    """  # noqa: D301 (click wants a real \b)
    form = chosen_form(form, output, FORMS[what])
    if form not in FORMS[what]:
        raise InvalidInput(f"{what} is not written as {form}; valid formats are {', '.join(FORMS[what])}")
    lab = asked.lab()
    names = columns.split(",") if columns else None
    if what in ("phylogeny", "graph"):
        if names:
            raise InvalidInput(f"--columns chooses columns of tables; {what} has a form of its own: leave them out")
        write_file(lambda path: _genealogy(lab, what, form, ancestors, parents, path), output)
        rows = lab.run_count
    else:
        if ancestors and what != "edges":
            raise InvalidInput(f"--ancestors is for edges, phylogeny and graph, not for {what}")
        found = _edges(lab, ancestors).to_reader() if what == "edges" else _stream(lab, what)
        reader = _chosen(found, names, what)
        with opened(output) as sink:
            rows = write_rows(reader, form, sink)
    if not rows:
        click.echo(asked.nothing() if not lab.run_count else f"the {what} have no rows", err=True)


def _stream(lab: Lab, what: str) -> pa.RecordBatchReader:
    reader: pa.RecordBatchReader = getattr(lab, what).to_arrow_reader(_BATCH.get(what, _NARROW))
    return reader


def _chosen(reader: pa.RecordBatchReader, names: list[str] | None, what: str) -> pa.RecordBatchReader:
    if names is None:
        return reader
    known = reader.schema.names
    for name in names:
        if name not in known:
            raise UnknownColumn(f"the {what} have no column {name!r}: {near(name, known)}")
    schema = pa.schema([reader.schema.field(name) for name in names])
    return pa.RecordBatchReader.from_batches(schema, (batch.select(names) for batch in reader))


def _edges(lab: Lab, ancestors: bool) -> pa.Table:
    from gpdata.analyses import ancestry_edges
    from gpdata.convert import to_arrow

    edges = to_arrow(ancestry_edges(lab.individuals))
    return edges_of(edges, to_arrow(_ancestors(lab))) if ancestors else edges


def _ancestors(lab: Lab) -> Any:
    from gpdata.analyses import ancestry, winner
    from gpdata.convert import to_arrow

    runs = to_arrow(lab.runs.select("run_uuid"))["run_uuid"].to_pylist()
    return ancestry(lab.individuals, of=winner(lab.individuals, lab.generations, run=runs))


def _genealogy(lab: Lab, what: str, form: str, ancestors: bool, parents: Any, path: Path) -> None:
    from gpdata import exports
    from gpdata.analyses import ancestry_edges

    edges, among = ancestry_edges(lab.individuals), _ancestors(lab) if ancestors else None
    if what == "phylogeny":
        exports.write_phylogeny(exports.to_phylogeny(edges, ancestors=among, parents=parents), path)
        return
    graph = exports.to_networkx(edges, ancestors=among, individuals=lab.individuals)
    (exports.write_dot if form == "dot" else exports.write_graphml)(graph, path)
