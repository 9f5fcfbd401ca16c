"""`gpdata.sweep`: one run for each cell of a grid, recorded exactly once, however often it is killed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpdata.config import settings
from gpdata.errors import InvalidInput
from gpdata.sweeps.cells import canonical, cells_of, checked_name, run_uuid_of, seed_of
from gpdata.sweeps.folder import Folder, folder_of
from gpdata.sweeps.local import Processes
from gpdata.sweeps.running import DONE, FAILED, Row, Running, candidates_of
from gpdata.sweeps.shown import Progress, shown
from gpdata.sweeps.target import Target, target_of
from gpdata.sweeps.task import About, Task
from gpdata.sweeps.words import words_of
from gpdata.upload import line

if TYPE_CHECKING:
    import pandas as pd

    Run = Callable[..., object] | str | Sequence[str]
    Grid = Mapping[str, Iterable[object]] | Iterable[Mapping[str, object]]


def sweep(
    run: Run,
    grid: Grid,
    *,
    repeats: int = 1,
    engine: Any = "local",
    lake: str | Path | None = None,
    name: str | None = None,
    seed: int = 0,
    system: str | None = None,
    problem: str | None = None,
    config: Mapping[str, object] | None = None,
    label: str | None = None,
    version: str | None = None,
    git_hash: str | None = None,
    command: str | None = None,
    workers: int | None = None,
    retries: int = 2,
    timeout: float | None = None,
    folder: str | Path | None = None,
    token: str | None = None,
    ca: str | Path | None = None,
    close_timeout: float = 60.0,
    progress: bool | Callable[[Progress], object] | None = None,
) -> pd.DataFrame:
    """Run a function or a command for each cell of a grid of parameters, each run recorded exactly once.

    A run is in the lake when it has ended well, whole, or not at all: one that fails, or is killed, leaves nothing
    there and is run again. So a sweep that was killed at whatever moment is called again as it was, runs what is
    left, and ends with exactly one run for each cell.

    Parameters
    ----------
    run : callable, str or sequence of str
        A function, called as ``run(recorder, seed=..., **params)``: it records with ``recorder``, a
        `gpdata.Recorder`, and is to draw its random numbers from ``seed``. Dashes in names of parameters become
        underscores. Or a command, in whose words ``{name}`` stands for a parameter, and ``{seed}``, ``{run_uuid}``,
        ``{repeat}``, ``{server}`` and ``{record_host}`` for what its run is given. It has GPDATA_SERVER and
        GPDATA_TOKEN in its environment, so that a `gpdata.Recorder` without an address records this cell; also
        GPDATA_SEED, GPDATA_RUN_UUID, GPDATA_RECORD_HOST (where Clojush's ``:record-host`` goes) and GPDATA_PARAMS
        (JSON). What it prints is in the folder's ``logs``.
    grid : mapping of str to iterables, or iterable of mappings
        The values of each parameter, of which every combination is run; or the combinations themselves. Values are
        what JSON can hold, and reach the run as JSON has them: a tuple as a list.
    repeats : int, optional
        How many runs there are of each combination.
    engine : str or SparkSession, optional
        "local": processes of this machine. A session of `gpdata.spark`, or "spark": tasks of Spark, whose executors
        must see lake and folder under the same path.
    lake : str or Path, optional
        The lake, or a server's address; what the settings name where it is left out, as for `gpdata.Recorder`.
    name : str, optional
        The sweep's name: what is called again under the same name goes on. The function's or the program's by default.
    seed : int, optional
        What the seeds of all runs are derived from.
    system : str, optional
        The GP system that is recorded; the sweep's name by default.
    problem : str, optional
        The problem; where it is left out, a parameter called ``problem`` is it.
    config : mapping, optional
        Arguments that all runs share, recorded beside the parameters and the seed.
    label : str, optional
        A researcher's word for the runs; the sweep's name by default.
    version, git_hash, command : str, optional
        As for `gpdata.Recorder`.
    workers : int, optional
        How many runs go on at once on this machine; as many as it has processors by default. Of Spark, its executors
        decide.
    retries : int, optional
        How often a cell that fails is tried again. Calling the sweep again tries failed cells anew.
    timeout : float, optional
        Seconds after which an attempt is ended as failed; only on this machine.
    folder : str or Path, optional
        The sweep's own folder: its lock, and what runs printed. ``<lake>.sweeps/<name>`` by default.
    token, ca, close_timeout
        For a server: as for `gpdata.Recorder`. The token needs the scope read, too.
    progress : bool or callable, optional
        True shows how far it is, with an estimate; by default only on a terminal or in a notebook. A callable gets a
        `gpdata.sweeps.shown.Progress` at each step.

    Returns
    -------
    pandas.DataFrame
        One row per cell, in the order of the grid, repeat by repeat: ``cell`` (its name: 16 digits of the hash of
        parameters and repeat), ``params`` (dict), ``repeat`` (from 0), ``seed``, ``run_uuid``, ``attempts`` (those of
        earlier calls too, as far as the folder knows), ``outcome`` ("done", "failed", or "quarantined" where the lake
        did not take all of it) and ``error`` (why the last attempt failed; null where it did not).

    Raises
    ------
    InvalidInput
        An argument cannot be used, or the folder is that of another sweep.
    LakeBusy
        The sweep is running already.
    GpdataError
        A server does not say which runs it has, or Spark ended.

    Warns
    -----
    UserWarning
        Cells failed for good: the result's ``error`` says why.

    Notes
    -----
    The seed of a cell is the first word of ``numpy.random.SeedSequence(seed, spawn_key=words)``, the words being
    those of the SHA-256 of the cell's canonical JSON: neither the order of the grid nor values that are added later
    change it. The uuid of a function's run follows from the sweep (name, seed, system, problem, config) and the cell,
    so the lake itself says which cells are done. docs/decisions/0012-sweep.md has the reasons.

    Examples
    --------
    >>> import random, tempfile, gpdata
    >>> def guess(recorder, *, seed, size):
    ...     chance = random.Random(seed)
    ...     recorder.generation([{"errors": [chance.random()]} for _ in range(size)], outcome="failure")
    >>> done = gpdata.sweep(guess, {"size": [2, 3]}, lake=tempfile.mkdtemp(), workers=1)
    >>> done[["params", "outcome"]].to_dict("records")
    [{'params': {'size': 2}, 'outcome': 'done'}, {'params': {'size': 3}, 'outcome': 'done'}]
    """
    for given, value, least in (("seed", seed, 0), ("retries", retries, 0), ("workers", workers, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise InvalidInput(f"{given} is {value!r}; valid is a whole number from {least}")
    if timeout is not None and not timeout > 0:
        raise InvalidInput(f"timeout is {timeout!r}; valid is a number of seconds above 0")
    cells = cells_of(grid, repeats)
    session = _session(engine)
    if session is not None and timeout is not None:
        raise InvalidInput("timeout was given, but tasks of Spark cannot be ended one by one; leave it out")
    name = checked_name(_name_of(run) if name is None else name)
    place = str(lake) if lake is not None else settings().server or settings().lake
    about = About(system or name, problem, label or name, _config(config), version, git_hash, command)
    identity = {"name": name, "seed": seed, "system": about.system, "problem": problem, "config": about.config}
    what: bytes | tuple[str, ...]
    if callable(run):
        from gpdata.sessions.functions import packed

        what, said = packed(run), _name_of(run)
    else:
        what = words_of(run, {name for cell in cells for name in cell.params})
        said = canonical(what)
        ours = {"system": system, "problem": problem, "config": config, "label": label, "version": version,
                "git_hash": git_hash, "command": command}  # fmt: skip
        if told := [key for key, value in ours.items() if value is not None]:
            raise InvalidInput(
                f"{told[0]} was given, but a command says itself what is recorded of it; leave {told[0]} out"
            )
    work = Folder(Path(folder) if folder is not None else folder_of(place, name))
    with work.lock() as lock, shown(progress) as show:
        work.check({**identity, "run": said})
        target = target_of(place, work.path, token=token, ca=ca)
        rows = []
        for cell in cells:
            of_sweep = run_uuid_of(cell, identity)
            task = Task(cell, seed_of(cell, seed), of_sweep, 0, what, about, target.where, str(work.path),
                        any_uuid=session is None)  # fmt: skip
            tried = work.tried(cell.key)
            rows.append(Row(task, of_sweep, 0 if tried is None else tried.attempts))
        _mark_done(rows, work, target)
        running = Running(rows, work, target, retries, show)
        target.start()
        try:
            if session is None:
                running.locally(Processes(lock, timeout), workers or len(os.sched_getaffinity(0)))
            else:
                running.on_spark(session)
        finally:
            target.finish(close_timeout)
        running.account()
    return _result(rows)


def _mark_done(rows: list[Row], folder: Folder, target: Target) -> None:
    """Ask the lake, or the server, which runs it has."""
    candidates = {row.task.cell.key: candidates_of(row.task, folder) for row in rows}
    there = target.has([run for runs in candidates.values() for run in runs])
    for row in rows:
        for run in candidates[row.task.cell.key]:
            if run in there:
                row.outcome, row.run_uuid = DONE, run


def _result(rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    failed = [row for row in rows if row.outcome != DONE]
    if failed:
        last = failed[-1]
        lost = sum(row.outcome == FAILED for row in rows)
        warnings.warn(
            f"{len(failed)} of {len(rows)} cells have no whole run ({lost} failed); the result's 'error' says why, for "
            f"instance: {last.error} Calling the sweep again tries them again.",
            stacklevel=3,
        )
    columns = ("cell", "params", "repeat", "seed", "run_uuid", "attempts", "outcome", "error")
    found = [
        (row.task.cell.key, row.task.cell.params, row.task.cell.repeat, row.task.seed, row.run_uuid, row.attempts,
         row.outcome, row.error)
        for row in rows
    ]  # fmt: skip
    return pd.DataFrame(found, columns=list(columns))


def _name_of(run: Any) -> str:
    if callable(run):
        found = getattr(run, "__name__", type(run).__name__)
        return str(found).strip("<>")
    words = run.split() if isinstance(run, str) else list(run)
    return Path(words[0]).stem if words and isinstance(words[0], str) else ""


def _config(config: Mapping[str, object] | None) -> dict[str, Any]:
    if config is not None and not isinstance(config, Mapping):
        raise InvalidInput(f"config is a {type(config).__name__}; valid is a mapping of argument names to values")
    return line.arguments(config or {}, "config's")


def _session(engine: Any) -> Any:
    """Return the Spark session; None where processes of this machine run the cells."""
    if engine == "local":
        return None
    if engine == "spark":
        from gpdata.sessions import spark

        return spark()
    if type(engine).__module__.startswith("pyspark."):
        return engine
    raise InvalidInput(f"engine is {engine!r}; valid are 'local', 'spark', and a session of gpdata.spark()")
