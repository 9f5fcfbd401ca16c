"""What a process is told to run one cell, and what it tells when it has; both can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpdata.sweeps.cells import Cell
from gpdata.sweeps.where import Where


@dataclass(frozen=True, slots=True)
class About:
    """What all runs of a sweep have in common.

    Parameters
    ----------
    system : str
        The GP system.
    problem : str or None
        The problem; where it is None, a parameter of that name is it.
    label : str or None
        A researcher's word for the runs.
    config : dict
        Arguments beside the parameters.
    version, git_hash, command : str or None
        Of the GP system.
    """

    system: str
    problem: str | None
    label: str | None
    config: dict[str, Any]
    version: str | None = None
    git_hash: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at one cell.

    Parameters
    ----------
    cell : Cell
        The cell.
    seed : int
        The run's seed.
    run_uuid : str
        The run's uuid.
    number : int
        Which attempt it is, from 1.
    run : bytes or tuple of str
        The function, pickled, or the words of the command.
    about : About
        What all runs have in common.
    where : Where
        Where the run goes.
    folder : str
        The sweep's folder.
    any_uuid : bool
        Whether a command may record under a uuid of its own.
    """

    cell: Cell
    seed: int
    run_uuid: str
    number: int
    run: bytes | tuple[str, ...]
    about: About
    where: Where
    folder: str
    any_uuid: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """How an attempt ended.

    Parameters
    ----------
    error : str or None
        Why it failed; None: the run is there.
    run_uuid : str or None
        The run that was recorded.
    file : str or None
        The id of its spool file.
    generations : int
        How many there are.
    trace : str
        The traceback of a function's error, for people.
    """

    error: str | None = None
    run_uuid: str | None = None
    file: str | None = None
    generations: int = 0
    trace: str = ""
