"""`gpdata ingest`: the service that takes uploads into a lake."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from gpdata.cli.options import Bytes, chosen_lake, lake_option
from gpdata.config import settings
from gpdata.errors import InvalidInput
from gpdata.ingest.options import Options
from gpdata.ingest.service import Service, raise_descriptors
from gpdata.wire import Limits


class Address(click.ParamType[tuple[str, int]]):
    """A host and a port, such as 127.0.0.1:9292."""

    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return the two."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is no host and port; valid is for instance 127.0.0.1:9292", param, ctx)
        return host.strip("[]"), int(port)


_FILE = click.Path(path_type=Path)
_LEVELS = click.Choice(["debug", "info", "warning", "error"])


@click.command()
@lake_option
@click.option("--spool", type=_FILE, metavar="DIR", help="Where lines wait for the transform.  [default: LAKE/spool]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="The port; 0: any.")
@click.option("--tls-certificate", type=_FILE, metavar="FILE", help="PEM file of the certificate and its chain.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="PEM file of its key. SIGHUP reads both anew.")
@click.option("--behind-proxy", is_flag=True, help="Something else does TLS: listen without it at any address.")
@click.option("--plain", type=Address(), help="Take Clojush's plain TCP at this address, too.")
@click.option("--plain-network", multiple=True, metavar="CIDR", help="From where; needed beyond loopback.")
@click.option("--tokens", type=_FILE, metavar="DIR", help="The directory of tokens.  [default: LAKE/tokens]")
@click.option("--keep-free", type=Bytes(), default="1GiB", show_default=True, help="Take nothing in below this.")
@click.option("--grace", type=click.FloatRange(0), default=3600.0, show_default=True, metavar="SECONDS",
              help="Keep spool files so long after they are in the lake.")  # fmt: skip
@click.option("--no-transform", is_flag=True, help="Only take in; gpdata transform runs elsewhere.")
@click.option("--transform-memory", type=Bytes(), default="3GiB", show_default=True, help="What it may take.")
@click.option("--stop-timeout", type=click.FloatRange(0), default=30.0, show_default=True, metavar="SECONDS",
              help="What uploads under way have when the service stops.")  # fmt: skip
@click.option("--log-level", type=_LEVELS, default="info", show_default=True, help="What standard error gets.")
@click.pass_context
def ingest(
    ctx: click.Context,
    lake: str,
    spool: Path | None,
    host: str,
    port: int,
    tls_certificate: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
    plain: tuple[str, int] | None,
    plain_network: tuple[str, ...],
    tokens: Path | None,
    keep_free: int,
    grace: float,
    no_transform: bool,
    transform_memory: int,
    stop_timeout: float,
    log_level: str,
) -> None:
    """Run the service that takes uploads into a lake.

    What it acknowledges is on the disk, and in the lake some seconds later. It runs until SIGTERM or Ctrl-C, and
    finishes the uploads under way first; a second Ctrl-C stops it at once. The lake is made where there is none.
    """
    if plain is None and plain_network:
        raise InvalidInput("--plain-network says who may send by plain TCP, which is off; give --plain HOST:PORT, too")
    logging.basicConfig(level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    raise_descriptors()
    options = Options(
        lake=Path(chosen_lake(lake)),
        spool=spool,
        host=host,
        port=port,
        certificate=tls_certificate,
        key=tls_key,
        behind_proxy=behind_proxy,
        plain=plain,
        plain_networks=plain_network,
        tokens=tokens,
        keep_free=keep_free,
        grace=grace,
        transform=not no_transform,
        transform_memory=transform_memory,
        stop_timeout=stop_timeout,
        limits=Limits(line_bytes=settings().max_line_bytes),
    )
    with Service(options) as service:
        status = asyncio.run(_run(service))
    ctx.exit(status)


async def _run(service: Service) -> int:
    service.handle_signals()
    return await service.run(lambda: click.echo(_welcome(service)))


def _welcome(service: Service) -> str:
    plain = "".join(f"\nplain TCP (:record-host) at {host}:{port}" for host, port in service.plain_addresses)
    tokens = service.options.tokens
    place = f"--lake {service.lake.path}" if tokens is None else f"--tokens {tokens}"
    return (
        f"listening at {service.url}, into the lake {service.lake.path} by the spool {service.spool.path}{plain}\n"
        f"to let somebody in: gpdata token create USER {place}"
    )
