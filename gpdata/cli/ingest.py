"""`gpdata ingest`: the service that takes uploads into a lake."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from gpdata.cli.options import Bytes, chosen_lake, lake_option
from gpdata.config import HubEnvironment, hub_environment, settings
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
_LOOK = 1.0
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
@click.option("--accounts", type=click.Choice(["tokens", "hub"]), default="tokens", show_default=True,
              help="Who may upload: the tokens' users, or those of the JupyterHub in JUPYTERHUB_API_URL.")  # fmt: skip
@click.option("--keep-free", type=Bytes(), default="1GiB", show_default=True, help="Take nothing in below this.")
@click.option("--grace", type=click.FloatRange(0), default=3600.0, show_default=True, metavar="SECONDS",
              help="Keep spool files so long after they are in the lake.")  # fmt: skip
@click.option("--no-transform", is_flag=True, help="Only take in; gpdata transform runs elsewhere.")
@click.option("--transform-memory", type=Bytes(), default="3GiB", show_default=True, help="What it may take.")
@click.option("--stop-timeout", type=click.FloatRange(0), default=30.0, show_default=True, metavar="SECONDS",
              help="What uploads under way have when the service stops.")  # fmt: skip
@click.option("--with-parent", is_flag=True, help="Stop when the program that started this one has ended.")
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
    accounts: str,
    keep_free: int,
    grace: float,
    no_transform: bool,
    transform_memory: int,
    stop_timeout: float,
    with_parent: bool,
    log_level: str,
) -> None:
    """Run the service that takes uploads into a lake.

    What it acknowledges is on the disk, and in the lake some seconds later. It runs until SIGTERM or Ctrl-C, and
    finishes the uploads under way first; a second Ctrl-C stops it at once. The lake is made where there is none.

    As a service of a JupyterHub (--accounts hub) it listens where JUPYTERHUB_SERVICE_URL says, unless --host or --port
    is given, and knows that the proxy leaves JUPYTERHUB_SERVICE_PREFIX before each path.
    """
    parent = os.getppid()
    if plain is None and plain_network:
        raise InvalidInput("--plain-network says who may send by plain TCP, which is off; give --plain HOST:PORT, too")
    logging.basicConfig(level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each question to a hub
    raise_descriptors()
    hub = hub_environment() if accounts == "hub" else HubEnvironment(None, "", None)
    if accounts == "hub":
        if hub.api_url is None:
            raise InvalidInput(
                "--accounts hub asks the JupyterHub in JUPYTERHUB_API_URL, which is not set; a hub sets it for its "
                "services, and elsewhere it is the address of the hub's API, such as http://hub:8081/hub/api"
            )
        if tokens is not None:
            raise InvalidInput("--accounts hub has no directory of tokens; leave out --tokens, or --accounts")
        if hub.service_url is not None and not _given(ctx, "host", "port"):
            host, port = _listen(hub.service_url)
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
        hub=hub.api_url,
        prefix=hub.prefix,
        keep_free=keep_free,
        grace=grace,
        transform=not no_transform,
        transform_memory=transform_memory,
        stop_timeout=stop_timeout,
        limits=Limits(line_bytes=settings().max_line_bytes),
    )
    with Service(options) as service:
        status = asyncio.run(_run(service, parent if with_parent else None))
    ctx.exit(status)


async def _run(service: Service, parent: int | None) -> int:
    service.handle_signals()
    watching = None if parent is None else asyncio.create_task(_stop_with(parent, service))
    try:
        return await service.run(lambda: click.echo(_welcome(service)))
    finally:
        if watching is not None:
            watching.cancel()


async def _stop_with(parent: int, service: Service) -> None:
    """Stop the service once its parent has ended: who comes next needs its port and its spool."""
    while os.getppid() == parent:
        await asyncio.sleep(_LOOK)
    logging.getLogger(__name__).warning("the program that started this service has ended")
    service.stop()


def _given(ctx: click.Context, *names: str) -> bool:
    return any(ctx.get_parameter_source(name) is not ParameterSource.DEFAULT for name in names)


def _listen(url: str) -> tuple[str, int]:
    """Return where a service listens that is to be found at an address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InvalidInput(f"JUPYTERHUB_SERVICE_URL is {url!r}; valid is for instance http://127.0.0.1:8470")
    return host, port


def _welcome(service: Service) -> str:
    plain = "".join(f"\nplain TCP (:record-host) at {host}:{port}" for host, port in service.plain_addresses)
    tokens = service.options.tokens
    place = f"--lake {service.lake.path}" if tokens is None else f"--tokens {tokens}"
    if service.options.hub is None:
        door = f"to let somebody in: gpdata token create USER {place}"
    else:
        door = f"the users of the hub at {service.options.hub} make tokens on its token page"
    where = f"{service.url}{service.options.prefix}"
    return f"listening at {where}, into the lake {service.lake.path} by the spool {service.spool.path}{plain}\n{door}"
