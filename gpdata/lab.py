"""`gpdata.open`: a lab's data at one version, on one engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from gpdata.config import settings
from gpdata.engines import Engine, choose_engine
from gpdata.errors import InvalidInput, UnknownRun, near
from gpdata.lake.lake import Lake
from gpdata.lake.runs import runs_table
from gpdata.lake.snapshot import take_snapshot
from gpdata.schema import RUNS, STORED


class Lab:
    """What a lab has recorded, at one version of its lake; made by `gpdata.open`.

    Every attribute is a native frame of the engine, lazy where the engine is: nothing is read before rows are
    asked for. The frames stay the same while others record: open again for what came later.

    Attributes
    ----------
    path : Path
        The lake's directory.
    version : int
        Names these rows for ever; `gpdata.open(path, version=...)` brings them back.
    """

    def __init__(self, lake: Lake, engine: Engine, runs: Sequence[str] | None, version: int | None) -> None:
        self._lake, self._engine = lake, engine
        self._wanted = runs
        self._snapshot = take_snapshot(lake, version=version, runs=runs)
        self._runs_table = runs_table(self._snapshot, runs)
        if runs is not None:
            self._check_runs(lake, runs)
        self.path = lake.path
        self.version = self._snapshot.version
        # Views name each other in SQL, so all of them are there from the start; none reads anything yet.
        self.runs: Any = engine.runs(self._runs_table)
        self.generations: Any = engine.generations(self._snapshot, runs)
        self.individuals: Any = engine.individuals(self._snapshot, runs)
        self.errors: Any = engine.errors(self.individuals)
        self.genes: Any = engine.genes(self.individuals)

    def __repr__(self) -> str:
        runs = self._runs_table.num_rows
        return f"<gpdata lab {self.path}, version {self.version}, {runs} runs, {self._engine.name}>"

    @cached_property
    def mine(self) -> Lab:
        """A lab of the same version and engine, with those runs of this one that are mine.

        Mine is what was recorded or uploaded under the name in GPDATA_OWNER, or in a server of a hub under the name
        of its user.
        """
        me = settings().me
        if me is None:
            raise InvalidInput(
                "whose runs are yours is not known here; set GPDATA_OWNER to the name that you record under"
            )
        pairs = zip(*(self._runs_table.column(name).to_pylist() for name in ("run_uuid", "owner")), strict=True)
        mine = [run for run, owner in pairs if owner == me]
        return Lab(self._lake, self._engine.anew(), mine, self.version)

    @cached_property
    def config_keys(self) -> list[str]:
        """The columns of `runs` that are config keys, in order."""
        return list(self._runs_table.column_names[len(RUNS.columns) :])

    def files(self, table: str) -> list[str]:
        """Return the Parquet files of a table, for other tools: a glob over the directory counts rows twice.

        Parameters
        ----------
        table : str
            One of 'runs', 'generations', 'individuals'.

        Returns
        -------
        list of str
            Absolute paths. The files hold the storage form (docs/schema.md); for an earlier version, or
            chosen runs, they can hold other rows as well.
        """
        names = [t.name for t in STORED]
        if table not in names:
            raise InvalidInput(
                f"the files of {table!r} were asked for; stored are {', '.join(names)} "
                "(errors and genes are views of individuals)"
            )
        return self._snapshot.paths(table)

    def sql(self, text: str) -> Any:
        """Run a query over runs, generations, individuals, errors and genes.

        Parameters
        ----------
        text : str
            SQL in the engine's dialect. Config keys are columns of runs: quote those with dashes.

        Returns
        -------
        native frame
            The engine's own.

        Raises
        ------
        InvalidInput
            The engine cannot run the query.
        """
        return self._engine.sql(text)

    def _check_runs(self, lake: Lake, runs: Sequence[str]) -> None:
        found = set(self._runs_table.column("run_uuid").to_pylist())
        for run in runs:
            if run not in found:
                known = runs_table(take_snapshot(lake, version=self._snapshot.version))
                hint = near(run, known.column("run_uuid").to_pylist())
                raise UnknownRun(f"the lake {lake.path} has no run {run!r} at version {self._snapshot.version}; {hint}")


def open(
    lake: str | Path | None = None,
    runs: str | Sequence[str] | None = None,
    version: int | None = None,
    engine: Any = None,
) -> Lab:
    """Open a lake for asking.

    Parameters
    ----------
    lake : str or Path, optional
        The lake's directory; by default what GPDATA_LAKE names, else ``lake``.
    runs : str or sequence of str, optional
        Only these runs; files without them are not touched.
    version : int, optional
        The version that an earlier `Lab.version` named; the newest by default.
    engine : str or SparkSession, optional
        "duckdb" (the default), "polars", or a Spark session, classic or Connect: `gpdata.spark()` makes one.
        The lab's frames are this engine's own.

    Returns
    -------
    Lab
        The frames runs, generations, individuals, errors and genes.

    Raises
    ------
    NotALake, LakeTooNew, LakeDamaged
        The path cannot be opened.
    UnknownRun, UnknownVersion
        The lake lacks what was asked for.
    InvalidInput
        There is no such engine.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> with gpdata.Recorder(tempfile.mkdtemp(), system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}, {"total_error": 0.0}], outcome="success")
    >>> lab = gpdata.open(run.lake)
    >>> lab.sql("select count(*) from individuals").fetchall()
    [(2,)]
    """
    wanted = [runs] if isinstance(runs, str) else None if runs is None else list(runs)
    chosen = choose_engine(engine)
    return Lab(Lake.open(settings().lake if lake is None else lake), chosen, wanted, version)
