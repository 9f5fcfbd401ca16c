"""kill -9 of server, transform and forwarder while every capture is replayed through them: the lake of an import.

`make test-faults` runs it; KILLS sets how often each is killed (50 by default), SEED brings back a failure.
"""

from __future__ import annotations

import os
import random
from itertools import groupby
from pathlib import Path

import pytest

from gpdata.importers import find_streams, import_paths
from gpdata.lake import Lake
from gpdata.lake.verify import verify
from tests.support import contents
from tests.upload.service import DROPPED_FIELDS, Chain

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("KILLS", "50"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))


def test_captures_through_killed_processes_make_the_lake_of_an_import(captures: Path, tmp_path: Path) -> None:
    streams = [Path(stream) for stream in find_streams([captures])]
    expected = Lake.create(tmp_path / "expected")
    import_paths(streams, expected)
    # The parts of one run came one after the other; runs go on at the same time.
    groups = [list(group) for _, group in groupby(streams, key=lambda path: path.name.partition(".part")[0])]
    chain = Chain(tmp_path, GPDATA_BATCH_BYTES="300000")
    try:
        runs = chain.send(groups, dict.fromkeys(chain.kills, KILLS), random.Random(SEED))
        chain.finish()
    finally:
        chain.end()
    print(f"kills {chain.kills}, {sum(run.resent for run in runs)} lines sent again; SEED={SEED}")
    assert set(chain.kills.values()) == {KILLS}
    ours = contents(chain.lake)
    for name, table in contents(expected.path).items():
        drop = [field for field in DROPPED_FIELDS if field in table.schema.names]
        assert ours[name].drop_columns(drop) == table.drop_columns(drop), f"{name}; SEED={SEED} brings it back"
    lake = Lake.open(chain.lake)
    assert [finding for finding in verify(lake) if finding.kind == "error"] == []
    assert list(lake.quarantine.entries()) == []
    assert chain.known.keys == set(zip(*(ours["generations"][c].to_pylist() for c in ("run_uuid", "generation")),
                                       strict=True))  # fmt: skip
