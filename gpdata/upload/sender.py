"""The sender: brings an outbox's files to the server, for ever, until each of their lines has an answer."""

from __future__ import annotations

import copy
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from gpdata.errors import GpdataError
from gpdata.spool import Damage, Meta, Outcome, SpoolFile
from gpdata.spool.frames import frame, note
from gpdata.spool.incoming import REFUSED
from gpdata.upload.http import REFUSED_TOKEN, Answer, Client, Permanent, Retry
from gpdata.upload.outbox import Outbox, State

AT_ONCE: Final = 2
FIRST_WAIT: Final = 0.5
MOST_WAIT: Final = 60.0
"""Seconds of the back-off after one failure, doubled by each further one, and at most."""

_File: TypeAlias = tuple[SpoolFile, Meta]

_MOST_FILES, _MOST_BYTES = 64, 1 << 20  # of small files that go together: a backlog takes few round trips
_LOOK_EVERY = 0.2
_SAY_EVERY = 1.0
_GREETING = note(b"")  # a body without a line: the server says whether it would take any

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wait:
    """A back-off: of all files, since what fails is nearly always the server or the way to it, and of each."""

    failures: int = 0
    until: float = 0.0

    def more(self, at_least: float) -> None:
        now = time.monotonic()
        if now >= self.until:  # of two uploads that fail together, one counts
            self.failures += 1
        delay = min(MOST_WAIT, FIRST_WAIT * 2.0 ** min(self.failures - 1, 30)) * random.uniform(0.5, 1.0)
        self.until = max(self.until, now + max(delay, at_least))


class Sender:
    """Threads that send what waits in an outbox, while no other process does.

    A file is removed from the outbox when the server said of each of its lines that it is stored, or when what
    it refused for good is in the outbox's quarantine. Everything else is tried again for ever. Killed at any
    moment, the next sender sends again what has no answer; the server counts the duplicates.

    Parameters
    ----------
    outbox : Outbox
        What is sent.
    client : Client
        The server.
    settled : callable, optional
        Called in a sending thread with a file's id and the outcomes of its lines, before the file is removed;
        returns whether that was its writer, who needs no receipt then.
    changed : callable, optional
        Called in a sending thread when the server begins to take lines, and when it ceases to.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        *,
        settled: Callable[[str, list[Outcome]], bool] = lambda id_, outcomes: False,
        changed: Callable[[State], None] = lambda state: None,
    ) -> None:
        self.outbox = outbox
        self.state = State(client.address, os.getpid(), datetime.now(UTC))
        self._client = client
        self._settled, self._changed = settled, changed
        self._condition = threading.Condition()
        self._queue: deque[SpoolFile] = deque()
        self._sending: set[str] = set()
        self._waits: dict[str, _Wait] = {}
        self._wait = _Wait()
        self._unsure = True  # whether the server takes anything
        self._stopping = False
        self._holding = False
        self._said = 0.0
        self._last: State | None = None
        self._threads = [threading.Thread(target=self._work, name="gpdata-send", daemon=True) for _ in range(AT_ONCE)]
        self._working = len(self._threads)

    @property
    def holding(self) -> bool:
        """Whether it is this sender that sends; another process's does otherwise."""
        return self._holding

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at once whether there is something new."""
        with self._condition:
            self._condition.notify()

    def stop(self, within: float = 5.0) -> None:
        """Send no further file; uploads under way get some seconds to end.

        Parameters
        ----------
        within : float, optional
            Seconds to wait for uploads under way; the outbox is left to the next sender when they have ended.
        """
        deadline = time.monotonic() + within
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            while not self._stopping:
                try:
                    self._step()
                except Exception as error:
                    # This thread must outlive what nobody thought of: the file waits, and people are told.
                    _log.exception("sending failed")
                    self._failed([], Retry(f"gpdata failed: {type(error).__name__}: {error}"))
                    with self._condition:
                        self._condition.wait(_SAY_EVERY)
        finally:
            with self._condition:
                self._working -= 1
                if not self._working:
                    self._say(now=True)
                    self._holding = False
                    self.outbox.release()
                    self._client.close()

    def _step(self) -> None:
        with self._condition:
            wait = self._blocked()
            files = [] if wait or self._wait.failures else self._next()  # after a failure, a greeting goes first
            if not files and not (wait == 0.0 and self._unsure and not self._sending):
                self._say(now=False)
                self._condition.wait(min(wait or _LOOK_EVERY, _LOOK_EVERY))
                return
            names = {file.id for file in files} or {""}
            self._sending |= names
        try:
            if files:
                self._deliver([(file, self.outbox.spool.meta(file) or Meta("unknown")) for file in files])
            else:
                self._client.post(_GREETING)
                self._answered([])
        except (Retry, OSError) as error:
            self._failed(files, error)
        except Permanent as error:
            self._failed(files, Retry(f"the server does not speak gpdata's protocol ({error}); upgrade the older one"))
        finally:
            with self._condition:
                self._sending -= names

    def _blocked(self) -> float:
        """Return the seconds for which nothing may be sent."""
        if not self._holding:
            if not self.outbox.acquire():
                return _LOOK_EVERY
            self._holding = True
            self.outbox.sweep()
        if self._wait.failures and self._sending:
            return _LOOK_EVERY  # one tries whether the server is back
        if self._client.has_new_token():
            return 0.0
        return max(0.0, self._wait.until - time.monotonic())

    def _next(self) -> list[SpoolFile]:
        """Return the oldest file: a large one alone, small ones together.

        What failed once goes behind the others, later and alone, so that no file holds them up.
        """
        if not self._queue:
            files = [file for file in self.outbox.spool.pending() if file.id not in self._sending]
            self._waits = {file.id: self._waits[file.id] for file in files if file.id in self._waits}
            now = time.monotonic()
            self._queue.extend(file for file in files if file.id not in self._waits)
            self._queue.extend(file for file in files if file.id in self._waits and self._waits[file.id].until <= now)
        found: list[SpoolFile] = []
        size = 0
        while self._queue and len(found) < _MOST_FILES:
            file = self._queue[0]
            if found and (file.id in self._waits or size + file.size > _MOST_BYTES):
                break
            self._queue.popleft()
            if file.path.exists():
                found.append(file)
                size += file.size
                if file.id in self._waits:
                    break
        return found

    def _deliver(self, files: list[_File]) -> None:
        """Bring files to the server; what is refused is in the quarantine before its file is removed."""
        answered = self._post(files)
        if answered is None and len(files) > 1:
            for file in files:
                self._deliver([file])
        else:
            self._settle(files, [self._line_by_line(*files[0])] if answered is None else answered)

    def _settle(self, files: list[_File], answered: list[list[Outcome]]) -> None:
        for (file, meta), outcomes in zip(files, answered, strict=True):
            if not self._settled(file.id, outcomes) and meta.receipt:
                self.outbox.leave_receipt(file.id, outcomes)
        self.outbox.spool.collect([file.id for file, _ in files])
        self._answered([outcome for outcomes in answered for outcome in outcomes])

    def _post(self, files: list[_File]) -> list[list[Outcome]] | None:
        """Return what became of each file's lines; None where the server will not have the files as they are."""
        spool = self.outbox.spool
        origins = {_origin(meta) for _, meta in files}
        origin = origins.pop() if len(origins) == 1 else _origin(None)
        try:
            if len(files) == 1:
                with files[0][0].path.open("rb") as body:
                    answer = self._client.post(body, origin=origin)
            else:
                answer = self._client.post(b"".join(file.path.read_bytes() for file, _ in files), origin=origin)
        except Permanent:
            return None
        counts = [len(meta.keys) if meta.keys is not None else sum(1 for _ in spool.read(file)) for file, meta in files]
        if not _answers_all(answer, sum(counts)):
            return None
        said = iter(sorted(answer.lines, key=lambda outcome: outcome.line))
        answered = [[_at(number, next(said)) for number in range(1, count + 1)] for count in counts]
        for (file, meta), outcomes in zip(files, answered, strict=True):
            if any(outcome.result == REFUSED for outcome in outcomes):
                for raw, outcome in zip(spool.read(file), outcomes, strict=False):
                    if outcome.result == REFUSED and not isinstance(raw, Damage):
                        self._set_aside(raw, outcome, meta)
        return answered

    def _line_by_line(self, file: SpoolFile, meta: Meta) -> list[Outcome]:
        """Send what can be read of a file that the server will not have as it lies on the disk."""
        outcomes = []
        for number, part in enumerate(self.outbox.spool.read(file), 1):
            if isinstance(part, Damage):
                detail = f"the outbox's file {file.id} is damaged on this machine's disk: {part.reason}"
                outcome, raw = Outcome(number, REFUSED, code="spool_damaged", detail=detail), part.raw
            else:
                outcome, raw = self._one_line(number, part, meta), part
            outcomes.append(outcome)
            if outcome.result == REFUSED:
                self._set_aside(raw, outcome, meta)
        return outcomes

    def _one_line(self, number: int, line: bytes, meta: Meta) -> Outcome:
        try:
            answer = self._client.post(frame(line), origin=_origin(meta))
        except Permanent as refusal:
            return Outcome(number, REFUSED, code=refusal.code, detail=refusal.detail)
        if not _answers_all(answer, 1):
            raise Retry("the server did not say what became of a line; upgrade the older of the two gpdatas")
        return _at(number, answer.lines[0])

    def _set_aside(self, raw: bytes, outcome: Outcome, meta: Meta) -> None:
        self.outbox.quarantine.add(
            raw,
            code=outcome.code or REFUSED,
            detail=outcome.detail or "the server refused the line",
            source=meta.source,
            origin=meta.origin,
            run_uuid=outcome.run_uuid,
            generation=outcome.generation,
            time=meta.received_at,
        )

    def _answered(self, outcomes: list[Outcome]) -> None:
        with self._condition:
            state, before = self.state, self.state.error
            first = state.answered_at is None
            self._unsure, self._wait = False, _Wait()
            state.error, state.error_code, state.error_since = None, "", None
            state.answered_at = datetime.now(UTC)
            counts = {result: sum(o.result == result for o in outcomes) for result in ("stored", "duplicate", REFUSED)}
            if outcomes:
                state.answer = ", ".join(f"{count} {result}" for result, count in counts.items() if count)
            state.lines += len(outcomes)
            state.duplicates += counts["duplicate"]
            state.refused += counts[REFUSED]
            self._say(now=first or before is not None)
        if first or before is not None:
            self._changed(state)

    def _failed(self, files: list[SpoolFile], error: GpdataError | OSError) -> None:
        code, after = (error.code, error.after) if isinstance(error, Retry) else ("", 0.0)
        with self._condition:
            if code not in REFUSED_TOKEN:
                for file in files:
                    self._waits.setdefault(file.id, _Wait()).more(after)
            self._unsure = True
            self._wait.more(after)
            state, text = self.state, str(error)
            new = state.error != text
            state.error, state.error_code = text, code
            state.error_since = state.error_since or datetime.now(UTC)
            self._say(now=new)
        if new:
            self._changed(state)

    def _say(self, *, now: bool) -> None:
        """Write the state where `gpdata forward --status` reads it, where it is new, and not too often."""
        if self._holding and self.state != self._last and (now or time.monotonic() - self._said >= _SAY_EVERY):
            self._said, self._last = time.monotonic(), copy.copy(self.state)
            with suppress(OSError):  # a full disk must not stop what frees it
                self.outbox.write_state(self.state)


def _answers_all(answer: Answer, lines: int) -> bool:
    return sorted(outcome.line for outcome in answer.lines) == list(range(1, lines + 1))


def _at(line: int, said: Outcome) -> Outcome:
    return Outcome(line, said.result, said.run_uuid, said.generation, said.code, said.detail)


def _origin(meta: Meta | None) -> str:
    return " ".join(part for part in (os.uname().nodename, meta and (meta.origin or meta.source)) if part)
