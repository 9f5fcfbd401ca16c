"""One run of a lab: its rows, its frames, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpdata.display import Card, Code, Curve, Grid, shortened
from gpdata.errors import InvalidInput, UnknownRun, near
from gpdata.origin import moment
from gpdata.overview import UNFINISHED, said_error, said_outcome

if TYPE_CHECKING:
    import pyarrow as pa

    from gpdata.lab import Lab

_MOST_KEYS = 40
_LONGEST_VALUE = 80
_LONGEST_PROGRAM = 400
_SHORT = 8
"""Characters of a uuid that tell runs apart, as a rule."""


class Run:
    """One run; made by `lab.run`.

    The frames are native frames of the lab's engine, lazy where it is, with the rows of this run.

    Attributes
    ----------
    run_uuid : str
        The run.
    row : dict
        Its row of `lab.runs`, by column; `config` is a dict of JSON texts, and each of its keys a column too.
    """

    def __init__(self, lab: Lab, row: Mapping[str, Any], progress: pa.Table) -> None:
        self.run_uuid: str = row["run_uuid"]
        self.row: dict[str, Any] = dict(row) | {"config": dict(row["config"])}
        self._lab = lab
        self._progress = progress

    @cached_property
    def generations(self) -> Any:
        """Its generations: one row per generation."""
        return self._only(self._lab.generations)

    @cached_property
    def individuals(self) -> Any:
        """Its individuals: one row per generation and location."""
        return self._only(self._lab.individuals)

    @cached_property
    def errors(self) -> Any:
        """Its errors: one row per individual and training case."""
        return self._only(self._lab.errors)

    @cached_property
    def genes(self) -> Any:
        """Its genes: one row per individual and gene."""
        return self._only(self._lab.genes)

    def __repr__(self) -> str:
        return f"<gpdata run {self.run_uuid}, {self._outcome}>"

    def __str__(self) -> str:
        return self._card.text()

    def __rich__(self) -> Any:
        return self._card.rich()

    def _repr_html_(self) -> str:
        return self._card.html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def _only(self, frame: Any) -> Any:
        import narwhals as nw  # the ingest image has none

        return nw.from_native(frame).filter(nw.col("run_uuid") == self.run_uuid).to_native()

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        return list(self._progress.sort_by("generation").to_pylist())

    @property
    def _outcome(self) -> str:
        last = self._lines[-1]
        return f"{said_outcome(last['outcome'])} at generation {last['generation']:,}"

    @cached_property
    def _card(self) -> Card:
        row = self.row
        system = " ".join(part for part in (row["system"], row["version"]) if part)
        facts: dict[str, str | Code | Curve] = {
            "run": self.run_uuid,
            "problem": row["problem"] or "(not set)",
            "system": system + (f", commit {row['git_hash']}" if row["git_hash"] else ""),
            "label": row["label"] or "(none)",
            "owner": row["owner"] or "(recorded without an account)",
            "source": row["source"] or "(not known)",
            "times": self._times(),
            "outcome": self._outcome,
            "generations": self._generations(),
            "best error": self._curve(),
        }
        program = self._lines[-1]["best_simplified_program"] or self._lines[-1]["best_program"]
        if program:
            facts["last best"] = Code(shortened(program, _LONGEST_PROGRAM, counted=True))
        if row["flags"]:
            facts["flags"] = ", ".join(row["flags"])
        facts = {name: shortened(fact, 300) if isinstance(fact, str) else fact for name, fact in facts.items()}
        return Card("gpdata run", facts, (self._config(),) if row["config"] else ())

    def _times(self) -> str:
        started = self.row["started_at"]
        said = "start not sent" if started is None else f"started {moment(started)}"
        received = [line["received_at"] for line in self._lines if line["received_at"] is not None]
        if received:
            return f"{said}, last received {moment(max(received))}"
        sent = [line["started_at"] for line in self._lines if line["started_at"] is not None]
        last = f", last generation started {moment(max(sent))}" if sent else ""
        return f"{said}{last} (when it was received is not known)"

    def _generations(self) -> str:
        first, last = self._lines[0]["generation"], self._lines[-1]["generation"]
        missing = last + 1 - len(self._lines)
        said = f"{len(self._lines):,} recorded, {first:,} to {last:,}"
        said += f"; {missing:,} not recorded" if missing else ""
        goes_on = said_outcome(self._lines[-1]["outcome"]) == UNFINISHED
        return f"{said}; the run goes on, or was stopped" if goes_on else said

    def _curve(self) -> Curve:
        known = {line["generation"]: line["total_error_min"] for line in self._lines}
        values = [known.get(generation) for generation in range(min(known), max(known) + 1)]
        numbers = [value for value in values if value is not None]
        if not numbers:
            return Curve(values, "no errors were recorded")
        return Curve(values, f"{said_error(numbers[0])} at first, {said_error(numbers[-1])} at last, "
                             f"{said_error(min(numbers))} at best")  # fmt: skip

    def _config(self) -> Grid:
        items = sorted(self.row["config"].items())
        shown, left = items[:_MOST_KEYS], len(items) - _MOST_KEYS
        return Grid(
            "Config",
            ("key", "value"),
            [(shortened(key, _LONGEST_VALUE), shortened(value, _LONGEST_VALUE, counted=True)) for key, value in shown],
            more=f'and {left:,} more: run.row["config"]' if left > 0 else "",
        )


def find_run(given: str, uuids: Sequence[str], lake: str) -> str:
    """Return the only run whose uuid is the given text, or starts with it.

    Parameters
    ----------
    given : str
        A run_uuid, or its start.
    uuids : sequence of str
        The runs that there are.
    lake : str
        How messages call the lab.

    Raises
    ------
    UnknownRun
        No run starts so.
    InvalidInput
        Several do, or it is no text.

    Examples
    --------
    >>> find_run("ab", ["abc", "xyz"], "lake")
    'abc'
    """
    if not isinstance(given, str) or not given:
        raise InvalidInput(f"the run {given!r} was asked for; give the run_uuid of one, or its first letters")
    if given in uuids:
        return given
    found = sorted(uuid for uuid in uuids if uuid.startswith(given))
    if not found:
        hint = near(given, [uuid[: max(len(given), _SHORT)] for uuid in uuids])
        raise UnknownRun(f"{lake} has no run whose uuid starts with {given!r}; {hint}")
    if len(found) > 1:
        shown = ", ".join(found[:10]) + (f" and {len(found) - 10:,} more" if len(found) > 10 else "")
        raise InvalidInput(f"{len(found):,} runs of {lake} start with {given!r}: {shown}; give more letters of one")
    return found[0]
