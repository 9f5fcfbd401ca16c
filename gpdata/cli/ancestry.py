"""`gpdata ancestry`: whom an individual descends from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
import narwhals.stable.v2 as nw
import pyarrow as pa

from gpdata.cli.output import PICTURES, STATUS, TABLES, Answer, chosen_form, output_options, write
from gpdata.cli.select import Asked, selection_options
from gpdata.cli.shown import column, table
from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    from gpdata.lab import Lab

FORMS = (*TABLES, *PICTURES)
_PLACE = re.compile(r"(\d{1,9})@(\d{1,9})")
_MOST = 100
"""So many rows are shown to people."""


@click.command(epilog=STATUS)
@selection_options
@click.option("--individual", metavar="UUID|LOCATION@GENERATION",
              help="Whose ancestors; the beginning of a uuid will do.  [default: the winner of the run]")  # fmt: skip
@click.option("--show", type=click.Choice(["counts", "ancestors", "edges"]),
              help="A row for each generation, each ancestor, or each parent of an ancestor; with a picture, counts "
              "draws these.  [default: counts, and the graph as a picture]")  # fmt: skip
@output_options(FORMS)
def ancestry(asked: Asked, individual: str | None, show: str | None, form: str | None, output: str | None) -> None:
    """Say whom the winner of a run, or another individual, descends from.

    The winner is the individual of least total error in the run's last generation. A row for each generation: how many
    ancestors it has, their offspring, and how many of these are ancestors again. The picture is the graph of all
    ancestors, one row of marks for each generation.

    \b
    $ gpdata ancestry example-lake --run a7ae
    generation  ancestors  offspring  ancestor_offspring
             0         11        161                  10
             1         10        191                  14
    $ gpdata ancestry example-lake --run a7ae -o ancestry.pdf
    $ gpdata ancestry example-lake --run a7ae --individual 12@30 --show edges -o edges.csv

    Next: gpdata export graph has it for Gephi and Graphviz, gpdata export phylogeny for tools of artificial life.
    """  # noqa: D301 (click wants a real \b)
    from gpdata.convert import to_arrow

    form = chosen_form(form, output, FORMS)
    lab = asked.lab()
    run = _only_run(lab, asked)
    of, said = chosen(lab, run, individual)
    rows = to_arrow(_rows(lab, of, run, show or "counts"))
    key = of.to_pylist()[0]
    title = f"ancestors of {key['uuid'] or 'an individual without a uuid'}, location {key['location']} of generation "
    title += f"{key['generation']} of run {run}"

    def shown(width: int | None) -> Any:
        listed = rows.slice(0, _MOST).to_pylist()
        names = [name for name in rows.column_names if name != "run_uuid"]
        below = [title, f"{lab.path}, version {lab.version}"]
        if len(listed) < len(rows):
            below.insert(0, f"{len(listed)} of {len(rows)} rows; --format csv has all")
        return table([column(listed, name) for name in names], width, below)

    def picture() -> Any:
        from gpdata import plots
        from gpdata.analyses import ancestry

        if show == "counts":
            return plots.ancestry_counts(rows, source=lab)
        return plots.ancestry(ancestry(lab.individuals, of=of), lab.individuals, source=lab)

    alone = not len(rows) if show == "edges" else _number(rows) == 1
    if alone:
        said = [*said, "no parent of this individual was recorded: it is its only ancestor"]
    write(Answer(rows, shown, picture, said), form, output)


def chosen(lab: Lab, run: str, individual: str | None) -> tuple[pa.Table, list[str]]:
    """Return the row of the individual that is asked about, and what to say about the choice.

    Parameters
    ----------
    lab : Lab
        A lab.
    run : str
        The uuid of its run.
    individual : str or None
        Its place or the beginning of its uuid; None for the winner.

    Returns
    -------
    row : pyarrow.Table
        Its run, generation, location and uuid.
    said : list of str
        That its uuid is in several generations, where it is.
    """
    from gpdata.analyses import winner
    from gpdata.convert import to_arrow

    if individual is None:
        row = to_arrow(winner(lab.individuals, lab.generations, run=run))
        if not len(row):
            raise InvalidInput(
                f"run {run} has no winner: nobody of its last generation has a total error. "
                "Name an individual with --individual LOCATION@GENERATION"
            )
        return row, []
    rows = nw.from_native(lab.individuals).filter(nw.col("run_uuid") == run)
    place = _PLACE.fullmatch(individual)
    if place:
        location, generation = map(int, place.groups())
        rows = rows.filter(nw.col("location") == location, nw.col("generation") == generation)
    else:
        rows = rows.filter(nw.col("uuid").str.starts_with(individual))
    found = to_arrow(rows.select("run_uuid", "generation", "location", "uuid").to_native())
    if not len(found):
        raise InvalidInput(
            f"run {run} has no individual {individual!r}; give its place, as 12@30 for location 12 of generation 30, "
            "or the beginning of its uuid, as gpdata export individuals has them"
        )
    named = sorted(set(found["uuid"].to_pylist()), key=str)
    if len(named) > 1:
        names = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
        raise InvalidInput(f"{len(named)} individuals begin with {individual!r}: {names}. Give more of the uuid.")
    found = found.sort_by([("generation", "descending"), ("location", "ascending")])
    generations = len(set(found["generation"].to_pylist()))
    several = f"the uuid {named[0]} is in {generations} generations: the last, {found['generation'][0]}, was taken"
    return found.slice(0, 1), [several] if generations > 1 else []


def _rows(lab: Lab, of: Any, run: str, show: str) -> Any:
    from gpdata.analyses import ancestry, ancestry_counts, ancestry_edges
    from gpdata.convert import to_arrow

    if show == "counts":
        return ancestry_counts(lab.individuals, of=of)
    found = ancestry(lab.individuals, of=of)
    if show == "ancestors":
        return found
    return edges_of(to_arrow(ancestry_edges(lab.individuals, runs=run)), to_arrow(found))


def edges_of(edges: pa.Table, ancestors: pa.Table) -> pa.Table:
    """Keep the edges to ancestors, in their order; the parents of an ancestor are ancestors too."""
    key = ["run_uuid", "generation", "location"]
    known = set(zip(*(ancestors[name].to_pylist() for name in key), strict=True))
    kept = [each in known for each in zip(*(edges[name].to_pylist() for name in key), strict=True)]
    return edges.filter(pa.array(kept, pa.bool_()))


def _only_run(lab: Lab, asked: Asked) -> str:
    from gpdata.convert import to_arrow

    runs = to_arrow(lab.runs.select("run_uuid"))["run_uuid"].to_pylist()
    if len(runs) == 1:
        return str(runs[0])
    if not runs:
        raise InvalidInput(asked.nothing())
    raise InvalidInput(
        f"{len(runs)} runs were asked for, and an ancestry is of one: give --run UUID. "
        f"'gpdata runs {asked.lake} --sort best_so_far' lists the best first"
    )


def _number(rows: pa.Table) -> int:
    """Count ancestors, the individual itself among them."""
    return sum(rows["ancestors"].to_pylist()) if "ancestors" in rows.column_names else len(rows)
