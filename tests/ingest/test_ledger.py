"""What the service knows of runs equals what the lake and the spool hold, whatever came in which order."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.ingest.ledger import Claimed, LakeLedger
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from gpdata.lake.transform import Transformer
from gpdata.spool import Key, Meta
from tests.support import RUN, line, run_lines

OTHER = RUN[:-1] + "2"


def sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def known(lake: Lake) -> LakeLedger:
    ledger = LakeLedger(lake, lake.spool())
    ledger.refresh()
    return ledger


def test_an_empty_lake_knows_nothing(lake: Lake) -> None:
    ledger = known(lake)
    assert ledger.run(RUN) is None
    assert ledger.runs() == ([], None)
    assert ledger.refusal(RUN, 0, "ada") is None
    assert ledger.sha256(RUN, 0) is None


@pytest.mark.parametrize("compacted", [False, True])
def test_lines_of_the_lake_are_known_after_a_restart(lake: Lake, compacted: bool) -> None:
    lines = run_lines(generations=5)
    for one in lines:
        lake.spool().write([one], Meta("upload", "ada"))
        Transformer(lake).run()
    if compacted:
        compact(lake)
    ledger = known(lake)
    assert [ledger.sha256(RUN, g) for g in range(6)] == [*map(sha256, lines), None]
    assert ledger.refusal(RUN, 9, "ada") is None
    refused = ledger.refusal(RUN, 9, "bob")
    assert refused is not None
    assert refused.code == "other_owner"
    assert ledger.refusal(RUN, 9, None) is not None
    assert ledger.batch == 5


def test_a_compaction_while_it_runs_changes_nothing(lake: Lake) -> None:
    lake.spool().write(run_lines(generations=3), Meta("upload", "ada"))
    Transformer(lake).run()
    ledger = known(lake)
    before = ledger.run(RUN)
    compact(lake)
    ledger.refresh()
    lake.spool().write([line(OTHER)], Meta("upload", "bob"))
    Transformer(lake).run()
    ledger.refresh()
    assert ledger.run(RUN) == before
    assert ledger.sha256(OTHER, 0) == sha256(line(OTHER))


def test_lines_that_wait_are_known_by_their_notes_or_by_themselves(lake: Lake) -> None:
    lake.spool().write([line()], Meta("upload", "ada", keys=(Key(RUN, 0, sha256(line())),)))
    lake.spool().write([line(OTHER, 3), b"no line"], Meta("recorder", "bob"))
    ledger = known(lake)
    assert ledger.sha256(RUN, 0) == sha256(line())
    assert ledger.sha256(OTHER, 3) == sha256(line(OTHER, 3))
    assert ledger.refusal(OTHER, 4, "ada") is not None
    state = ledger.run(OTHER)
    assert state is not None
    assert (state.gaps, state.in_lake, state.waiting) == ([(0, 2)], 0, 1)


@pytest.mark.parametrize("told", [True, False])
def test_a_line_that_waits_is_hashed_when_somebody_asks(lake: Lake, told: bool) -> None:
    spool = lake.spool()
    lines = [line(RUN, 0), line(RUN, 1), line(RUN, 1, seed=1), line(OTHER, 0)]
    keys = tuple(Key(run, number) for run, number in ((RUN, 0), (RUN, 1), (RUN, 1), (OTHER, 0)))
    file = spool.write(lines, Meta("upload", "ada", keys=keys if told else None))
    ledger = LakeLedger(lake, spool)
    ledger.committed(file.id, keys, "ada", None)
    assert ledger.sha256(RUN, 1) == sha256(lines[1])
    file.path.unlink()  # the others are known from the first reading
    assert (ledger.sha256(RUN, 0), ledger.sha256(OTHER, 0)) == (sha256(lines[0]), sha256(lines[3]))


@pytest.mark.parametrize("told", [True, False])
def test_the_hash_of_a_line_is_found_wherever_its_file_went(lake: Lake, told: bool) -> None:
    spool, keys = lake.spool(), (Key(RUN, 0), Key(RUN, 1))
    lines = [line(RUN, 0), line(RUN, 1)]
    file = spool.write(lines, Meta("upload", "ada", keys=keys if told else None))
    ledgers = [LakeLedger(lake, spool) for _ in range(2)]
    for ledger in ledgers:
        ledger.committed(file.id, keys, "ada", None)
    Transformer(lake, grace=3600).run()
    assert [found.id for found in spool.retired()] == [file.id]
    assert ledgers[0].sha256(RUN, 1) == sha256(lines[1])
    spool.collect([file.id])
    assert ledgers[1].sha256(RUN, 1) == sha256(lines[1])


@pytest.mark.parametrize("told", [True, False])
def test_a_damaged_file_makes_no_line_a_duplicate(lake: Lake, told: bool) -> None:
    spool, keys = lake.spool(), (Key(RUN, 0), Key(RUN, 1))
    file = spool.write([line(RUN, 0), line(RUN, 1)], Meta("upload", "ada", keys=keys if told else None))
    ledger = LakeLedger(lake, spool)
    ledger.committed(file.id, keys, "ada", None)
    whole = bytearray(file.path.read_bytes())
    whole[whole.rfind(b"\x28\xb5\x2f\xfd") + 40] ^= 0xFF
    file.path.write_bytes(whole)
    assert ledger.sha256(RUN, 1) is None
    assert ledger.refusal(RUN, 1, "bob") is not None


def test_a_line_that_becomes_no_row_is_forgotten(lake: Lake) -> None:
    bad = line(population=[])
    file = lake.spool().write([bad], Meta("upload", "ada"))
    ledger = LakeLedger(lake, lake.spool())
    ledger.committed(file.id, [Key(RUN, 0, sha256(bad))], "ada", None)
    ledger.refresh()
    assert ledger.sha256(RUN, 0) == sha256(bad)
    assert Transformer(lake).run().quarantined == 1
    ledger.refresh()
    assert ledger.run(RUN) is None
    assert ledger.refusal(RUN, 0, "bob") is None


def test_a_note_that_comes_after_the_transform_does_no_harm(lake: Lake) -> None:
    file = lake.spool().write([line()], Meta("upload", "ada"))
    Transformer(lake).run()
    ledger = known(lake)
    ledger.committed(file.id, [Key(RUN, 0, sha256(line()))], "ada", None)
    ledger.refresh()
    state = ledger.run(RUN)
    assert state is not None
    assert (state.in_lake, state.waiting) == (1, 0)


def test_a_run_that_is_new_is_held_for_the_first_until_it_is_over(lake: Lake) -> None:
    ledger = known(lake)
    first, same, other = ledger.claims(), ledger.claims(), ledger.claims()
    assert first.refusal(RUN, 0, "ada") is None
    assert same.refusal(RUN, 1, "ada") is None
    with pytest.raises(Claimed):
        other.refusal(RUN, 0, "bob")
    assert ledger.refusal(RUN, 0, None) is not None
    first.release()
    with pytest.raises(Claimed):
        other.refusal(RUN, 0, "bob")
    same.release()
    assert other.refusal(RUN, 0, "bob") is None
    ledger.committed("file", [Key(RUN, 0, "0" * 64)], "bob", None)
    other.release()
    refused = ledger.claims().refusal(RUN, 1, "ada")
    assert refused is not None
    assert refused.code == "other_owner"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.create(tmp_path_factory.mktemp("empty") / "lake")


@settings(max_examples=50, deadline=None)
@given(numbers=st.lists(st.integers(0, 999_999_999) | st.integers(0, 12), min_size=1, unique=True))
def test_any_order_of_generations_gives_the_same_answers(empty: Lake, numbers: list[int]) -> None:
    ledger = LakeLedger(empty, empty.spool())
    for number in numbers:
        ledger.committed(f"file {number}", [Key(RUN, number, sha256(b"%d" % number))], "ada", None)
    assert [ledger.sha256(RUN, number) for number in numbers] == [sha256(b"%d" % number) for number in numbers]
    state = ledger.run(RUN)
    assert state is not None
    assert (state.first, state.last, state.generations) == (min(numbers), max(numbers), len(numbers))
    missing = sum(last - first + 1 for first, last in state.gaps)
    assert missing + len(numbers) == max(numbers) + 1
    assert not [n for n in numbers for first, last in state.gaps if first <= n <= last]
