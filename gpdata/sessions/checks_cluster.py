"""Checks of what a session is to reach: the master of a standalone cluster, or a Spark Connect server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

from gpdata.errors import InvalidInput
from gpdata.sessions.checks import Finding, Situation
from gpdata.sessions.cluster import addresses
from gpdata.sessions.cluster_connect import MEND_CONNECT, NO_CONNECT, speaks_connect

_ANSWER_SECONDS = 5.0


def secret(situation: Situation) -> Iterator[Finding]:
    """Whether a standalone cluster that authenticates has its secret."""
    if not situation.plan.master.startswith("spark://"):
        return
    settings = situation.effective
    if settings.get("spark.authenticate") != "true":
        if not all(_loopback(host) for host, _ in addresses(situation.plan.master)):
            yield Finding(
                "authentication",
                "warning",
                "spark.authenticate is off: whoever reaches the cluster's ports can run programs there",
                "give master and workers spark.authenticate with a secret, and name a file with it in "
                "GPDATA_SPARK_SECRET_FILE",
            )
        return
    if not settings.get("spark.authenticate.secret"):
        yield Finding(
            "authentication",
            "failed",
            "spark.authenticate is on, and no secret is given",
            "name a file with the secret of the cluster's master in GPDATA_SPARK_SECRET_FILE",
        )
        return
    yield Finding("authentication", "ok", "with a secret")


def master(situation: Situation) -> Iterator[Finding]:
    """Whether something listens at the master's address."""
    if situation.plan.master.startswith("spark://"):
        yield from _reached("master", situation.plan.master, "a Spark master", "its page shows it at the top")


def connect(situation: Situation) -> Iterator[Finding]:
    """Whether something listens at the Spark Connect server's address."""
    remote = situation.plan.remote
    if remote is None:
        return
    if remote.startswith("local"):
        yield Finding(
            "Spark Connect",
            "failed",
            f"the address is {remote!r}, and a server in this very process is on a port that all users share",
            "unset it: gpdata.spark('connect') starts a server of your own",
        )
        return
    if not remote.startswith("sc://"):
        yield Finding(
            "Spark Connect",
            "failed",
            f"the address is {remote!r}, which is none of Spark Connect",
            "valid is 'sc://host:15002'; a master (spark://, k8s://) is for the presets 'standalone' and 'k8s-small'",
        )
        return
    for finding in _reached("Spark Connect", remote, "a Spark Connect server", "its usual port is 15002"):
        if finding.state == "ok" and not speaks_connect(remote):
            cause = f"{finding.cause}, and {NO_CONNECT}"
            yield Finding("Spark Connect", "failed", cause, MEND_CONNECT)
        else:
            yield finding


def _reached(check: str, address: str, what: str, hint: str) -> Iterator[Finding]:
    try:
        places = addresses(address)
    except InvalidInput as error:
        cause, _, mend = str(error).partition("; ")
        yield Finding(check, "failed", cause, mend)
        return
    problems = []
    for host, port in places:
        try:
            with socket.create_connection((host, port), timeout=_ANSWER_SECONDS):
                yield Finding(check, "ok", f"something listens at {host}, port {port}")
                return
        except socket.gaierror:
            problems.append((f"nobody knows the name {host!r}", f"correct the name in {address!r}"))
        except ConnectionRefusedError:
            mend = f"start {what} there, or correct the address {address!r} ({hint})"
            problems.append((f"nothing listens at {host}, port {port}", mend))
        except TimeoutError:
            mend = "is the machine up, and does a firewall or network policy let this connection through?"
            problems.append((f"{host}, port {port} does not answer within {_ANSWER_SECONDS:.0f} s", mend))
        except OSError as error:
            problems.append((f"{host}, port {port} cannot be reached: {error.strerror or error}", "check the network"))
    yield Finding(check, "failed", "; ".join(cause for cause, _ in problems), problems[0][1])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
