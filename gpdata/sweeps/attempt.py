"""One attempt at one cell, in the process that is there for it: run, record, and commit the run where all went well."""

from __future__ import annotations

import pickle
import traceback

from gpdata.errors import GpdataError
from gpdata.sweeps.cells import argument
from gpdata.sweeps.recording import CellRecorder, recording
from gpdata.sweeps.task import Task, Told


def attempt(task: Task) -> Told:
    """Run a cell.

    Parameters
    ----------
    task : Task
        What to run.

    Returns
    -------
    Told
        How it ended. Whatever went wrong, nothing of the run is in the lake then.
    """
    try:
        if isinstance(task.run, bytes):
            return _run_function(task, task.run)
        from gpdata.sweeps.command import run_command

        return run_command(task, task.run)
    except GpdataError as error:
        return Told(str(error), trace=traceback.format_exc())
    except Exception as error:
        # Whatever a researcher's function raises is this cell's failure and no other's.
        return Told(f"{type(error).__name__}: {error}", trace=traceback.format_exc())


def _run_function(task: Task, pickled: bytes) -> Told:
    run = pickle.loads(pickled)
    where, about, params = task.where, task.about, task.cell.params
    problem = about.problem
    if problem is None and "problem" in params:
        problem = str(params["problem"])
    with recording(where.spool(), where.place, where.owner) as file:
        recorder = CellRecorder(
            file,
            system=about.system,
            problem=problem,
            config={**about.config, **params, "seed": task.seed},
            label=about.label,
            run_uuid=task.run_uuid,
            version=about.version,
            git_hash=about.git_hash,
            command=about.command,
        )
        run(recorder, seed=task.seed, **{argument(name): value for name, value in params.items()})
        if not file.generations:
            raise GpdataError(
                "the function recorded no generation; it is given the recorder as its first argument: call "
                "recorder.generation(population, outcome=...) once for each generation"
            )
        return Told(None, task.run_uuid, file.commit().id, file.generations)
