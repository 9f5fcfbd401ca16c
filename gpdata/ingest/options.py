"""What a person decides of a service, and what of it does not go together."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpdata.errors import InvalidInput
from gpdata.ingest.connection import HEAD_SECONDS, KEEP_ALIVE_SECONDS, STALL_SECONDS
from gpdata.ingest.listen import HANDSHAKE_SECONDS, tls_context
from gpdata.ingest.upload import Bounds
from gpdata.spool.plain_tcp import LOOPBACK, Network
from gpdata.spool.room import KEEP_FREE
from gpdata.wire import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a person decides of a service.

    Parameters
    ----------
    lake, spool : Path
        The directories; `spool` is the lake's own where it is None.
    host, port : str, int
        Where HTTP is listened to.
    certificate, key : Path, optional
        PEM files for TLS.
    behind_proxy : bool
        Whether something else does TLS before a service that is no loopback one.
    plain : tuple of (str, int), optional
        Where Clojush's plain TCP is listened to.
    plain_networks : sequence of str
        From where it is taken: needed beyond loopback.
    tokens : Path, optional
        The directory of tokens; the lake's own where it is None.
    hub : str, optional
        The address of a JupyterHub's API: its users and their tokens take the place of the directory.
    prefix : str
        What a proxy leaves before the path of each request, such as ``/services/gpdata``.
    keep_free : int
        Free bytes of the disk below which nothing is taken in.
    grace : float
        Seconds for which a transformed spool file is kept.
    transform : bool
        Whether the transform runs beside, as a child process.
    transform_memory : int
        Bytes that it may take.
    stop_timeout : float
        Seconds that uploads under way have to finish.
    limits : Limits
        What a line may be at most.
    bounds : Bounds
        What a request may be at most.
    handshake_seconds, head_seconds, keep_alive_seconds, stall_seconds : float
        Deadlines of connections: for TLS, for a request's head, between two requests, for an answer to be taken.

    Examples
    --------
    >>> Options(lake=Path("lake")).port
    8470
    """

    lake: Path
    spool: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8470
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    plain: tuple[str, int] | None = None
    plain_networks: Sequence[str] = ()
    tokens: Path | None = None
    hub: str | None = None
    prefix: str = ""
    keep_free: int = KEEP_FREE
    grace: float = 3600.0
    transform: bool = True
    transform_memory: int = 3 << 30
    stop_timeout: float = 30.0
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
    handshake_seconds: float = HANDSHAKE_SECONDS
    head_seconds: float = HEAD_SECONDS
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    stall_seconds: float = STALL_SECONDS


def check_tls(options: Options) -> ssl.SSLContext | None:
    """Return the TLS that the options ask for; refuse those that let anybody listen in or do not go together."""
    if (options.certificate is None) != (options.key is None):
        raise InvalidInput("TLS needs both files: give --tls-certificate and --tls-key")
    if options.certificate is None and not _is_loopback(options.host) and not options.behind_proxy:
        raise InvalidInput(
            f"{options.host} can be reached from other machines, and tokens would pass unencrypted; give "
            "--tls-certificate and --tls-key, or --behind-proxy where a proxy does TLS, or listen at 127.0.0.1"
        )
    if options.plain is not None and not _is_loopback(options.plain[0]) and not options.plain_networks:
        raise InvalidInput(
            f"plain TCP has no passwords, and {options.plain[0]} can be reached from other machines; say with "
            "--plain-network which may send, such as 10.1.0.0/16, or listen at 127.0.0.1"
        )
    if options.certificate is None or options.key is None:
        return None
    return tls_context(options.certificate, options.key)


def plain_networks(options: Options) -> tuple[Network, ...]:
    """Return from where plain TCP is taken."""
    try:
        return tuple(ipaddress.ip_network(text) for text in options.plain_networks) or LOOPBACK
    except ValueError as error:
        raise InvalidInput(f"--plain-network: {error}; valid is an address range such as 10.1.0.0/16") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
