"""`gpdata forward`: beside a GP system, what it records on its way to a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gpdata.cli.options import QUARANTINED, human_bytes
from gpdata.config import settings
from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    from gpdata.upload.status import Status

_TO_DO = {
    "torn": "the connection ended inside the line; a recorder that lives sends it again over the next one",
    "too_long": "record fewer individuals a line, or raise GPDATA_MAX_LINE_BYTES here and at the server",
    "other_owner": "the run is somebody else's: upload with that person's token, or record it under a new run",
    "spool_damaged": "this machine's disk damaged it (dmesg says more): record that run again",
}
_ELSE = "read the reason; mend what sends such lines"


@click.command()
@click.option("--to", metavar="URL", help="The server: https://HOST[:PORT].  [default: $GPDATA_SERVER]")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that holds the token; a new one in it is used at once.  [default: $GPDATA_TOKEN]",
)
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:9000", show_default=True, help="Loopback only.")
@click.option("--outbox", type=click.Path(file_okay=False, path_type=Path), help="Where lines wait on this disk.")
@click.option(
    "--ca",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Certificates (PEM) of the authority that signed the server's.",
)
@click.option("--drain", is_flag=True, help="Send what waits, and end.")
@click.option("--status", "show_status", is_flag=True, help="Say what waits and what was refused, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --status: print JSON.")
@click.pass_context
def forward(
    ctx: click.Context,
    to: str | None,
    token_file: Path | None,
    listen: str,
    outbox: Path | None,
    ca: Path | None,
    drain: bool,
    show_status: bool,
    as_json: bool,
) -> None:
    """Stand beside a GP system and upload what it records.

    Clojush needs one argument: :record-host "localhost:9000". Each line is on this machine's disk once it
    came, and is removed from there when the server said that it is stored. While the server is away, lines
    wait, for as long as it takes; killed and started again, this goes on where it was.

    The exit status is 0, or 3 where --drain found that the server refuses lines for good: they are kept, and
    --status says why.
    """
    from gpdata.upload.forward import Forwarder, TokenFile
    from gpdata.upload.http import Client, checked_token, server_address
    from gpdata.upload.outbox import Outbox, default_outbox
    from gpdata.upload.status import status_of

    chosen = settings()
    if not (given := to or chosen.server):
        raise InvalidInput("no server was named; name it with --to https://HOST[:PORT], or set GPDATA_SERVER")
    address = server_address(given)
    path = outbox or default_outbox(address)
    if as_json and not show_status:
        raise InvalidInput("--json goes with --status; leave it out, or add --status")
    if show_status:
        if not path.is_dir():
            raise InvalidInput(
                f"there is no outbox at {path}: nothing was forwarded to {address} from here yet; "
                "name another server with --to, or the directory with --outbox"
            )
        status = status_of(Outbox(path), address)
        click.echo(msgspec.json.encode(status).decode() if as_json else _screen(status))
        return
    token: Callable[[], str]
    if token_file is not None:
        token, renew = TokenFile(token_file), f"put another one into {token_file}, it is used at once"
    else:
        value = checked_token(chosen.token, "GPDATA_TOKEN (or name a file with --token-file)")
        token, renew = (lambda: value), "start again with another GPDATA_TOKEN"
    host, port = _listen(listen)
    client = Client(address, token, ca=ca)
    forwarder = Forwarder(Outbox(path), client, say=_say, renew=renew, max_line_bytes=chosen.max_line_bytes)
    if not drain:
        asyncio.run(forwarder.run(host, port))
        return
    refused = forwarder.drain()
    sent = forwarder.sender.state
    click.echo(f"nothing waits for {address}: {sent.lines} lines sent, {sent.duplicates} of them duplicates")
    if refused:
        click.echo(f"{refused} lines were refused; gpdata forward --to {address} --outbox {path} --status says why")
        ctx.exit(QUARANTINED)


def _say(text: str) -> None:
    click.echo(f"forward: {text}", err=True)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InvalidInput(f"--listen is {text!r}; valid is HOST:PORT, such as 127.0.0.1:9000")
    return host.strip("[]"), int(port)


def _screen(status: Status) -> str:
    now, last, waiting = datetime.now(UTC), status.last, status.waiting
    rows = [("server", status.server), ("outbox", status.outbox)]
    if waiting.files:
        age = f", the oldest for {_ago(now, waiting.oldest)}" if waiting.oldest else ""
        rows.append(("waiting", f"{waiting.lines} lines, {human_bytes(waiting.bytes)}{age}"))
    else:
        rows.append(("waiting", "nothing: the server has everything"))
    if status.sending:
        rows.append(("sending", f"process {last.pid}, since {_ago(now, last.since)}" if last else "a process"))
    else:
        rows.append(("sending", "no process"))
    if last is not None:
        if last.answered_at is not None:
            said = f": {last.answer}" if last.answer else ""
            rows.append(("last answer", f"{_ago(now, last.answered_at)} ago{said}"))
        if last.error is not None:
            since = f" (for {_ago(now, last.error_since)})" if last.error_since else ""
            rows.append(("error", f"{last.error}{since}"))
    for code, count in sorted(status.refused.items()):
        rows.append(("refused", f"{count} {code}: {_TO_DO.get(code, _ELSE)}"))
    text = "\n".join(f"{name:12} {value}" for name, value in rows)
    for entry in status.newest_refusals:
        text += f"\n\n{entry.code}: {entry.detail}\n  its bytes: zstdcat {status.outbox}/quarantine/{entry.id}.raw.zst"
    if waiting.files and not status.sending:
        text += f"\n\nNobody sends. Do it now: gpdata forward --to {status.server} --outbox {status.outbox} --drain"
    return text


def _ago(now: datetime, then: datetime | None) -> str:
    seconds = max(0, int((now - then).total_seconds())) if then else 0
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
