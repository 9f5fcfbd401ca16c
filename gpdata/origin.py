"""`gpdata.provenance`: where rows came from, so that a figure or a number can be made again.

The module is not called like its function: an imported module would hide `gpdata.provenance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any, TypeAlias

from gpdata.display import Card, Code, Curve
from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    from gpdata.lab import Lab

    Source: TypeAlias = Lab | "Provenance"

_TYPES: dict[str, tuple[type, ...]] = {
    "lake": (str,),
    "version": (int,),
    "newest_version": (int,),
    "engine": (str,),
    "runs": (int,),
    "selection": (bool,),
    "received_at": (str, type(None)),
    "started_at": (str, type(None)),
    "gpdata": (str,),
    "definition": (str, type(None)),
}
"""Of each field: its type in JSON."""


@dataclass(frozen=True)
class Provenance:
    """Where rows came from: `gpdata.open(lake, version=version)` brings them back.

    Attributes
    ----------
    lake : str
        The lake's directory.
    version : int
        The version of the lake that was asked.
    newest_version : int
        The lake's newest version when this was made; greater than `version` where an earlier one was asked, or
        something was recorded since.
    engine : str
        What computed: "duckdb", "polars" or "spark".
    runs : int
        How many runs the lab has.
    selection : bool
        Whether these were chosen, by `gpdata.open(..., runs=...)`; False: all of that version.
    received_at : datetime or None
        When the newest generation was received, UTC. None: no generation says it, as those that were imported from
        files, or there is none.
    started_at : datetime or None
        When the newest generation started, by its sender's clock, UTC. None: no generation says it.
    gpdata : str
        The version of gpdata.
    definition : str or None
        What was computed, for example its code. None: nobody said.
    """

    lake: str
    version: int
    newest_version: int
    engine: str
    runs: int
    selection: bool
    received_at: datetime | None
    started_at: datetime | None
    gpdata: str
    definition: str | None = None

    @property
    def freshness(self) -> str:
        """How new the newest generation is, in words, and what is known of it."""
        if self.received_at is not None:
            return f"newest generation received {moment(self.received_at)}"
        if self.started_at is not None:
            return f"newest generation started {moment(self.started_at)} (when it was received is not known)"
        return "age of the newest generation not known"

    @property
    def said_version(self) -> str:
        """The version, and whether the lake had a newer one."""
        newest = "" if self.version == self.newest_version else f" (the lake had {self.newest_version})"
        return f"version {self.version}{newest}"

    @property
    def said_runs(self) -> str:
        """The number of runs, and whether they were chosen."""
        return f"{self.runs:,} {'run' if self.runs == 1 else 'runs'}{' (chosen)' if self.selection else ''}"

    def __str__(self) -> str:
        said = f"lake {self.lake}, {self.said_version}, {self.said_runs}; {self.freshness}; "
        said += f"{self.engine}, gpdata {self.gpdata}"
        return said if self.definition is None else f"{said}\n{self.definition}"

    def _repr_html_(self) -> str:
        facts: dict[str, str | Code | Curve] = {
            "lake": self.lake,
            "version": self.said_version.removeprefix("version "),
            "runs": self.said_runs,
            "freshness": self.freshness,
            "computed by": f"{self.engine}, gpdata {self.gpdata}",
        }
        if self.definition is not None:
            facts["definition"] = Code(self.definition)
        return Card("gpdata provenance", facts).html()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them, times in ISO 8601; `from_dict` takes them.

        Returns
        -------
        dict
            The fields, in order.

        Examples
        --------
        >>> Provenance("lab", 7, 7, "duckdb", 3, False, None, None, "0.1.0").to_dict()["version"]
        7
        """
        given = asdict(self).items()
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given}

    @classmethod
    def from_dict(cls, given: Any) -> Provenance:
        """Make a provenance of what `to_dict` gave.

        Parameters
        ----------
        given : dict
            The fields; unknown ones are left out, for a later gpdata may have more.

        Returns
        -------
        Provenance
            Equal to the one that `to_dict` was called on.

        Raises
        ------
        InvalidInput
            A field is missing, or of another type.

        Examples
        --------
        >>> made = Provenance("lab", 7, 7, "duckdb", 3, False, None, None, "0.1.0")
        >>> Provenance.from_dict(made.to_dict()) == made
        True
        """
        given = given if isinstance(given, Mapping) else {}
        wrong = [name for name, types in _TYPES.items() if name not in given or not isinstance(given[name], types)]
        if wrong:
            raise InvalidInput(
                f"a provenance was given of which {', '.join(wrong)} cannot be used; valid is what Provenance.to_dict "
                "returned"
            )
        values = {field.name: given[field.name] for field in fields(cls)}
        try:
            for name in ("received_at", "started_at"):
                values[name] = values[name] and datetime.fromisoformat(values[name])
        except ValueError as error:
            raise InvalidInput(f"a provenance was given with a time that cannot be read ({error})") from error
        return cls(**values)


def provenance(lab: Source, definition: str | None = None) -> Provenance:
    """Say where the rows of a lab come from: lake, version, how new they are, and what was computed.

    Parameters
    ----------
    lab : Lab or Provenance
        What `gpdata.open` returned; of a Provenance only the definition is changed.
    definition : str, optional
        What was computed from it: the code, or a sentence.

    Returns
    -------
    Provenance
        It prints as a line, shows as a table in a notebook, and goes into a file by its `to_dict`.

    Raises
    ------
    InvalidInput
        `lab` is something else.

    Notes
    -----
    Two columns of the generations are read once for each lab, and the lake is asked for its newest version. No
    individuals are read, and no engine is started.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> with gpdata.Recorder(tempfile.mkdtemp(), system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}], outcome="failure")
    >>> found = gpdata.provenance(gpdata.open(run.lake), "how many runs failed")
    >>> found.version, found.runs, found.definition
    (1, 1, 'how many runs failed')
    """
    if isinstance(lab, Provenance):
        return lab if definition is None else replace(lab, definition=definition)
    from gpdata.lab import Lab

    if not isinstance(lab, Lab):
        raise InvalidInput(
            f"a {type(lab).__name__} was given as the source; valid are what gpdata.open returned (a lab) and what "
            "gpdata.provenance returned"
        )
    received_at, started_at = lab.newest_times
    return Provenance(
        lake=str(lab.path),
        version=lab.version,
        newest_version=lab.newest_version(),
        engine=lab.engine,
        runs=lab.run_count,
        selection=lab.selection,
        received_at=received_at,
        started_at=started_at,
        gpdata=installed("gpdata"),
        definition=definition,
    )


def moment(time: datetime) -> str:
    """Write a time to the second, in UTC.

    Examples
    --------
    >>> moment(datetime.fromisoformat("2026-11-20T09:30:00Z"))
    '2026-11-20 09:30:00 UTC'
    """
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
