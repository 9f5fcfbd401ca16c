"""Ingest through Spark: the lake of the embedded transform, whatever is killed, lost or stale."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gpdata.errors import GpdataError, LakeBusy
from gpdata.importers.lines import Line as StreamLine
from gpdata.importers.lines import lines as stream_lines
from gpdata.lake import Account, Lake, Transformer
from gpdata.lake.batch import Batch
from gpdata.lake.follow import Follower
from gpdata.lake.index import Index
from gpdata.lake.transform import Manifest
from gpdata.lake.verify import verify
from gpdata.sessions.stream import StreamTransformer
from gpdata.sessions.stream_batch import SparkBatch, plan
from gpdata.sessions.stream_task import Answer, Failed, Span, Task, Work, answer_of, work
from gpdata.spool import Meta, Spool, SpoolFile
from gpdata.spool.frames import frame
from gpdata.spool.room import Room
from tests.support import contents, line, run_lines, until

pytestmark = pytest.mark.xdist_group("spark")

OTHER = "00000000-0000-4000-8000-000000000002"
STREAMS = ("smoke-odd", "demos.odd-plushy-s31", "recon-sink_killed_mid_line.part1")
GPDATA = [sys.executable, "-c", "from gpdata.cli import main; main()"]
PATIENCE = 240.0


def odd_spool(lake: Lake) -> None:
    """Record what makes every kind of trouble: repeats, conflicts, garbage, a torn line, damage, other owners."""
    spool = lake.spool()
    spool.write(run_lines(), Meta("upload", owner="ada"))
    again = [*run_lines()[2:], line(generation=2, seed=9), b"garbage", line(generation=7)[:-9], line(generation=7)]
    spool.write(again, Meta("upload", owner="ada", origin="a file", line_numbers=tuple(range(10, 17))))
    spool.write(run_lines(OTHER, 3), Meta("plain"))
    damaged = spool.write(run_lines(OTHER, 6), Meta("recorder"))
    data = bytearray(damaged.path.read_bytes())
    data[data.index(frame(run_lines(OTHER, 6)[4])) + 40] ^= 0xFF
    damaged.path.write_bytes(data)
    spool.write([line(generation=8)], Meta("upload", owner="eve"))


def twins(tmp_path: Path, record: Callable[[Lake], None]) -> tuple[Lake, Lake]:
    """Return two lakes whose spools hold the same files; the first is transformed here."""
    one, two = Lake.create(tmp_path / "embedded"), Lake.create(tmp_path / "spark")
    record(one)
    shutil.copytree(one.path / "spool", two.path / "spool", dirs_exist_ok=True)
    return one, two


def assert_same(one: Lake, two: Lake) -> None:
    assert contents(two.path) == contents(one.path)
    assert list(two.quarantine.entries()) == list(one.quarantine.entries())
    for entry in one.quarantine.entries():
        assert two.quarantine.raw(entry) == one.quarantine.raw(entry)
    assert [f"{f.where}: {f.what}" for f in verify(two) if f.kind == "error"] == []
    assert two.spool().pending() == []


def many_kinds(captures: Path) -> Callable[[Lake], None]:
    """Return what records streams of real runs beside everything odd."""

    def record(lake: Lake) -> None:
        odd_spool(lake)
        for name in STREAMS:
            for path in sorted(captures.glob(f"{name}*.zst")):
                with path.open("rb") as stream:
                    parts = [part for part in stream_lines(stream, limit=1 << 28) if isinstance(part, StreamLine)]
                numbers = tuple(part.number for part in parts)
                meta = Meta("import", origin=path.name, line_numbers=numbers)
                lake.spool().write([part.content for part in parts], meta)

    return record


def test_a_session_that_runs_no_task_is_told(sessions: Callable[[str], Any], tmp_path: Path) -> None:
    session = sessions("spark")

    class Refused:
        """The session, but for a first job that its cluster does not run."""

        def range(self, end: int) -> Any:
            return session.sql(f"SELECT id FROM range({end}) WHERE assert_true(id < 0, 'no executors') IS NULL")

    with pytest.raises(GpdataError, match=r"did not run a first small job.*gpdata\.doctor"):
        StreamTransformer(Lake.create(tmp_path / "lake"), Refused())  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["spark", pytest.param("connect", marks=pytest.mark.faults)])
def test_the_lake_is_that_of_the_embedded_transform(
    engine: str, sessions: Callable[[str], Any], captures: Path, tmp_path: Path
) -> None:
    one, two = twins(tmp_path / "w [1] *", many_kinds(captures))
    expected = Transformer(one, batch_bytes=2 << 20).run()
    seen: list[Account] = []
    streamed = StreamTransformer(two, sessions(engine), tasks=3, batch_bytes=200_000, least_bytes=9_000)
    assert streamed.run(progress=seen.append) == expected
    assert expected.quarantined >= 5
    assert_same(one, two)
    assert_shared(two, len(seen))


def assert_shared(lake: Lake, batches: int) -> None:
    """Several batches were made, by several tasks each, and nothing was left that the lake does not name."""
    names = {file.path for file in lake.tables["individuals"].files()}
    assert {path.name for path in (lake.path / "individuals").glob("*.parquet")} == names
    assert len(names) > batches > 1


class Executors(Transformer):
    """Does what Spark's tasks do, in this process, one after the other."""

    asked = 0

    def _batch(self, spool: Spool, manifest: Manifest, index: Index) -> Batch:
        return SparkBatch(self.lake, spool, manifest, index, self._ask, 3, 9_000)

    def _ask(self, common: Work, tasks: Sequence[Task]) -> dict[int, list[Answer]]:
        self.asked += 1
        answers: dict[int, list[Answer]] = {number: [] for number in range(len(tasks))}
        for batch in work([pa.record_batch({"id": list(answers)})], common, tasks):
            answers[batch.column("task")[0].as_py()].append(answer_of(batch.column("told")[0].as_py()))
        return answers


def test_tasks_make_the_rows_of_the_embedded_transform(captures: Path, tmp_path: Path) -> None:
    one, two = twins(tmp_path, many_kinds(captures))
    seen: list[Account] = []
    executors = Executors(two, batch_bytes=600_000)
    assert executors.run(progress=seen.append) == Transformer(one, batch_bytes=2 << 20).run()
    assert_same(one, two)
    assert_shared(two, len(seen))
    assert executors.asked > len(seen), "no task was asked again for fewer lines"


@pytest.mark.parametrize(
    "harm", ["kept", "torn", "gone", *(pytest.param(name, marks=pytest.mark.faults) for name in ("stale", "commits"))]
)
def test_a_checkpoint_that_is_stale_torn_or_gone_changes_nothing(
    harm: str, sessions: Callable[[str], Any], tmp_path: Path
) -> None:
    one, two = twins(tmp_path, odd_spool)
    kept, early = tmp_path / "kept", tmp_path / "early"
    shutil.copytree(two.path / "spool" / "new", kept)
    expected = Transformer(one).run()
    streamed = StreamTransformer(two, sessions("spark"), tasks=2, least_bytes=4_000)
    assert streamed.run() == expected
    if harm == "stale":
        shutil.copytree(streamed.checkpoint, early)
        for lake, transformer in ((one, Transformer(one)), (two, streamed)):
            lake.spool().write([line(generation=9)], Meta("upload", owner="ada"))
            assert transformer.run().accepted == 1
        shutil.rmtree(streamed.checkpoint)
        shutil.copytree(early, streamed.checkpoint)  # of before that line
    elif harm == "gone":
        shutil.rmtree(streamed.checkpoint)
    elif harm in ("torn", "commits"):
        log = streamed.checkpoint / ("offsets" if harm == "torn" else "commits")
        max(log.glob("[0-9]*"), key=lambda path: int(path.name)).write_bytes(b"")
    # Spark takes the names for known where it remembers them; the lake is asked for every line again, and has them.
    for path in kept.iterdir():
        shutil.copyfile(path, two.path / "spool" / "new" / path.name)
    new = line(generation=10)
    for lake in (one, two):
        lake.spool().write([new], Meta("upload", owner="ada"))
    assert Transformer(one).run().accepted == 1
    again = streamed.run()
    assert (again.lines, again.accepted, again.quarantined) == (expected.lines + 1, 1, expected.quarantined)
    assert_same(one, two)


def test_a_lake_that_is_written_or_fed_by_another_is_told(sessions: Callable[[str], Any], tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("upload"))
    streamed = StreamTransformer(lake, sessions("spark"), tasks=2, least_bytes=4_000)
    with lake.lock(), pytest.raises(LakeBusy, match="is being written by process"):
        streamed.run(wait=0)
    with lake.lock(0, "stream.lock"), pytest.raises(LakeBusy, match="is being fed through Spark"):
        streamed.run(wait=0)
    assert len(lake.spool().pending()) == 1
    assert streamed.run(wait=0).accepted == 5


def workers() -> Iterator[int]:
    """Yield the Python workers of this process's Spark: children of a daemon below its JVM."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue

    def depth(process: int) -> int:
        steps = 0
        while process not in (0, 1, os.getpid()):
            process, steps = parents.get(process, 0), steps + 1
        return steps if process == os.getpid() else 0

    for process in parents:
        try:
            daemon = b"pyspark.daemon" in Path(f"/proc/{process}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if daemon and depth(process) and depth(parents[process]) + 1 == depth(process):
            parent = Path(f"/proc/{parents[process]}/cmdline")
            if parent.exists() and b"pyspark.daemon" in parent.read_bytes():
                yield process


@contextmanager
def killing(condition: Callable[[], bool], most: int) -> Iterator[list[int]]:
    """Kill the Python workers, up to so many times, each time that the condition holds."""
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while len(killed) < most and not ended.wait(0.005):
            if condition():
                for process in workers():
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("most", [1, pytest.param(1000, marks=pytest.mark.faults)])
def test_an_executor_whose_python_is_killed(most: int, sessions: Callable[[str], Any], tmp_path: Path) -> None:
    """Once, or as long as it is asked: what Spark cannot do in the end this process does."""
    one, two = twins(tmp_path, odd_spool)
    expected = Transformer(one).run()
    with killing(lambda: any((two.path / "manifests").glob("*.try")), most) as killed:
        account = StreamTransformer(two, sessions("spark"), tasks=2, least_bytes=4_000).run()
    assert killed
    assert account == expected
    assert_same(one, two)
    assert list((two.path / "manifests").iterdir()) == []


def test_what_comes_is_followed(sessions: Callable[[str], Any], tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    streamed = StreamTransformer(lake, sessions("spark"), tasks=2, grace=0.1)
    follower = Follower(streamed, Room(lake.path, 0), every=0.02, gather=0.02)
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        for text in run_lines(generations=3):
            lake.spool().write([text], Meta("upload"))
            until(lambda: not lake.spool().pending() and not lake.spool().retired(), PATIENCE, "the collection")
        assert contents(lake.path)["generations"].num_rows == 3
    finally:
        follower.stop.set()
        thread.join()


def test_a_stream_that_cannot_be_read_is_told(sessions: Callable[[str], Any], tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.spool().write(run_lines(), Meta("upload"))
    streamed = StreamTransformer(lake, sessions("spark"), tasks=1)
    assert streamed.run().accepted == 5
    (lake.path / "spool" / "new").rename(tmp_path / "elsewhere")
    with pytest.raises(GpdataError, match="nothing is lost"):
        streamed._stream(lambda _: None, lambda: False, doubt=False)


def test_what_an_executor_cannot_see_is_told(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    numbers = pa.record_batch({"id": [0]})
    common = Work(str(lake.path), "spool", 1, True)
    (gone,) = work([numbers], common, [Task([Span(0, "nothing")], {})])
    failed = answer_of(gone.column("told")[0].as_py())
    assert isinstance(failed, Failed)
    assert failed.kind == "other"
    assert "nothing is not in" in failed.what
    elsewhere = Work(str(tmp_path / "elsewhere"), "spool", 1, True)
    (gone,) = work([numbers], elsewhere, [Task([Span(0, "nothing")], {})])
    assert "there is no lake at" in answer_of(gone.column("told")[0].as_py()).what  # type: ignore[union-attr]


def test_lines_are_shared_among_tasks() -> None:
    def meta(raw: int, lines: int = 0) -> Meta:
        return Meta("import", raw_bytes=raw, line_numbers=tuple(range(lines)) or None)

    file = SpoolFile("a", Path("a"), 10)
    mb = 1_000_000
    assert len(plan([file] * 100, [meta(mb)] * 100, 4)) == 4
    assert len(plan([file] * 3, [meta(mb)] * 3, 4)) == 1  # not worth more
    split = plan([file], [meta(100 * mb, 50)], 4)
    assert [[(s.start, s.stop) for s in spans] for spans in split] == [[(0, 12)], [(12, 25)], [(25, 37)], [(37, None)]]
    assert len(plan([file], [None], 4)) == 1


def test_a_checkpoint_without_spark_is_refused(tmp_path: Path) -> None:
    command = [*GPDATA, "transform", "--lake", str(tmp_path / "lake"), "--checkpoint", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "without --engine spark" in done.stderr
