"""The ancestry of one run's winner: a graph to click in, and the facts of one individual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
from matplotlib.colors import to_hex

from gpdata.analyses.genealogy import Genealogy, Numbers, genealogy
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput
from gpdata.plots.layout import side_by_side
from gpdata.widgets.code import NARWHALS, literal, program, run_lines
from gpdata.widgets.state import State

if TYPE_CHECKING:
    from gpdata.lab import Lab

TITLE = "Ancestry"
MOST_NODES = 1200
"""So many marks can be told apart and clicked on; the code draws all of them."""
_FACTS = ("uuid", "total_error", "age", "genome_size", "program_size", "genetic_operators", "is_random_replacement")
_MOST_ERRORS = 400
_MOST_TEXT = 20_000


class Lineage:
    """The ancestors of a run's winner; read once for each run and version.

    Parameters
    ----------
    lab : Lab
        The lab.
    run : str
        The run; no other one is read.

    Attributes
    ----------
    code : str
        What makes the ancestry and draws it.
    result : native frame
        What the code leaves as `ancestors`.

    Raises
    ------
    InvalidInput
        The run has no winner.
    """

    def __init__(self, lab: Lab, run: str) -> None:
        self.run = run
        lines = [
            "winner = gp.winner(one.individuals, one.generations, run=run)",
            "ancestors = gp.ancestry(one.individuals, of=winner)",
        ]
        names = run_lines([*self._take(), *lines], lab)
        self.one = names["one"]
        self.result = names["ancestors"]
        self._lab = lab
        self.code = program(
            lab, *self._take(), *lines, "ax = gp.plots.ancestry(ancestors, one.individuals, source=lab)"
        )
        found = to_arrow(self.result)
        if not len(found):
            raise InvalidInput(
                f"run {run} has no winner: no individual of its last generation has a total error, so there is no "
                "ancestry to show. Choose another run in the table."
            )
        self.lines: Genealogy = genealogy(self.one.individuals, [run], "total_error", "genetic_operators")
        self.nodes: Numbers = self.lines.find(found)
        self.winner = self._key(int(self.lines.find(to_arrow(names["winner"]))[0]))

    def _take(self) -> list[str]:
        return [f"run = {literal(self.run)}", "one = lab.run(run)"]

    def _key(self, row: int) -> tuple[int, int]:
        return int(self.lines.generation[row]), int(self.lines.location[row])

    def graph(self) -> dict[str, Any]:
        """Return the marks and edges of the newest generations, as many as can be told apart, and where they stand.

        Returns
        -------
        dict
            `nodes`: for each its generation, location, place in its row, total error, colour, whether it is a root;
            `edges`: pairs of positions in `nodes`; `total`: how many ancestors there are with those that are not
            shown; `says`: what is to be known.
        """
        lines = self.lines
        order = self.nodes[np.lexsort((lines.location[self.nodes], -lines.generation[self.nodes]))]
        generations = lines.generation[order]
        shown = order
        if len(order) > MOST_NODES:
            cut = generations[MOST_NODES]  # this generation does not fit whole
            shown = order[generations > cut] if (generations > cut).any() else order[:MOST_NODES]
        number = np.full(len(lines.run), -1)
        number[shown] = np.arange(len(shown))
        edges = np.flatnonzero((lines.parent >= 0) & (number[lines.child] >= 0))
        edges = edges[number[lines.parent[edges]] >= 0]
        pairs = np.unique(np.stack([number[lines.parent[edges]], number[lines.child[edges]]], axis=1), axis=0)
        x, _ = side_by_side(lines.run[shown], lines.generation[shown], pairs[:, 0], pairs[:, 1])
        error = lines.rows["total_error"].take(pa.array(shown)).to_numpy()
        return {
            "nodes": [
                {"g": g, "l": at, "x": round(place, 2), "e": None if e != e else e, "c": colour, "r": bool(root)}
                for (g, at), place, e, colour, root in zip(
                    map(self._key, shown.tolist()),
                    x.tolist(),
                    error.tolist(),
                    _colours(error),
                    lines.named[shown] == 0,
                    strict=True,
                )
            ],
            "edges": pairs.tolist(),
            "total": len(self.nodes),
            "run": self.run,
            "winner": list(self.winner),
            "says": self._says(len(shown), lines.generation[shown]),
            "range": [_finite(error, np.min), _finite(error, np.max)],
        }

    def _says(self, shown: int, generations: Numbers) -> str:
        total = len(self.nodes)
        said = f"The winner of run {self.run} and its {total - 1:,} ancestors."
        if total == 1:
            uuids = self.lines.rows["parent_uuids"].null_count == len(self.lines.run)
            why = "No parents were recorded in this run" if uuids else "None of its parents was recorded"
            return f"{why}, so there is no ancestry to draw: here is the winner of run {self.run} alone."
        if shown < total:
            said += f" Shown are the {shown:,} of generations {generations.min()} to {generations.max()}."
        return said

    def individual(self, state: State) -> dict[str, Any]:
        """Return the facts of one individual: by default the winner.

        Parameters
        ----------
        state : State
            `state.individual` names it.

        Returns
        -------
        dict
            Its key, facts, errors, program, parents and children (each with the key that it has, if it was
            recorded), and the code that takes its row.

        Raises
        ------
        InvalidInput
            The run has no such individual.
        """
        generation, location = state.individual or self.winner
        lines = [
            NARWHALS,
            "individuals = nw.from_native(one.individuals)",
            f"here = (nw.col(\"generation\") == {generation}) & (nw.col(\"location\") == {location})",
            "individual = individuals.filter(here).to_native()",
        ]  # fmt: skip
        names = run_lines(lines, self._lab, one=self.one)
        wanted = [*_FACTS, "errors", "program", "gene_instruction"]
        table = to_arrow(nw.from_native(names["individual"]).select(*wanted).to_native())
        at = int(
            self.lines.find(pa.table({"run_uuid": [self.run], "generation": [generation], "location": [location]}))[0]
        )
        if not len(table) or at < 0:
            raise InvalidInput(f"run {self.run} has no individual at generation {generation}, location {location}.")
        row = table.to_pylist()[0]
        errors = row["errors"] or []
        down = (self.lines.parent == at) & np.isin(self.lines.child, self.nodes)
        genes = None if row["gene_instruction"] is None else " ".join(map(str, row["gene_instruction"]))
        text = row["program"] if row["program"] is not None else genes
        return {
            "generation": generation,
            "location": location,
            "winner": (generation, location) == self.winner,
            "facts": {name: row[name] for name in _FACTS if row[name] is not None},
            "errors": [None if e is None or e != e else e for e in errors[:_MOST_ERRORS]],
            "cases": len(errors),
            "program": None if text is None else text[:_MOST_TEXT],
            "is_genome": row["program"] is None and genes is not None,
            "cut": text is not None and len(text) > _MOST_TEXT,
            "parents": self._relatives(self.lines.child == at, self.lines.parent),
            "children": self._relatives(down, self.lines.child),
            "code": program(self._lab, *self._take(), *lines),
        }

    def _relatives(self, edges: Any, whom: Numbers) -> list[dict[str, Any]]:
        """Name those at one end of some edges, each once, with how often it is named."""
        found: dict[tuple[int, ...] | str, dict[str, Any]] = {}
        for edge in np.flatnonzero(edges).tolist():
            row = int(whom[edge])
            uuid = self.lines.parent_uuid[edge].as_py()
            key = self._key(row) if row >= 0 else None
            made = found.setdefault(key or str(uuid), {"at": key and list(key), "uuid": uuid, "times": 0})
            made["times"] += 1
            if key:
                error = self.lines.rows["total_error"][row].as_py()
                made["error"] = None if error is None or error != error else error
        return list(found.values())


def _colours(error: Any) -> list[str]:
    """Give each error a colour, least dark; grey where it is no finite number."""
    known = error[np.isfinite(error)]
    least, most = known.min(initial=np.inf), known.max(initial=-np.inf)
    span = np.log1p(most - least) if most > least else 1.0
    scaled = [np.log1p(value - least) / span if np.isfinite(value) else None for value in error]
    colours = matplotlib.colormaps["viridis"]
    return ["#999999" if value is None else to_hex(colours(0.05 + 0.87 * value)) for value in scaled]


def _finite(values: Any, what: Any) -> float | None:
    known = values[np.isfinite(values)]
    return float(what(known)) if len(known) else None
