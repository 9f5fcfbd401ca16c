"""`gpdata forward`: from Clojush's plain TCP on this machine, over an outbox, to acknowledged uploads."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gpdata.errors import InvalidInput
from gpdata.spool import Anything, Outcome
from gpdata.spool.incoming import REFUSED
from gpdata.spool.plain_tcp import LOOPBACK, PlainServer
from gpdata.spool.room import Room
from gpdata.upload.http import REFUSED_TOKEN, Client, checked_token, is_loopback
from gpdata.upload.outbox import Outbox, State
from gpdata.upload.sender import Sender
from gpdata.upload.status import waiting_in
from gpdata.wire import Limits

SOURCE: Final = "plain"
KEEP_FREE: Final = 256 << 20
"""Bytes of this machine's disk below which nothing more is read: the recorder waits, and nothing is dropped."""
SEND_AT_STOP: Final = 5.0
"""Seconds in which what has come is still sent when the process is asked to stop."""

_SUM_UP_EVERY = 30.0
_LOOK_EVERY = 0.1
_MOST_RUNS = 10_000


class TokenFile:
    """A token in a file, which is read again when it changes.

    Parameters
    ----------
    path : Path
        The file: one line, the token.

    Raises
    ------
    InvalidInput
        The file cannot be read, or holds no token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look()
        try:
            self._token = self._read()
        except OSError as error:
            raise InvalidInput(
                f"the token file {str(path)!r} cannot be read ({error.strerror}); "
                "valid is a file that holds what 'gpdata token create' printed"
            ) from None

    def __call__(self) -> str:
        """Return the token; the one before, where the file is being changed or is gone."""
        seen = self._look()
        if seen != self._seen:
            with suppress(OSError, InvalidInput):
                self._token = self._read()
                self._seen = seen
        return self._token

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> str:
        return checked_token(self._path.read_text(errors="replace"), f"the file {str(self._path)!r}")


class Forwarder:
    """Stands between a GP system and a server.

    Parameters
    ----------
    outbox : Outbox
        Where lines wait.
    client : Client
        The server.
    say : callable
        Takes what people should know, a line at a time; called in several threads.
    renew : str
        What to do for another token, for people.
    max_line_bytes : int, optional
        The longest line that is taken.

    Attributes
    ----------
    address : tuple of str and int
        Where it listens, once it does.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        *,
        say: Callable[[str], None],
        renew: str = "start again with another one",
        max_line_bytes: int = 256 << 20,
    ) -> None:
        self.outbox = outbox
        self.address: tuple[str, int] | None = None
        self._say, self._renew = say, renew
        self._limits = Limits(line_bytes=max_line_bytes)
        self._server = client.address
        self._runs: dict[str, None] = {}
        self._codes: set[str] = set()
        self._failing = False
        self._told = (0, 0)
        self._saying = threading.Lock()
        self.sender = Sender(outbox, client, settled=self._settled, changed=self._changed)

    def drain(self) -> int:
        """Send what waits; return how many lines were refused once nothing waits."""
        before = {entry.id for entry in self.outbox.quarantine.entries()}
        if not self.outbox.empty():
            self.sender.start()
            next_sum, told_other = time.monotonic() + _SUM_UP_EVERY, False
            while not self.outbox.empty():
                time.sleep(_LOOK_EVERY)
                if time.monotonic() >= next_sum:
                    next_sum += _SUM_UP_EVERY
                    self._sum_up()
                    told_other = told_other or self._tell_of_other()
            self.sender.stop()
        after = {entry.id for entry in self.outbox.quarantine.entries()}
        return max(self.sender.state.refused, len(after - before))

    async def run(self, host: str, port: int) -> None:
        """Listen and send until SIGTERM or SIGINT; a second SIGINT ends at once.

        Parameters
        ----------
        host : str
            An address of this machine's loopback.
        port : int
            The port; 0 for any free one.

        Raises
        ------
        InvalidInput
            Nothing can listen there, or others could connect.
        """
        if not is_loopback(host):
            raise InvalidInput(
                f"{host} can be reached by other machines, and plain TCP knows nobody; valid is this machine's own "
                "127.0.0.1:PORT: run gpdata forward on the machine of each GP system"
            )
        self.outbox.disk.make_directory(self.outbox.quarantine.path)
        room = Room(self.outbox.path, KEEP_FREE)
        plain = PlainServer(
            self.outbox.spool,
            self.outbox.quarantine,
            source=SOURCE,
            ledger=Anything(),
            limits=self._limits,
            networks=LOOPBACK,
            allow=room.enough,
            stored=lambda file, keys: self.sender.wake(),
        )
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def asked() -> None:
            stop.set()
            loop.remove_signal_handler(signal.SIGINT)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
        await plain.start(host, port)
        self.address = plain.addresses[0]
        self._say(
            f'listening on {host}:{self.address[1]} (Clojush: :record-host "localhost:{self.address[1]}"); '
            f"what comes waits in {self.outbox.path} until {self._server} has it"
        )
        self.sender.start()
        try:
            await self._watch(stop, room)
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            await plain.stop()
            await asyncio.to_thread(self._end)

    async def _watch(self, stop: asyncio.Event, room: Room) -> None:
        told_other = told_full = False
        next_sum = time.monotonic() + _SUM_UP_EVERY
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=1.0)
            told_other = told_other or self._tell_of_other()
            full = not room.enough()
            if full != told_full:
                told_full = full
                self._say(
                    f"the disk of {self.outbox.path} is nearly full ({room.free() >> 20} MiB are free): the recorder "
                    f"waits until {KEEP_FREE >> 20} MiB are; nothing is lost"
                    if full
                    else "there is room on the disk again: the recorder goes on"
                )
            if time.monotonic() >= next_sum:
                next_sum = time.monotonic() + _SUM_UP_EVERY
                await asyncio.to_thread(self._sum_up)

    def _end(self) -> None:
        """Send for a few seconds what has come, and say what stays."""
        deadline = time.monotonic() + SEND_AT_STOP
        while not self.outbox.empty() and time.monotonic() < deadline and not self._failing:
            time.sleep(_LOOK_EVERY)
        self.sender.stop(within=max(1.0, deadline - time.monotonic()))
        if self.outbox.empty():
            self._say(f"stopped; {self._server} has everything")
        else:
            waiting = waiting_in(self.outbox)
            self._say(
                f"stopped; {waiting.lines} lines stay in {self.outbox.path} and are sent by the next start, "
                f"or by gpdata forward --to {self._server} --outbox {self.outbox.path} --drain"
            )

    def _tell_of_other(self) -> bool:
        if self.sender.holding or not self.outbox.busy():
            return False
        state = self.outbox.state()
        self._say(
            f"process {state.pid if state else '?'} sends from {self.outbox.path} already: "
            "this one leaves that to it, and takes over when it ends"
        )
        return True

    def _changed(self, state: State) -> None:
        failing, self._failing = self._failing, state.error is not None
        if state.error is None:
            self._say(f"{self._server} takes lines{' again' if failing else ''}")
        elif state.error_code in REFUSED_TOKEN:
            self._say(f"THE TOKEN IS REFUSED. {state.error}. Lines are kept and sent later: {self._renew}")
        else:
            self._say(f"{state.error}; lines are kept and sent again")

    def _settled(self, id_: str, outcomes: list[Outcome]) -> bool:
        with self._saying:
            for outcome in outcomes:
                run = outcome.run_uuid
                if outcome.result != REFUSED and run is not None and run not in self._runs:
                    while len(self._runs) >= _MOST_RUNS:
                        self._runs.pop(next(iter(self._runs)))
                    self._runs[run] = None
                    self._say(f"run {run}: {self._server} has a line of it")
                code = outcome.code
                if code is not None and code not in self._codes:
                    self._codes.add(code)
                    kept = "the server's quarantine" if outcome.result != REFUSED else self.outbox.quarantine.path
                    self._say(f"not taken, {code}: {outcome.detail}; kept in {kept} (further ones are only counted)")
        return False

    def _sum_up(self) -> None:
        waiting, state = waiting_in(self.outbox), self.sender.state
        if (state.lines, waiting.lines) != self._told:
            self._told = (state.lines, waiting.lines)
            self._say(
                f"{state.lines} lines sent ({state.duplicates} duplicates, {state.refused} refused), "
                f"{waiting.lines} wait ({waiting.bytes / 1e6:.1f} MB)"
            )
