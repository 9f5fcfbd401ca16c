"""`gpdata explore`: the explorer as a page, for those who have no notebook."""

from __future__ import annotations

import socket
from importlib.resources import files
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any

import click

from gpdata.cli.options import chosen_lake, lake_argument
from gpdata.errors import InvalidInput
from gpdata.exported import export
from gpdata.lake import Lake

_PORT = 8866
_TRIES = 20
_IDLE = 300
"""Seconds after which the kernel of a page that was closed ends, if the browser did not say that it was."""


@click.command()
@lake_argument
@click.option("--address", default="127.0.0.1", show_default=True, metavar="IP", help="The address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535),
              help=f"The port.  [default: {_PORT}, or one after it that is free]")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the page's address is printed.")
@click.option("--dark", is_flag=True, help="Dark pages.")
def explore(
    lake_argument: str | None, lake_option: str | None, address: str, port: int | None, no_browser: bool, dark: bool
) -> None:
    """Show a lake in the browser: choose runs, see success, curves, diversity, and whom a winner descends from.

    New runs appear while they go on. The page asks for no password: whoever reaches the address sees the lake, so
    leave it at 127.0.0.1, or put something in front of it that asks. Ctrl-C ends it.

    \b
    $ gpdata explore example-lake
    $ gpdata explore example-lake --no-browser --port 8900

    Next: every view shows its code, to go on in Python.
    """  # noqa: D301 (click wants a real \b)
    path = Lake.open(chosen_lake(lake_argument, lake_option)).path
    if find_spec("voila") is None:
        raise InvalidInput("the page is made by Voilà, which is not installed; install it with "
                           "pip install 'gpdata[notebook]'")  # fmt: skip
    loopback = _is_loopback(address)
    if port is not None and not _is_free(address, port):
        raise InvalidInput(f"port {port} at {address} is in use; name another with --port, or leave --port out")
    chosen = port or next((p for p in range(_PORT, _PORT + _TRIES) if _is_free(address, p)), None)
    if chosen is None:
        raise InvalidInput(f"no port from {_PORT} to {_PORT + _TRIES - 1} is free at {address}; name one with --port")
    if not loopback:
        click.echo(f"Warning: whoever reaches {address} can see this lake; the page asks for no password.", err=True)
    export({"GPDATA_LAKE": str(path)}, replace=True)
    _serve(address, chosen, browser=not no_browser, dark=dark, lake=str(path))


def _serve(address: str, port: int, *, browser: bool, dark: bool, lake: str) -> None:
    """Run Voilà in this process until it is interrupted; it ends its kernels itself."""
    from tornado.ioloop import IOLoop
    from traitlets.config import Config
    from voila.app import Voila

    config: Any = Config()
    config.Voila.update(ip=address, port=port, port_retries=0, open_browser=browser, log_level="ERROR")
    config.VoilaConfiguration.update(theme="dark" if dark else "light")
    config.MappingKernelManager.update(cull_idle_timeout=_IDLE, cull_interval=_IDLE // 5)
    page = Voila(config=config)
    page.initialize([str(files("gpdata.widgets").joinpath("page.ipynb"))])
    host = f"[{address}]" if ":" in address else address
    IOLoop.current().add_callback(click.echo, f"{lake} at http://{host}:{port}/ (Ctrl-C ends it)")  # once it listens
    page.start()


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        raise InvalidInput(
            f"{address!r} is no IP address; valid is for instance 127.0.0.1, or 0.0.0.0 for all"
        ) from None


def _is_free(address: str, port: int) -> bool:
    """Say whether something listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does it
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
