"""A running service with real sockets, and those who may upload to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client.parser import text_string_to_metric_families

from gpdata.ingest.options import Options
from gpdata.ingest.service import Service
from gpdata.ingest.tokens import Tokens
from gpdata.lake.transform import Transformer
from gpdata.spool import Disk

UPLOAD = "/v1/generations"


class Running:
    """A service in a thread of this process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.lake, self.spool = service.lake, service.spool
        self.tokens = Tokens(service.tokens)
        self.ada = self.tokens.create("ada")[1]
        self.bob = self.tokens.create("bob")[1]
        self.status: int | None = None
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,))
        self.thread.start()
        assert started.wait(10)

    def _run(self, started: threading.Event) -> None:
        with self.service:
            self.status = asyncio.run(self.service.run(started.set))

    def client(self, token: str | None = "", **options: Any) -> httpx.Client:
        """Return a client that sends ada's token, another one, or none (None)."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.ada}"}
        return httpx.Client(base_url=self.service.url, headers=headers, timeout=30, trust_env=False, **options)

    def post(self, body: bytes, token: str | None = "", **headers: str) -> httpx.Response:
        """Upload a body."""
        with self.client(token) as client:
            return client.post(UPLOAD, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric as the service shows it; 0 where it has not been counted."""
        with self.client(None) as client:
            text = client.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def pending(self) -> list[bytes]:
        """Return the lines that are durable."""
        return [line for file in self.spool.pending() for line in self.spool.read(file) if isinstance(line, bytes)]

    def unfinished(self) -> list[Path]:
        """Return what is left of uploads that did not end."""
        return list((self.spool.path / "tmp").iterdir())

    def transform(self) -> Any:
        """Bring what is in the spool into the lake, and let the service see it."""
        account = Transformer(self.lake, self.spool).run()
        self.service.ledger.refresh()
        return account

    def stop(self) -> None:
        self.service.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts services; each is stopped at the end."""
    running: list[Running] = []

    def start(*, disk: Disk | None = None, **options: Any) -> Running:
        chosen = {"lake": tmp_path / "lake", "port": 0, "keep_free": 0, "transform": False} | options
        running.append(Running(Service(Options(**chosen), disk=disk)))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def server(start: Start) -> Running:
    """Return a service without TLS and without a transform of its own."""
    return start()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the PEM files of a certificate for 127.0.0.1 and of its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
