"""What a lake no longer names goes after a time that no clock cuts short."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.lake import Lake, Transformer
from gpdata.lake.cleaning import KEEP, Moment, clean
from gpdata.lake.compaction import compact
from gpdata.spool import Meta
from tests.support import contents, run_lines

DAY = 24 * 3600.0
YEARS = 3650 * DAY


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with two replaced files a table."""
    lake = Lake.create(tmp_path / "lake")
    for text in run_lines(generations=2):
        lake.spool().write([text], Meta("recorder"))
        Transformer(lake).run()
    compact(lake)
    (lake.path / "ages.json").unlink()
    return lake


def replaced(lake: Lake) -> int:
    return sum(1 for path in lake.path.glob("*/batch-*.parquet"))


def test_replaced_files_go_after_their_time_and_not_before(lake: Lake) -> None:
    before, expected = replaced(lake), contents(lake.path)
    clean(lake, moment=Moment("a", 0, 0))
    clean(lake, moment=Moment("a", KEEP - 1, KEEP - 1))
    assert replaced(lake) == before == 5
    clean(lake, moment=Moment("a", KEEP + 1, KEEP + 1))
    assert replaced(lake) == 0
    assert contents(lake.path) == expected
    assert contents(lake.path, version=1)["generations"].num_rows == 1


@pytest.mark.parametrize("shift", [YEARS, -YEARS])
def test_a_clock_that_jumps_removes_nothing_early(lake: Lake, shift: float) -> None:
    clean(lake, moment=Moment("a", 0, 0))
    for hour in range(1, 4):
        clean(lake, moment=Moment("a", hour * 3600.0, hour * 3600.0 + shift))
    clean(lake, moment=Moment("b", 0, 2 * shift))  # and once more over a restart
    assert replaced(lake) == 5


def test_over_restarts_a_day_is_believed_at_most(lake: Lake) -> None:
    for boot in range(7):
        clean(lake, moment=Moment(str(boot), 60, boot * YEARS))
        assert replaced(lake) == 5
    clean(lake, moment=Moment("8", 60, 8 * YEARS))
    assert replaced(lake) == 0


def test_a_damaged_record_of_ages_begins_them_anew(lake: Lake) -> None:
    clean(lake, moment=Moment("a", 0, 0))
    (lake.path / "ages.json").write_bytes(b"{torn")
    clean(lake, moment=Moment("a", 2 * KEEP, 0))
    assert replaced(lake) == 5


def test_a_file_that_is_written_anew_begins_anew(lake: Lake) -> None:
    orphan = lake.path / "individuals" / "batch-000000000099.parquet"
    orphan.write_bytes(b"of a batch that was cut off")
    clean(lake, moment=Moment("a", 0, 0))
    orphan.unlink()
    orphan.write_bytes(b"of the same batch, done again")
    clean(lake, moment=Moment("a", KEEP + 1, 0))
    assert orphan.exists()
    assert replaced(lake) == 1


def record_and_sum_up(lake: Lake, generation: int) -> None:
    lake.spool().write(run_lines()[generation : generation + 1], Meta("recorder"))
    Transformer(lake).run()
    for table in lake.tables.values():
        table.checkpoint()


def test_the_log_before_a_checkpoint_and_forgotten_files_go_too(lake: Lake) -> None:
    expected = contents(lake.path)
    (lake.path / "receipts" / "x.json").write_bytes(b"{}")
    (lake.scratch / "x.tmp").write_bytes(b"")
    log = lake.tables["generations"].log
    before = sorted(path.name for path in log.iterdir())
    clean(lake, 0, moment=Moment("a", 0, 0))
    assert sorted(path.name for path in log.iterdir()) == before, "a day at least, whatever is asked for"
    clean(lake, 0, moment=Moment("a", DAY, 0))
    kept = sorted(path.name for path in log.glob("0*"))
    assert kept == sorted(name for name in before if name.startswith("0")), "one checkpoint may be torn"
    record_and_sum_up(lake, 3)
    clean(lake, 0, moment=Moment("a", DAY, 0))
    clean(lake, 0, moment=Moment("a", 2 * DAY, 0))
    expected = contents(lake.path)
    checkpoints = sorted(log.glob("0*.checkpoint.parquet"))
    assert len(checkpoints) == 2
    assert min(path.name for path in log.glob("0*")).partition(".")[0] == checkpoints[0].name.partition(".")[0]
    checkpoints[1].write_bytes(checkpoints[1].read_bytes()[:-30])
    assert lake.tables["generations"].repair(), "the torn one is set aside"
    assert contents(lake.path) == expected
    assert not list(lake.scratch.iterdir())
    assert not list((lake.path / "receipts").iterdir())
    assert contents(lake.path) == expected
    lake.spool().write(run_lines()[2:3], Meta("recorder"))
    assert Transformer(lake).run().accepted == 1


@given(
    st.tuples(st.sampled_from("ab"), st.floats(0, 1e9), st.floats(-1e12, 1e12)),
    st.tuples(st.sampled_from("ab"), st.floats(0, 1e9), st.floats(-1e12, 1e12)),
)
def test_time_never_passes_faster_than_it_can(one: tuple[str, float, float], other: tuple[str, float, float]) -> None:
    passed = Moment(*other).since(Moment(*one))
    assert passed >= 0
    if one[0] == other[0]:
        assert passed == max(0, other[1] - one[1])
    else:
        assert passed <= DAY
