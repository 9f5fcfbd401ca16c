"""The Recorder on a lake: what is stored and when, and every way in which it is used wrongly."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake, Transformer
from gpdata.upload import Recorder, seeded_uuids

POPULATION = [{"errors": [0, 1]}, {"errors": [1, 1]}]
START = datetime(2026, 1, 1, tzinfo=UTC)


def seconds() -> Callable[[], datetime]:
    """Return a clock that ticks once a call."""
    ticks: Iterator[datetime] = (START + timedelta(seconds=n) for n in range(1000))
    return lambda: next(ticks)


def waiting(lake: Path) -> list[bytes]:
    """Return the lines that wait in the lake's spool."""
    spool = Lake.open(lake).spool()
    return [line for file in spool.pending() for line in spool.read(file)]  # type: ignore[misc]


def stored(lake: Path, columns: str, table: str = "generations") -> list[Any]:
    return gpdata.open(lake).sql(f"select {columns} from {table} order by all").fetchall()


def test_a_generation_is_durable_at_once_and_in_the_tables_after_the_block(tmp_path: Path) -> None:
    with Recorder(tmp_path / "lake", system="s", transform_every=1e9) as run:
        run.generation(POPULATION)
        assert len(waiting(run.lake)) == 1
        assert stored(run.lake, "*") == []
        run.generation(POPULATION, outcome="failure")
    assert waiting(run.lake) == []
    assert stored(run.lake, "run_uuid, generation, outcome, best_total_error") == [
        (run.run_uuid, 0, "continue", 1.0),
        (run.run_uuid, 1, "failure", 1.0),
    ]
    assert run.account.accepted == run.account.generations == 2
    assert run.account.individuals == 4


def test_an_exception_leaves_the_block_and_loses_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with Recorder(tmp_path, system="s") as run:
            run.generation(POPULATION)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stored(tmp_path, "generation, outcome") == [(0, "continue")]


def test_lines_move_on_as_the_run_goes(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s", transform_every=0) as run:
        run.generation(POPULATION)
        assert stored(tmp_path, "generation") == [(0,)]
        assert run.account.accepted == 1


def test_a_busy_lake_does_not_stop_a_run(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s", transform_every=0) as run:
        with Lake.open(tmp_path).lock():
            run.generation(POPULATION)
        assert len(waiting(tmp_path)) == 1
        assert run.account.accepted == 0
    assert stored(tmp_path, "generation") == [(0,)]
    assert run.account.accepted == 1


def test_the_same_seeded_run_twice_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        with Recorder(tmp_path, system="s", uuids=seeded_uuids(5), clock=seconds()) as run:
            run.generation(POPULATION)
            run.generation(POPULATION, outcome="failure")
    assert (run.account.duplicates, run.account.accepted) == (2, 0)
    assert len(stored(tmp_path, "*")) == 2


def test_other_content_for_a_stored_generation_warns(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s", run_uuid="r") as run:
        run.generation(POPULATION)
    run = Recorder(tmp_path, system="s", run_uuid="r")
    run.generation([{"errors": [7, 7]}])
    with pytest.warns(UserWarning, match=r"1 of 1 generations .* quarantine list"):
        run.close()
    assert stored(tmp_path, "best_total_error") == [(1.0,)]
    assert [entry.code for entry in Lake.open(tmp_path).quarantine.entries()] == ["conflict"]


def test_a_run_can_be_taken_up_again(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s", run_uuid="r") as run:
        run.generation(POPULATION)
    with Recorder(tmp_path, system="s", run_uuid="r") as run:
        run.generation(POPULATION, index=np.int64(1), outcome="success")
    assert stored(tmp_path, "run_uuid, generation, outcome") == [("r", 0, "continue"), ("r", 1, "success")]


def test_the_owner_is_the_argument_else_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPDATA_OWNER", "ada")
    for owner in (None, "grace"):
        with Recorder(tmp_path, system="s", owner=owner) as run:
            run.generation(POPULATION)
    assert stored(tmp_path, "owner, source", "runs") == [("ada", "recorder"), ("grace", "recorder")]


def test_a_callable_names_runs_and_individuals(tmp_path: Path) -> None:
    names = iter(["run", "first", "second"])
    with Recorder(tmp_path, system="s", uuids=lambda: next(names)) as run:
        run.generation(individual for individual in [{"uuid": None}, {}])
    assert stored(tmp_path, "run_uuid, uuid", "individuals") == [("run", "first"), ("run", "second")]


def test_seeded_uuids_leave_pythons_random_numbers_alone() -> None:
    import random

    random.seed(1)
    expected = random.random()
    random.seed(1)
    found = [next(seeded_uuids("a")), next(seeded_uuids("b"))]
    assert random.random() == expected
    assert found[0] != found[1]


def test_a_recorder_without_a_generation_warns(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="closed without a generation"):
        Recorder(tmp_path, system="s").close()
    assert stored(tmp_path, "*", "runs") == []


def test_closing_twice_does_nothing(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s") as run:
        run.generation(POPULATION)
        run.close()
    assert len(stored(tmp_path, "*")) == 1


def test_a_refused_generation_can_be_mended(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s") as run:
        with pytest.raises(InvalidInput):
            run.generation([{"parents_uuid": []}])
        run.generation([{"parent_uuids": []}])
    assert stored(tmp_path, "generation") == [(0,)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"individuals": []}, "the population is empty"),
        ({"individuals": [3]}, "individual 0 is a int; valid is a mapping"),
        ({"outcome": "sucess"}, "outcome is 'sucess'; did you mean 'success'?"),
        ({"outcome": None}, "valid are 'continue', 'failure', 'success'"),
        ({"index": -1}, "index is -1; valid is a whole number from 0"),
        ({"index": 2**31}, "index is 2147483648; valid is a whole number from 0"),
        ({"index": 1.5}, "index is 1.5; valid is a whole number from 0"),
        ({"index": "1"}, "index is '1'; valid is a whole number from 0"),
        ({"best": [1]}, "best is a list"),
        ({"report": [1]}, "report is a list"),
        ({"report": {"f": len}}, "the report's 'f' holds <built-in function len>"),
        ({"test_errors": "abc"}, "test_errors is 'abc'"),
        ({"individuals": [{}], "test_errors": [1]}, "give `best` too"),
    ],
)
def test_bad_generations(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    run = Recorder(tmp_path, system="s")
    with pytest.raises(InvalidInput) as caught:
        run.generation(**{"individuals": POPULATION, **given})
    assert says in str(caught.value)
    assert waiting(tmp_path) == []


def test_generations_rise(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s") as run:
        run.generation(POPULATION, index=4)
        with pytest.raises(InvalidInput, match="index is 4; valid is a whole number from 5"):
            run.generation(POPULATION, index=4)
        run.generation(POPULATION)
    assert stored(tmp_path, "generation") == [(4,), (5,)]


def test_a_run_ends_once(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s") as run:
        run.generation(POPULATION, outcome="failure")
        with pytest.raises(InvalidInput, match=r"ended it with 'failure'.*open a new Recorder"):
            run.generation(POPULATION, outcome="failure")
    with pytest.raises(InvalidInput, match="is closed; open a new one"):
        run.generation(POPULATION)


def test_a_run_that_goes_on_after_its_success_says_so(tmp_path: Path) -> None:
    with Recorder(tmp_path, system="s") as run:
        run.generation(POPULATION, outcome="success")
        run.generation(POPULATION, outcome="success")
        for outcome in ("continue", "failure"):
            with pytest.raises(InvalidInput, match="no outcome but 'success' from then on"):
                run.generation(POPULATION, outcome=outcome)
    assert stored(tmp_path, "outcome") == [("success",), ("success",)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"system": ""}, "system is ''; valid is a text that is not empty"),
        ({"problem": 3}, "problem is 3; valid is a text"),
        ({"config": ["a"]}, "config is a list; valid is a mapping"),
        ({"config": {"selection": len}}, "config's 'selection' holds <built-in function len>"),
        ({"config": {3: "a"}}, "key 3"),
        ({"config": {"label": "a"}, "label": "b"}, "label is 'b', but config has the label 'a'"),
        ({"run_uuid": ""}, "run_uuid is ''; valid is a UUID or a text of 1 to 200 characters"),
        ({"run_uuid": 7}, "run_uuid is 7"),
        ({"clock": lambda: datetime(2026, 1, 1)}, "valid is a datetime with a time zone"),
        ({"transform_every": -1}, "transform_every=-1"),
    ],
)
def test_bad_arguments(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Recorder(tmp_path / "lake", **{"system": "s", **given})
    assert says in str(caught.value)
    assert not (tmp_path / "lake").exists()


def test_bad_lakes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file; a lake is a directory"):
        Recorder(tmp_path / "file", system="s")
    with pytest.raises(InvalidInput, match="is no gpdata lake and holds other files"):
        Recorder(tmp_path, system="s")
    with pytest.raises(InvalidInput, match=r"is no address that can be uploaded to; valid is https://HOST"):
        Recorder("gs://bucket/lake", system="s")


def record(lake: str, name: str, generations: int) -> None:
    with Recorder(lake, system="s", run_uuid=name, transform_every=0) as run:
        for _ in range(generations):
            run.generation(POPULATION)


def record_until_killed(lake: str) -> None:
    with Recorder(lake, system="s", run_uuid="killed", transform_every=1e9) as run:
        for _ in range(3):
            run.generation(POPULATION)
        os.kill(os.getpid(), signal.SIGKILL)


def test_several_processes_record_into_one_lake(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = ["a", "b"]
    processes = [context.Process(target=record, args=(str(tmp_path), name, 5)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    expected = [(name, generation) for name in names for generation in range(5)]
    assert stored(tmp_path, "run_uuid, generation") == expected
    assert waiting(tmp_path) == []
    assert list(Lake.open(tmp_path).quarantine.entries()) == []


def test_what_a_killed_process_recorded_is_there(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=record_until_killed, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(waiting(tmp_path)) == 3
    Transformer(Lake.open(tmp_path)).run()
    assert stored(tmp_path, "run_uuid, generation") == [("killed", 0), ("killed", 1), ("killed", 2)]


def test_close_waits_for_the_lock(tmp_path: Path) -> None:
    run = Recorder(tmp_path, system="s", transform_every=1e9)
    run.generation(POPULATION)
    with ThreadPoolExecutor() as executor:
        with Lake.open(tmp_path).lock():
            closing = executor.submit(run.close)
            assert wait([closing], timeout=0.3).not_done
            assert stored(tmp_path, "*") == []
        closing.result()
    assert stored(tmp_path, "generation") == [(0,)]
