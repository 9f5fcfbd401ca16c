"""The soak: everything at once for as long as one likes, and every read held to what was acknowledged.

    python -m tests.faults.soak --minutes 30

The service with its transform, clients that upload, a compaction that is forced again and again with a clean-up
behind it that keeps little, and readers, each a process of its own. A read must see of each run a prefix of what
was acknowledged, the same for the same version whenever it is read; memory and descriptors must stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.served import ROOT, UPLOAD, Served
from tests.support import line

CLIENTS, READERS = 4, 4
PACE = 0.2
"""Seconds from one upload of a client to its next."""
KEEP = 60.0
"""Seconds for which a compaction keeps what it replaced; a reader holds a snapshot for less."""
HOLD = 20.0
COMPACT_EVERY = 15.0
GRACE = 5.0
SAMPLE_EVERY = 2.0
_MIB = 1 << 20
_DIGESTS = """
SELECT (SELECT bit_xor(hash(run_uuid, generation, line_sha256)) FROM generations),
  (SELECT count(*) FROM individuals),
  (SELECT bit_xor(hash(run_uuid, generation, location, uuid, total_error, genome_size, errors))
        FROM individuals)"""
_PREFIXES = "SELECT run_uuid, count(*), min(generation), max(generation) FROM generations GROUP BY run_uuid"


@dataclass
class Soak:
    """What is known while it runs."""

    wrong: list[str] = field(default_factory=list)
    acknowledged: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    """Of each run, when each generation was acknowledged, and the line's SHA-256."""
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    digests: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    reads: int = 0
    old_reads: int = 0
    """Of versions that had been read before."""
    duplicates: int = 0
    compactions: int = 0
    lag: list[tuple[float, float]] = field(default_factory=list)
    samples: dict[str, list[tuple[float, float, int]]] = field(default_factory=lambda: defaultdict(list))
    """Of each process, when, MiB, and open files."""
    files: list[tuple[float, int, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    begun: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begun

    def look(self, read: dict[str, Any]) -> None:
        """Hold a read to what was acknowledged."""
        if "error" in read:
            self.wrong.append(f"a reader failed: {read['error']}")
            return
        self.reads += 1
        version, seen = read["version"], (tuple(read["digests"]), tuple(map(tuple, read["runs"])))
        if version in self.digests:
            self.old_reads += 1
        if self.digests.setdefault(version, seen) != seen:
            self.wrong.append(f"version {version} is {seen}, and was {self.digests[version]}")
        oldest = 0.0
        for run, count, first, last in read["runs"]:
            if first != 0 or last != count - 1:
                self.wrong.append(f"version {version}, run {run}: {count} generations from {first} to {last}")
            if count > self.sent[run]:
                self.wrong.append(f"version {version}, run {run}: {count} generations, {self.sent[run]} were sent")
            waiting = self.acknowledged[run][count:]
            if read["newest"] and waiting:
                oldest = max(oldest, read["at"] - waiting[0][0])
        if read["newest"]:
            self.lag.append((self.now, max(0.0, oldest)))

    def upload(self, service: Served, number: int) -> None:
        """Upload generation after generation; now and then one that is there, and a new run."""
        chance = random.Random(number)
        runs = 0
        with service.client() as client:
            while not self.over.wait(PACE * chance.uniform(0.5, 1.5)):
                run = f"soak-{number}-{runs}"
                generation = len(self.acknowledged[run])
                raw = line(run, generation, size=20)
                body = raw + b"\n"
                if generation and chance.random() < 0.1:
                    body += line(run, chance.randrange(generation), size=20) + b"\n"
                self.sent[run] = generation + 1
                try:
                    answer = client.post(UPLOAD, content=body)
                except httpx.TransportError:
                    continue
                if answer.status_code != 200 or answer.json()["refused"]:
                    self.wrong.append(f"an upload was answered {answer.status_code}: {answer.text[:200]}")
                    continue
                self.duplicates += answer.json()["duplicate"]
                self.acknowledged[run].append((time.time(), hashlib.sha256(raw).hexdigest()))
                runs += len(self.acknowledged[run]) >= 500

    def compact(self, lake: Path) -> None:
        """Compact the lake again and again."""
        command = [sys.executable, "-c", "from gpdata.cli import main; main()", "compact", str(lake)]
        command += ["--keep-days", f"{KEEP / 86400:.6f}"]
        while not self.over.wait(COMPACT_EVERY):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            self.compactions += 1
            if done.returncode:
                self.wrong.append(f"a compaction ended with {done.returncode}: {done.stderr[-500:]}")

    def follow(self, reader: subprocess.Popen[str]) -> None:
        """Take what a reader says."""
        assert reader.stdout is not None
        for said in reader.stdout:
            self.look(json.loads(said))
        if not self.over.is_set():
            self.wrong.append(f"a reader ended with {reader.wait()}")

    def sample(self, service: Served, readers: list[subprocess.Popen[str]]) -> None:
        """Look at every process, and at the files."""
        names = {service.process.pid: "service"} | {r.pid: f"reader {n}" for n, r in enumerate(readers, 1)}
        for process in psutil.Process().children(recursive=True):
            try:
                words = " ".join(process.cmdline())
                name = names.get(process.pid) or ("transform" if " transform " in words else
                                                  "compaction" if " compact " in words else "")  # fmt: skip
                if name:
                    self.samples[name].append((self.now, process.memory_info().rss / _MIB, process.num_fds()))
            except (psutil.Error, FileNotFoundError):
                continue
        lake = service.lake.path
        spool = sum(1 for folder in ("new", "done", "trash") for _ in (lake / "spool" / folder).iterdir())
        self.files.append((self.now, sum(1 for _ in lake.glob("*/*.parquet")), spool))

    def grown(self) -> list[str]:
        """Say which process takes more in the last quarter than in the second."""
        wrong = []
        for name, samples in self.samples.items():
            if name == "compaction" or len(samples) < 40:
                continue
            quarter = len(samples) // 4
            early, late = samples[quarter : 2 * quarter], samples[-quarter:]
            memory = [statistics.median(sample[1] for sample in part) for part in (early, late)]
            files = [statistics.median(sample[2] for sample in part) for part in (early, late)]
            if memory[1] > 1.25 * memory[0] + 32:
                wrong.append(f"the memory of {name} grew from {memory[0]:.0f} to {memory[1]:.0f} MiB")
            if files[1] > files[0] + 8:
                wrong.append(f"the descriptors of {name} grew from {files[0]:.0f} to {files[1]:.0f}")
        return wrong

    def summary(self, minutes: float) -> str:
        """Return what came of it, for people."""
        lines = sum(map(len, self.acknowledged.values()))
        lags = sorted(lag for _, lag in self.lag) or [0.0]
        counts = (
            f"{minutes:g} minutes: {lines} generations acknowledged, {self.duplicates} duplicates, "
            f"{self.compactions} compactions, {self.reads} reads of {len(self.digests)} versions "
            f"({self.old_reads} of a version read before), {len(self.wrong)} violations"
        )
        lag = (
            f"lag from acknowledgement to readable: median {statistics.median(lags):.1f} s, "
            f"95 % {lags[int(0.95 * (len(lags) - 1))]:.1f} s, most {lags[-1]:.1f} s"
        )
        text = [counts, lag]
        for name, samples in sorted(self.samples.items()):
            memory, files = [s[1] for s in samples], [s[2] for s in samples]
            text.append(f"{name}: {statistics.median(memory):.0f} MiB (most {max(memory):.0f}), "
                        f"{statistics.median(files):.0f} descriptors (most {max(files)})")  # fmt: skip
        return "\n".join([*text, *self.wrong[:20]])

    def draw(self, path: Path) -> None:
        """Draw memory, descriptors, lag and files over time."""
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot

        figure, ((memory, descriptors), (lag, files)) = pyplot.subplots(2, 2, figsize=(12, 8), layout="constrained")
        for name, samples in sorted(self.samples.items()):
            times = [sample[0] / 60 for sample in samples]
            style = "." if name == "compaction" else "-"
            memory.plot(times, [sample[1] for sample in samples], style, label=name, markersize=3)
            descriptors.plot(times, [sample[2] for sample in samples], style, label=name, markersize=3)
        lag.plot([at / 60 for at, _ in self.lag], [seconds for _, seconds in self.lag], ".", markersize=3)
        files.plot([s[0] / 60 for s in self.files], [s[1] for s in self.files], label="Parquet files")
        files.plot([s[0] / 60 for s in self.files], [s[2] for s in self.files], label="spool files")
        titles = ("memory (MiB)", "open descriptors", "from acknowledged to readable (s)", "files")
        for axes, title in zip((memory, descriptors, lag, files), titles, strict=True):
            axes.set(title=title, xlabel="minutes")
            axes.set_ylim(bottom=0)
        memory.legend(fontsize="small")
        files.legend(fontsize="small")
        figure.savefig(path, dpi=110)
        pyplot.close(figure)


def read(lake: str, seed: int) -> None:
    """Open snapshots and say what they hold, for ever: some at once and some after a while, some of old versions."""
    import gpdata

    chance = random.Random(seed)
    known: list[int] = []
    while True:
        try:
            version = chance.choice(known) if known and chance.random() < 0.4 else None
            at = time.time()
            lab = gpdata.open(lake, version=version)
            if chance.random() < 0.3:
                time.sleep(chance.uniform(0.0, HOLD))  # files that a compaction replaces meanwhile must stay
            said = {
                "at": at, "version": lab.version, "newest": version is None,
                "runs": sorted(lab.sql(_PREFIXES).fetchall()), "digests": lab.sql(_DIGESTS).fetchall()[0],
            }  # fmt: skip
            if lab.version not in known:
                known.append(lab.version)
            print(json.dumps(said), flush=True)
        except Exception as error:  # whatever it is, a reader must not see it
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        time.sleep(chance.uniform(0.5, 3.0))


def soak(directory: Path, minutes: float, results: Path) -> int:
    """Let it run, and return how much was wrong."""
    results.mkdir(parents=True, exist_ok=True)
    service = Served(directory, transform=True, grace=GRACE)
    known = Soak()
    command = [sys.executable, "-m", "tests.faults.soak", "--read", str(service.lake.path), "--seed"]
    readers = [
        subprocess.Popen([*command, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for n in range(READERS)
    ]
    clients = [threading.Thread(target=known.upload, args=(service, n)) for n in range(CLIENTS)]
    others = [threading.Thread(target=known.follow, args=(reader,)) for reader in readers]
    others.append(threading.Thread(target=known.compact, args=(service.lake.path,)))
    try:
        for thread in (*clients, *others):
            thread.start()
        told = 0.0
        while known.now < minutes * 60:
            time.sleep(SAMPLE_EVERY)
            known.sample(service, readers)
            if known.now - told >= 60:
                told = known.now
                print(f"--- {told / 60:.0f} min\n{known.summary(told / 60)}", flush=True)
                known.draw(results / "soak.png")
    finally:
        known.over.set()
        for reader in readers:
            reader.kill()
        for thread in (*clients, *others):
            thread.join()
    service.stop()
    service.transform()
    rows, aside = service.kept()
    told_lines = {sha256 for lines in known.acknowledged.values() for _, sha256 in lines}
    known.wrong += [f"LOST: {sha256}" for sha256 in told_lines - rows]
    if len(rows - told_lines) > CLIENTS or aside:
        known.wrong.append(
            f"{len(rows - told_lines)} rows were never acknowledged, {len(aside)} lines are in quarantine"
        )
    known.wrong += known.grown()
    known.draw(results / "soak.png")
    summary = known.summary(minutes)
    (results / "soak.txt").write_text(summary + "\n")
    print(f"=== the end\n{summary}", flush=True)
    return len(known.wrong)


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.read:
        read(chosen.read, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="gpdata-soak-") as directory:
        return min(1, soak(Path(directory), chosen.minutes, chosen.results))


if __name__ == "__main__":
    sys.exit(main())
