"""Stages of a lab's day, each with a command of gpdata that goes on from there in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpdata.lake import Lake
from gpdata.lake.verify import verify
from gpdata.spool import Disk
from tests.faults import scenario
from tests.faults.machine import Machine, Nursery
from tests.faults.oracle import Key, Sent, contents, violations
from tests.faults.scenario import World
from tests.support import run_lines, until, write_stream

QUARANTINED = 3
"""The status of a command that set lines aside."""
BATCHES = {"GPDATA_BATCH_BYTES": str(scenario.BATCH_BYTES)}
RUN = scenario.run_uuid(50)


@dataclass
class Stage:
    """A lake that waits for a command."""

    world: World
    arguments: Callable[[Path], list[object]]
    """Of the command, for the root in which the lake is."""
    expected: dict[tuple[Key, str], int]
    follows: bool = False
    """Whether the command goes on until it is ended; then that is done once nothing waits."""
    more: tuple[Sent, ...] = ()
    """Lines that the command itself brings."""

    def copy(self, root: Path) -> Path:
        """Make the stage anew."""
        shutil.rmtree(root, ignore_errors=True)
        return shutil.copytree(self.world.root, root)

    def run(self, nursery: Nursery, machine: Machine | None, root: Path, log: Path, **environment: str) -> int:
        """Run the command to its end; return its status."""
        pid = nursery.start(machine, *self.arguments(root), log=log, **BATCHES, **environment)
        if self.follows:
            spool = root / "lake" / "spool"
            status = Path(f"/proc/{pid}/status")

            def gone() -> bool:
                return "State:\tZ" in _text(status) or not status.exists()

            def over() -> bool:
                idle = not any(entry for folder in ("new", "done", "trash") for entry in (spool / folder).iterdir())
                return idle or gone()

            lake = Lake.open(root / "lake")
            until(lambda: gone() or lake.holder("follow.lock") is not None, what="one that follows")
            until(over, 60, "the end of what waits")
            nursery.end(pid)
        return nursery.wait()

    def wrong(self, root: Path) -> list[str]:
        """Say what of the promise does not hold in the end, when everything must have become rows."""
        lake = Lake.open(root / "lake")
        sent = [*self.world.sent, *self.more]
        told = [line for _, line in self.world.acknowledged]
        found = violations(lake, sent=sent, acknowledged=[*told, *self.more], expected=self.expected, versions={})
        folders = [lake.spool().path / folder for folder in ("new", "done", "trash")] + [lake.path / "manifests"]
        found += [f"{path} was left behind" for folder in folders for path in folder.iterdir()]
        found += [f"verify: {finding.where}: {finding.what}" for finding in verify(lake) if finding.kind == "error"]
        return found


def stages(directory: Path) -> dict[str, Stage]:
    """Make all stages in a directory."""
    phases = {
        "transform": (scenario.create, scenario.upload),
        "transform --follow": (scenario.create, scenario.upload, scenario.batches, scenario.others),
        "compact": (scenario.create, scenario.upload, scenario.batches, scenario.others),
        "import": (),
    }
    lines = [*run_lines(RUN, generations=6, size=2), b'{"torn']
    stream = write_stream(directory / "a.jsonl", lines)
    arguments: dict[str, Callable[[Path], list[object]]] = {
        "transform": lambda root: ["transform", "--lake", root / "lake"],
        "transform --follow": lambda root: [
            "transform", "--lake", root / "lake", "--follow", "--every", 0.05, "--grace", 0.05, "--keep-free", 0,
            "--no-compact",
        ],
        "compact": lambda root: ["compact", root / "lake", "--keep-days", 0],
        "import": lambda root: ["import", stream, "--lake", root / "lake"],
    }  # fmt: skip
    imported = (
        *(Sent(line, (RUN, number)) for number, line in enumerate(lines[:-1])),
        Sent(lines[-1], None, frozenset({"torn"}), row=False),
    )
    found = {}
    for number, (name, before) in enumerate(phases.items()):
        root = directory / f"stage-{number}"
        root.mkdir()
        world = World(root, Disk(), number)
        for phase in before:
            phase(world)
        more = imported if name == "import" else ()
        found[name] = Stage(world, arguments[name], {}, name.endswith("follow"), more)
    return found


def calm(stage: Stage, nursery: Nursery, machine: Machine, root: Path, log: Path) -> None:
    """Run a stage undisturbed on a machine; what it makes is what is expected of it from then on."""
    status = stage.run(nursery, machine, root, log)
    assert status in (0, QUARANTINED), log.read_text()
    found = contents(Lake.open(root / "lake"))
    stage.expected = {(row.key, row.sha256): row.content for row in found.rows}
    assert stage.wrong(root) == []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
