"""The service as a whole: what it consists of, in which order that starts and stops, and when it is ready."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gpdata.errors import InvalidInput, LakeBusy, LakeDamaged
from gpdata.ingest.accounts import Accounts
from gpdata.ingest.app import make_app
from gpdata.ingest.hub_accounts import HubAccounts
from gpdata.ingest.intake import Intake
from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.listen import Listener, bind, tls_context
from gpdata.ingest.metrics import Metrics
from gpdata.ingest.options import Options, check_tls, plain_networks
from gpdata.ingest.tokens import Tokens
from gpdata.ingest.worker import Worker, follow_command
from gpdata.lake import Lake
from gpdata.spool import Disk, Key, Spool, SpoolFile
from gpdata.spool.plain_tcp import Counts, PlainServer
from gpdata.spool.room import Room
from gpdata.spool.spool import is_alive
from gpdata.storage import ObjectPath, local
from gpdata.storage.lease import Lease

_log = logging.getLogger(__name__)

_REFRESH = 2.0
_LAST_WORDS = 2.0
"""Seconds for answers to uploads that were ended by the stop."""


class Service:
    """A service that holds its spool's lock; use it as a context, and `run` it once.

    Parameters
    ----------
    options : Options
        What a person decided.
    disk : Disk, optional
        The file system; the real one by default.
    accounts : Accounts, optional
        Who may upload; by default the users of the hub that the options name, else the tokens of a directory.

    Raises
    ------
    InvalidInput
        The options do not go together, or a path or an address cannot be used.
    LakeBusy
        Another service has the spool.
    """

    def __init__(self, options: Options, *, disk: Disk | None = None, accounts: Accounts | None = None) -> None:
        self.options = options
        self._tls = check_tls(options)
        self._networks = plain_networks(options)
        self.lake = Lake.create(options.lake, disk=disk)
        self.spool = Spool(options.spool, disk=self.lake.disk) if options.spool is not None else self.lake.spool()
        self.metrics = Metrics()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at_once = False
        self._stale: str | None = None
        with ExitStack() as opened:
            opened.enter_context(_only_one(self.spool))
            self.ledger = LakeLedger(self.lake, self.spool)
            try:
                self.ledger.refresh()
            except LakeDamaged:
                self.lake.repair()
                self.ledger.refresh()
            # Of a spool in a store: where its unfinished files lie.
            self._room = Room(self.spool.room, options.keep_free, disk=self.spool.disk)
            who = accounts or self._accounts()
            self._intake = Intake(
                self.spool, self.ledger, who, self._room, self.metrics, options.limits, options.bounds
            )
            opened.callback(self._intake.close)
            self._worker = self._make_worker() if options.transform else None
            self._plain = self._make_plain() if options.plain is not None else None
            self.metrics.watch(self.spool, self.lake.quarantine.path, self)
            app = make_app(self._intake, self.ledger, who, self.metrics, self.reasons, options.prefix)
            socket = bind(options.host, options.port)
            opened.callback(socket.close)
            self._listener = Listener(
                socket,
                app,
                self.metrics,
                self._tls,
                handshake_seconds=options.handshake_seconds,
                head_seconds=options.head_seconds,
                keep_alive_seconds=options.keep_alive_seconds,
                stall_seconds=options.stall_seconds,
            )
            self._opened = opened.pop_all()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where HTTP is listened to."""
        return self._listener.address

    @property
    def tokens(self) -> Path:
        """The directory of tokens; never in a store, beside the lines that they protect."""
        named = self.options.tokens
        return named or local(self.lake.path, "what has the tokens (name it with --tokens)") / "tokens"

    @property
    def url(self) -> str:
        """The address for clients of this machine."""
        host, port = self.address
        return f"{'http' if self._tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def plain_addresses(self) -> list[tuple[str, int]]:
        """Where plain TCP is listened to, once the service runs."""
        return self._plain.addresses if self._plain is not None else []

    async def run(self, started: Callable[[], None] | None = None) -> int:
        """Serve until `stop` is called.

        Parameters
        ----------
        started : callable, optional
            Called once connections are taken.

        Returns
        -------
        int
            The exit status: 0, or 130 where it was told to stop twice.
        """
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._intake.stopping:  # told to stop while it started
            self._stop.set()
        if self._plain is not None and self.options.plain is not None:
            await self._plain.start(*self.options.plain)
        if self._worker is not None:
            await self._worker.start()
        tasks = [asyncio.create_task(work()) for work in (self._listener.serve, self._intake.watch, self._refresh)]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            if started is not None:
                started()
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for failed in done - {stopping}:
                failed.result()
        finally:
            await self._shut_down(tasks)
            stopping.cancel()
            self._loop = None
        return 130 if self._at_once else 0

    def stop(self, *, at_once: bool = False) -> None:
        """Stop: finish what is under way, or not even that; from any thread."""
        self._at_once = self._at_once or at_once
        self._intake.stopping = True
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def interrupted(self) -> None:
        """Take a Ctrl-C: the first one stops, the second one at once."""
        self.stop(at_once=self._intake.stopping)

    def reload(self) -> None:
        """Read the certificate anew; one that cannot be used leaves the old one in place."""
        if self.options.certificate is None or self.options.key is None:
            return
        try:
            self._listener.tls = tls_context(self.options.certificate, self.options.key)
            _log.info("the certificate was read anew")
        except InvalidInput as error:
            _log.error("the old certificate stays: %s", error)

    def handle_signals(self) -> None:
        """Stop at SIGTERM and Ctrl-C, read the certificate anew at SIGHUP; called on the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.interrupted)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def reasons(self) -> list[str]:
        """Say why the service cannot do its work now; nothing where it can."""
        reasons = []
        if self._intake.stopping:
            reasons.append("the service is stopping")
        if not self._room.enough():
            reasons.append("the disk of the spool is nearly full: free space, or lower --keep-free")
        if self._intake.failing is not None:
            reasons.append(f"the last upload could not be written: {self._intake.failing}")
        if self._worker is not None and not self._worker.alive:
            reasons.append("the transform does not run: the service's log says why")
        if self._stale is not None:
            reasons.append(f"the lake cannot be read: {self._stale}")
        return reasons

    def free_bytes(self) -> int:
        """Return the free bytes of the spool's file system."""
        return self._room.free()

    def last_batch(self) -> int:
        """Return the newest batch that readers see."""
        return self.ledger.batch

    def worker_restarts(self) -> int:
        """Return how often the transform was started again."""
        return self._worker.restarts if self._worker is not None else 0

    def worker_up(self) -> bool:
        """Whether the transform runs beside."""
        return self._worker is not None and self._worker.alive

    def plain_counts(self) -> Counts:
        """Return what plain TCP has brought."""
        return self._plain.counts if self._plain is not None else Counts()

    def _accounts(self) -> Accounts:
        if self.options.hub is not None:
            return HubAccounts(self.options.hub)
        return Tokens(self.tokens, disk=self.lake.disk if isinstance(self.lake.path, Path) else None)

    def _make_worker(self) -> Worker:
        options = self.options
        command = follow_command(
            self.lake.path,
            self.spool.path,
            grace=options.grace,
            memory=options.transform_memory,
            keep_free=options.keep_free,
        )
        return Worker(command, memory=options.transform_memory)

    def _make_plain(self) -> PlainServer:
        return PlainServer(
            self.spool,
            self.lake.quarantine,
            source="plain",
            ledger=self.ledger,
            limits=self.options.limits,
            networks=self._networks,
            allow=self._room.enough,
            stored=self._plain_stored,
        )

    def _plain_stored(self, file: SpoolFile, keys: list[Key]) -> None:
        self.ledger.committed(file.id, keys, None, None)

    async def _refresh(self) -> None:
        """Learn of new batches, for as long as the service runs."""
        while True:
            try:
                await asyncio.to_thread(self.ledger.refresh)
                self._stale = None
            except Exception as error:  # a lake that cannot be read now must not stop uploads
                self._stale = type(error).__name__
                _log.exception("the lake cannot be read; uploads go on")
            await asyncio.sleep(_REFRESH)

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        self._intake.stopping = True
        tasks[0].cancel()
        timeout = 0.0 if self._at_once else self.options.stop_timeout
        _log.info("stopping; %d uploads are under way", self._intake.under_way)
        finishing = asyncio.create_task(self._finish(timeout))
        while not finishing.done():
            await asyncio.wait({finishing}, timeout=0.1)
            if self._at_once and timeout:
                timeout = 0.0
                self._intake.end_all()
                self._listener.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _log.info("stopped")

    async def _finish(self, timeout: float) -> None:
        plain = asyncio.create_task(self._plain.stop()) if self._plain is not None else None
        if not await self._listener.stop(timeout):
            self._intake.end_all()
            await self._listener.stop(_LAST_WORDS if timeout else 0.0)
            self._listener.abort()
        while self._intake.under_way:  # a commit is short, and is not given up
            await asyncio.sleep(0.01)
        if plain is not None:
            await plain
        if self._worker is not None:
            await self._worker.stop()


@contextmanager
def _only_one(spool: Spool) -> Iterator[None]:
    """Hold the spool for one service: two would not know of each other's lines."""
    if isinstance(spool.path, ObjectPath):
        lease = Lease(spool.path / "ingest.lock")
        lease.acquire(lease.seconds, lambda record: _taken(spool, f"process {record.process} on {record.host}"))
        try:
            yield
        finally:
            lease.release()
        return
    with (spool.path / "ingest.lock").open("a+b") as file:
        file.seek(0)
        before = file.read().decode(errors="replace")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeBusy(_taken(spool, f"process {before or '?'}")) from None
        if before.isdecimal() and (int(before) == os.getpid() or not is_alive(int(before))):
            # What a service that was killed left unfinished was never acknowledged.
            for path in (spool.path / "tmp").glob(f"{int(before):07d}-*"):
                spool.disk.remove(path)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


def _taken(spool: Spool, who: str) -> str:
    return f"{who} runs a service on the spool {spool.path} already; end that one, or name another spool with --spool"


def raise_descriptors() -> None:
    """Let this process have as many open files as the system allows: an upload takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
