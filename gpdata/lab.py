"""`gpdata.open`: a lab's data at one version, on one engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpdata.config import settings
from gpdata.display import Card
from gpdata.engines import Engine, choose_engine
from gpdata.errors import InvalidInput, UnknownRun, near
from gpdata.lake.lake import Lake
from gpdata.lake.mirror import Mirror
from gpdata.lake.runs import read_rows, runs_table
from gpdata.lake.snapshot import take_snapshot
from gpdata.origin import provenance
from gpdata.overview import lab_card, standings
from gpdata.run import Run, find_run
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, STORED
from gpdata.storage import HdfsPath, Place, as_place, in_hdfs

_KEPT = (GENERATIONS, INDIVIDUALS)
"""What `persist` keeps; `runs` is in memory anyway, errors and genes are views of individuals."""
_PROGRESS = ["run_uuid", "generation", "outcome", "started_at", "received_at", "total_error_min", "batch"]


class Lab:
    """What a lab has recorded, at one version of its lake; made by `gpdata.open`.

    Every attribute is a native frame of the engine, lazy where the engine is: nothing is read before rows are
    asked for. The frames stay the same while others record: open again for what came later.

    Attributes
    ----------
    path : Path, ObjectPath or HdfsPath
        The lake's directory, or its place in a store or in HDFS.
    version : int
        Names these rows for ever; `gpdata.open(path, version=...)` brings them back.
    runs, generations, individuals, errors, genes : frame
        The tables, as docs/schema.md tells them. `run` returns one run, `sql` asks all of them.

    A notebook shows a lab as a table, `print(lab)` too: how new it is, its runs by problem and outcome, the newest.
    """

    def __init__(self, lake: Lake | Mirror, engine: Engine, runs: Sequence[str] | None, version: int | None) -> None:
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
        self._read: dict[str, Any] = {}

    def __repr__(self) -> str:
        runs = f"{self.run_count} {'run' if self.run_count == 1 else 'runs'}"
        return f"<gpdata lab {self.path}, version {self.version}, {runs}, {self._engine.name}>"

    def __str__(self) -> str:
        return self._card().text()

    def __rich__(self) -> Any:
        return self._card().rich()

    def _repr_html_(self) -> str:
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def _card(self) -> Card:
        return lab_card(provenance(self), standings(self._runs_table, self._progress))

    @property
    def engine(self) -> str:
        """What computes: "duckdb", "polars" or "spark"."""
        return self._engine.name

    @property
    def run_count(self) -> int:
        """How many runs there are."""
        return int(self._runs_table.num_rows)

    @property
    def selection(self) -> bool:
        """Whether only chosen runs were opened."""
        return self._wanted is not None

    @cached_property
    def newest_times(self) -> tuple[datetime | None, datetime | None]:
        """When the newest generation was received, and when it started; None where no generation says it."""
        received, started = (pc.max(self._progress.column(name)).as_py() for name in ("received_at", "started_at"))
        return received, started

    def newest_version(self) -> int:
        """Return the version that the lake has at this moment; greater than `version` when something came later."""
        return take_snapshot(self._lake).version

    @cached_property
    def _progress(self) -> pa.Table:
        """A few columns of the generations, read without the engine: no Spark job is started to show a lab."""
        return read_rows(self._snapshot, GENERATIONS.name, _PROGRESS, self._wanted)

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

    def run(self, run_uuid: str) -> Run:
        """Return one run: its row, its frames, and in a notebook or printed how it stands.

        Parameters
        ----------
        run_uuid : str
            Its uuid, or as many of the first letters as tell it from the others.

        Returns
        -------
        Run
            With `row` (of `runs`), and `generations`, `individuals`, `errors` and `genes`: native frames of that run.

        Raises
        ------
        UnknownRun
            No run of the lab starts with these letters.
        InvalidInput
            Several do; the message lists them.
        """
        uuids = self._runs_table.column("run_uuid").to_pylist()
        found = find_run(run_uuid, uuids, f"the lake {self.path} at version {self.version}")
        row = self._runs_table.slice(uuids.index(found), 1).to_pylist()[0]
        columns = [*_PROGRESS, "best_program", "best_simplified_program"]
        return Run(self, row, read_rows(self._snapshot, GENERATIONS.name, columns, [found]))

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

    def persist(self) -> Lab:
        """Keep the lab's rows in memory, so that what is asked from now on reads no file again.

        Meant for chosen runs that are asked many things: ``gp.open("lake", runs=[...]).persist()``. It computes at
        once. On DuckDB and Polars the rows are in this process, uncompressed: several times the size of the files. On
        Spark they are in the executors, which put on their disks what has no room.

        Returns
        -------
        Lab
            This one. Its frames are new ones; frames that were taken before go on reading the files, except on Spark,
            where these are answered from memory, too.

        Examples
        --------
        >>> import tempfile, gpdata
        >>> with gpdata.Recorder(tempfile.mkdtemp(), system="mine", problem="odd") as run:
        ...     run.generation([{"total_error": 1.0}, {"total_error": 0.0}], outcome="success")
        >>> lab = gpdata.open(run.lake).persist()
        >>> lab.individuals.count("*").fetchall()
        [(2,)]
        """
        for table in _KEPT:
            if table.name not in self._read:
                frame = getattr(self, table.name)
                setattr(self, table.name, self._engine.persist(table, frame))
                self._read[table.name] = frame
        self._derive()
        return self

    def unpersist(self) -> Lab:
        """Let go of what `persist` keeps; the lab's frames read the files again.

        Returns
        -------
        Lab
            This one. Nothing happens where nothing is kept. On Spark, the end of the session lets go as well.
        """
        for table in _KEPT:
            if table.name in self._read:
                frame = self._read.pop(table.name)
                self._engine.unpersist(table, frame)
                setattr(self, table.name, frame)
        self._derive()
        return self

    def _derive(self) -> None:
        self.errors = self._engine.errors(self.individuals)
        self.genes = self._engine.genes(self.individuals)

    def _check_runs(self, lake: Lake | Mirror, runs: Sequence[str]) -> None:
        found = set(self._runs_table.column("run_uuid").to_pylist())
        for run in runs:
            if run not in found:
                known = runs_table(take_snapshot(lake, version=self._snapshot.version))
                hint = near(run, known.column("run_uuid").to_pylist())
                raise UnknownRun(f"the lake {lake.path} has no run {run!r} at version {self._snapshot.version}; {hint}")


def open(
    lake: str | Place | HdfsPath | None = None,
    runs: str | Sequence[str] | None = None,
    version: int | None = None,
    engine: Any = None,
) -> Lab:
    """Open a lake for asking.

    Parameters
    ----------
    lake : str or Path, optional
        The lake's directory, or ``s3://bucket/prefix`` of a store that the environment names (docs/how-to/s3.md), or,
        on Spark only, ``hdfs://host:port/path`` (docs/how-to/hdfs.md); by default what GPDATA_LAKE names, else
        ``lake``.
    runs : str or sequence of str, optional
        Only these runs; files without them are not touched.
    version : int, optional
        The version that an earlier `Lab.version` named; the newest by default.
    engine : str or SparkSession, optional
        "duckdb", "polars", or a Spark session, classic or Connect: `gpdata.spark()` makes one. By default what
        GPDATA_ENGINE names, where "spark" is `gpdata.spark()`, else "duckdb". The lab's frames are this engine's own.

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
    StorageUnreachable, StorageRefused
        The store, or HDFS, does not answer, or does not let you read.
    InvalidInput
        There is no such engine, or not this one for a lake in HDFS.

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
    given = settings().lake if lake is None else lake
    place = in_hdfs(given) or as_place(given)  # before a session is started for an address that cannot be meant
    chosen = choose_engine(_usual_engine() if engine is None else engine)
    opened = _through_spark(place, chosen) if isinstance(place, HdfsPath) else Lake.open(place)
    return Lab(opened, chosen, wanted, version)


def _through_spark(path: HdfsPath, engine: Engine) -> Mirror:
    """Return the lake in HDFS as far as this process needs it, read by the engine."""
    if engine.name != "spark":
        raise InvalidInput(
            f"{path} was opened with the engine {engine.name!r}; HDFS is read through Spark: "
            f"gpdata.open('{path}', engine=gpdata.spark()), or copy the lake to this machine: hdfs dfs -get {path}"
        )
    from gpdata.engines.spark import Spark

    assert isinstance(engine, Spark)
    return Mirror(path, engine.read_files)


def _usual_engine() -> Any:
    """Return what GPDATA_ENGINE names, as `choose_engine` takes it; a Spark session is started for "spark"."""
    name = settings().engine
    if name == "spark":
        from gpdata.sessions import spark

        return spark()
    return name
