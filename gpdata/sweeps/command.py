"""One attempt at one cell by a command: started with its values, received from, judged by its exit status."""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from gpdata.config import settings
from gpdata.errors import GpdataError
from gpdata.exported import exported
from gpdata.spool import Meta
from gpdata.sweeps.cells import canonical
from gpdata.sweeps.folder import Folder
from gpdata.sweeps.receiver import OneRun, Receiver, Sink
from gpdata.sweeps.task import Task, Told
from gpdata.sweeps.words import filled
from gpdata.upload.outbox import default_outbox
from gpdata.wire import Limits

_TAIL = 3
"""Lines of a failed command's output that its error tells."""


def run_command(task: Task, words: Sequence[str]) -> Told:
    """Run a cell's command, and commit what it recorded where it exits with 0.

    Parameters
    ----------
    task : Task
        What to run.
    words : sequence of str
        The command, with the places of the values.

    Raises
    ------
    GpdataError
        The command failed, or recorded nothing that can be taken.
    """
    folder = Folder(Path(task.folder))
    log = folder.log(task.cell.key, task.number)
    spool = task.where.spool()
    meta = Meta("upload", task.where.owner, receipt=True)
    ledger = OneRun(None if task.any_uuid else task.run_uuid)
    with spool.writer(meta) as writer:
        sink = Sink(writer, meta, ledger, Limits(line_bytes=settings().max_line_bytes))
        receiver = Receiver(sink)
        values = {
            **task.cell.params,
            "seed": task.seed,
            "run_uuid": task.run_uuid,
            "repeat": task.cell.repeat,
            "server": receiver.server,
            "record_host": receiver.record_host,
        }
        told = {
            "GPDATA_SERVER": receiver.server,
            "GPDATA_TOKEN": receiver.token,
            "GPDATA_RECORD_HOST": receiver.record_host,
            "GPDATA_RUN_UUID": task.run_uuid,
            "GPDATA_SEED": str(task.seed),
            "GPDATA_PARAMS": canonical(task.cell.params),
        }
        try:
            status = _run(filled(words, values), told, log)
            receiver.drain()
        finally:
            # What a failed attempt left in its outbox is no part of any run, and its address is nobody's any more.
            shutil.rmtree(default_outbox(receiver.server), ignore_errors=True)
        if status:
            raise GpdataError(f"{_ended(status)}{_said(log)}; {log} has what it printed")
        if sink.wrong is not None:
            wrong = sink.wrong
            raise GpdataError(f"generation {wrong.generation} of run {wrong.run_uuid}: {wrong.code}, {wrong.detail}")
        if not sink.lines or ledger.run_uuid is None:
            raise GpdataError(
                "the command ended well and recorded nothing; it is to record at GPDATA_SERVER with GPDATA_TOKEN, as "
                "gpdata.Recorder does by itself, or over plain TCP at {record_host}; what it printed is in " + str(log)
            )
        if ledger.run_uuid != task.run_uuid:
            folder.intend(task.cell.key, ledger.run_uuid)
        file = sink.commit()
        assert file is not None
        return Told(None, ledger.run_uuid, file.id, sink.lines)


def _run(words: list[str], told: dict[str, str], log: Path) -> int:
    with log.open("ab") as output, exported(told, replace=True):
        try:
            return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode
        except OSError as error:
            raise GpdataError(f"the command {words[0]!r} does not start: {error.strerror}; check its name") from None


def _ended(status: int) -> str:
    return f"the command ended with exit status {status}" if status > 0 else f"signal {-status} ended the command"


def _said(log: Path) -> str:
    with log.open("r", encoding="utf-8", errors="replace") as printed:
        last = deque((line.strip() for line in printed if line.strip()), maxlen=_TAIL)
    return f", and printed last: {' | '.join(last)[-500:]}" if last else ""
