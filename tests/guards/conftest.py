"""Lakes of 10 and of 40 runs, compacted, each run in a row group of its own; and one that was never compacted."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gpdata.lake import Lake, Transformer, compaction
from gpdata.lake.compaction import compact
from gpdata.lake.parquet import Profile
from gpdata.spool import Meta
from tests.conftest import made_once
from tests.support import run_lines

GENERATIONS, SIZE = 5, 4
SMALL, LARGE = 10, 40


def uuid_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def filled(path: Path, runs: int) -> Lake:
    """Make a lake whose batches hold a run each."""
    lake = Lake.create(path)
    transformer = Transformer(lake)
    for number in range(runs):
        lake.spool().write(run_lines(uuid_of(number), GENERATIONS, SIZE), Meta("import"))
        transformer.run()
    return lake


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the compacted lakes by their number of runs; read only."""

    def make(runs: int, path: Path) -> None:
        lake = filled(path, runs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction, "Profile", partial(Profile, row_group=GENERATIONS * SIZE))
            compact(lake)

    return {n: made_once(tmp_path_factory, f"guards-{n}", partial(make, n)) for n in (SMALL, LARGE)}


@pytest.fixture(scope="session")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of small runs, a file each; read only."""

    def make(path: Path) -> None:
        filled(path, SMALL)

    return made_once(tmp_path_factory, "guards-loose", make)
