"""The demo's runs: two ways to select parents, some seeds each, in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from gpdata.demo.evolution import SELECTIONS, Plan, evolve
from gpdata.lake import Account, Lake

QUICK = {"population_size": 60, "max_generations": 8}
"""Arguments of runs that take a second, to try the demo out."""


def run_demo(
    lake: str | Path,
    *,
    seeds: Iterable[int] = range(1, 11),
    processes: int = 2,
    quick: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Account:
    """Evolve the demo's problem with each way of selection and each seed, recording live into one lake.

    Parameters
    ----------
    lake : str or Path
        The lake; made where there is none.
    seeds : iterable of int, optional
        A run of each way of selection is evolved for each.
    processes : int, optional
        How many runs are evolved at the same time.
    quick : bool, optional
        Evolve small populations, for few generations.
    progress : callable, optional
        Called with the number of runs that are done and that of all.

    Returns
    -------
    Account
        What became of the generations. The same seeds give the same runs: repeated, they are duplicates.

    Raises
    ------
    InvalidInput
        The path is no lake and cannot become one.
    """
    Lake.create(lake)
    options = QUICK if quick else {}
    plans = [Plan(selection, seed, **options) for seed in seeds for selection in SELECTIONS]
    total = Account()
    # Fresh processes, which Ctrl-C ends without a word: what they recorded is safe in the spool.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, signal.signal, (signal.SIGINT, signal.SIG_DFL)) as executor:
        runs = [executor.submit(evolve, lake, plan) for plan in plans]
        try:
            for done, run in enumerate(as_completed(runs), 1):
                total.add(run.result())
                if progress is not None:
                    progress(done, len(runs))
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
    return total
