"""Where a sweep's runs go, a lake or a server, and which of them are there: what decides that a cell is done."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import httpx

from gpdata.config import settings
from gpdata.errors import GpdataError, InvalidInput, LakeBusy
from gpdata.lake import Account, Lake, Transformer, take_snapshot
from gpdata.lake.runs import read_rows
from gpdata.schema import RUNS
from gpdata.spool import Outcome, Spool, SpoolFile
from gpdata.spool.incoming import DUPLICATE, REFUSED
from gpdata.sweeps.where import Where
from gpdata.upload.http import ANSWER_WITHIN, CONNECT_WITHIN, Client, checked_token, server_address
from gpdata.upload.outbox import Outbox
from gpdata.upload.sender import Sender
from gpdata.upload.transport import is_server

_LOOK_EVERY = 0.1


class Target(Protocol):
    """Takes a sweep's runs."""

    where: Where

    def has(self, runs: Collection[str]) -> set[str]:
        """Return those of the runs that are there, or durably on their way."""

    def start(self) -> None:
        """Begin to bring on what is in the spool."""

    def settle(self) -> None:
        """Bring on what is in the spool, where that takes no waiting."""

    def finish(self, within: float) -> None:
        """Bring on everything, a server for some seconds."""

    def account(self, file: str) -> Account | None:
        """Return what became of the lines of a run's file, once; None while nothing is known."""


def target_of(lake: str, folder: Path, *, token: str | None = None, ca: str | Path | None = None) -> Target:
    """Return where runs go, as `gpdata.Recorder` takes it.

    Parameters
    ----------
    lake : str
        A lake, made where there is none, or a server's address.
    folder : Path
        The sweep's folder, which has the outbox of runs that wait for a server: no other process sends from it.
    token, ca
        For a server: as for `gpdata.Recorder`.

    Raises
    ------
    InvalidInput
        It can be neither.
    """
    if is_server(lake):
        return ServerTarget(Where(server_address(lake), str(folder / "outbox")), token=token, ca=ca)
    place = Lake.create(lake).path
    return LakeTarget(Where(str(place), owner=settings().owner))


class LakeTarget:
    """A lake that this process can write.

    Parameters
    ----------
    where : Where
        The lake.
    """

    def __init__(self, where: Where) -> None:
        self.where = where
        self._lake = Lake.open(where.place)
        self._transformer = Transformer(self._lake, batch_bytes=settings().batch_bytes)

    def has(self, runs: Collection[str]) -> set[str]:
        """Return those of the runs whose file is in the spool, or whose rows are in the lake."""
        spool = self._lake.spool()
        found = _keys(spool, spool.pending())  # first the spool: what leaves it meanwhile is in the lake
        snapshot = take_snapshot(self._lake)
        rows = read_rows(snapshot, RUNS.name, ["run_uuid", "batch"], list(runs))
        return (found | set(rows.column("run_uuid").to_pylist())) & set(runs)

    def start(self) -> None:
        """Do nothing: `settle` does it."""

    def settle(self) -> None:
        """Move what is in the spool into the lake's tables, unless another process is at it."""
        with suppress(LakeBusy):
            self._transformer.run(wait=0)

    def finish(self, within: float) -> None:
        """Move everything into the lake's tables."""
        self._transformer.run()

    def account(self, file: str) -> Account | None:
        """Take the account of a run's file."""
        return self._transformer.receipt(SpoolFile(file, self._lake.path, 0))


class ServerTarget:
    """A server, and the outbox where runs wait for it.

    Parameters
    ----------
    where : Where
        The server.
    token, ca
        As for `gpdata.Recorder`.
    """

    def __init__(self, where: Where, *, token: str | None, ca: str | Path | None) -> None:
        assert where.outbox is not None
        self.where = where
        self._token = checked_token(settings().token if token is None else token, "GPDATA_TOKEN or the argument token")
        self._ca = None if ca is None else Path(ca)
        self._outbox = Outbox(Path(where.outbox))
        self._sender: Sender | None = None
        self._settled: dict[str, Account] = {}
        self._changed = threading.Condition()

    def has(self, runs: Collection[str]) -> set[str]:
        """Return those of the runs that wait in the outbox, or that the server says it has.

        Raises
        ------
        GpdataError
            The server does not answer, or does not tell.
        """
        spool = self._outbox.spool
        found = _keys(spool, spool.pending()) & set(runs)  # first the outbox: what leaves it meanwhile is there
        verify: object = True
        if self._ca is not None:
            import ssl

            verify = ssl.create_default_context(cafile=str(self._ca))
        with httpx.Client(
            verify=verify,  # type: ignore[arg-type]
            trust_env=self.where.place.startswith("https:"),
            timeout=httpx.Timeout(ANSWER_WITHIN, connect=CONNECT_WITHIN),
            headers={"Authorization": f"Bearer {self._token}"},
        ) as client:
            return found | {run for run in runs if run not in found and self._is_there(client, run)}

    def start(self) -> None:
        """Send what waits, and what will."""
        client = Client(self.where.place, lambda: self._token, ca=self._ca)
        self._sender = Sender(self._outbox, client, settled=self._note)
        self._sender.start()

    def settle(self) -> None:
        """Look whether there is something new to send."""
        if self._sender is not None:
            self._sender.wake()

    def finish(self, within: float) -> None:
        """Wait until the server has everything; warn where it does not get there in time."""
        assert self._sender is not None
        deadline = time.monotonic() + within
        while not self._outbox.empty() and (left := deadline - time.monotonic()) > 0:
            with self._changed:
                self._changed.wait(min(left, _LOOK_EVERY))
        self._sender.stop()
        if not self._outbox.empty():
            why = f" ({error})" if (error := self._sender.state.error) else ""
            warnings.warn(
                f"not all runs have reached {self.where.place} yet{why}; they are safe in {self._outbox.path}: "
                "the same sweep sends them, or "
                f"'gpdata forward --to {self.where.place} --outbox {self._outbox.path} --drain'",
                stacklevel=4,
            )

    def account(self, file: str) -> Account | None:
        """Return what the server said of the lines of a run's file."""
        with self._changed:
            return self._settled.pop(file, None)

    def _note(self, file: str, outcomes: list[Outcome]) -> bool:
        with self._changed:
            self._settled[file] = _account(outcomes)
            self._changed.notify_all()
        return True

    def _is_there(self, client: httpx.Client, run: str) -> bool:
        try:
            response = client.get(f"{self.where.place}/v1/runs/{run}")
        except httpx.HTTPError as error:
            raise GpdataError(
                f"{self.where.place} does not answer ({error or type(error).__name__}), and what it has says what is "
                "left to run; run the same sweep again once it does, or record into a lake on this machine"
            ) from None
        if response.status_code == 200:
            return True
        problem = _problem(response)
        if response.status_code == 404 and problem == "unknown_run":
            return False
        if response.status_code in (401, 403):
            raise InvalidInput(
                f"{self.where.place} does not tell which runs it has ({problem or response.status_code}); a sweep "
                "needs a token with the scopes write and read: 'gpdata token create YOU' makes one"
            )
        raise GpdataError(
            f"{self.where.place} answers {response.status_code} {problem} where it was asked for a run; check the "
            "address, and run the same sweep again"
        )


def _problem(response: httpx.Response) -> str:
    try:
        found = response.json()
    except ValueError:
        return ""
    return str(found.get("error", "")) if isinstance(found, dict) else ""


def _keys(spool: Spool, files: Iterable[SpoolFile]) -> set[str]:
    found: set[str] = set()
    for file in files:
        with suppress(FileNotFoundError):  # moved on in between
            found.update(key.run_uuid for key in (spool.keys(file) or ()))
    return found


def _account(outcomes: list[Outcome]) -> Account:
    account = Account(lines=len(outcomes))
    for outcome in outcomes:
        if outcome.result == REFUSED or outcome.code is not None:
            account.quarantined += 1
        elif outcome.result == DUPLICATE:
            account.duplicates += 1
        else:
            account.accepted += 1
    return account
