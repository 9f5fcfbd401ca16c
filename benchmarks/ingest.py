"""Acknowledged uploads: `gpdata ingest` against a bare ASGI application that writes and syncs the same bodies.

Both run as processes of their own on this machine, clients in this one, in turn A B A B; beside them the raw
limit, `write` and `fdatasync` of the same bodies. `make bench-ingest` runs it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpdata.importers.lines import Line, lines

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
MIB = 1 << 20
ROUNDS = 3
CLIENTS = 4


def template(size: int, captures: Path) -> bytes:
    """Return a line of about that many bytes with room for a key: real individuals, or made-up ones."""
    stream = captures / "demos.simple_regression-lexicase-s21.jsonl.zst"
    if stream.exists():
        with stream.open("rb") as file:
            population = [p for x in lines(file, limit=MIB) if isinstance(x, Line)
                          for p in json.loads(x.content)["population"]]  # fmt: skip
    else:
        gene = {"instruction": "integer_add", "close": 0}
        population = [{"uuid": str(uuid.uuid4()), "errors": [k, 1.5], "genome": [gene] * 30} for k in range(200)]
    chosen: list[bytes] = []
    length = 0
    for k in range(10**9):
        individual = population[k % len(population)] | {"uuid": str(uuid.uuid4())}
        chosen.append(json.dumps(individual, separators=(",", ":")).encode())
        length += len(chosen[-1]) + 1
        if length > size - 300:
            break
    return b'{"population":[%b],"outcome":"continue","config-uuid":"%b","index":0,"config":{}}' % (
        b",".join(chosen),
        b"*" * 36,
    )


def body(pattern: bytes) -> bytes:
    """Return the line under a key of its own."""
    return pattern.replace(b"*" * 36, str(uuid.uuid4()).encode()) + b"\n"


class Target:
    """A server that is uploaded to."""

    def __init__(self, port: int, token: str | None, context: ssl.SSLContext | None) -> None:
        self.port, self.context = port, context
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def connect(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=120, context=self.context)

    def post(self, connection: http.client.HTTPConnection, data: bytes) -> None:
        connection.request("POST", "/v1/generations", body=data, headers=self.headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the server on port {self.port} answered {answer.status}: {text[:300]!r}")


def throughput(target: Target, pattern: bytes, total: int) -> float:
    """Return MB/s of acknowledged bodies from several clients at once."""
    share = max(1, total // len(pattern) // CLIENTS)
    bodies = [[body(pattern) for _ in range(share)] for _ in range(CLIENTS)]

    def client(mine: list[bytes]) -> None:
        connection = target.connect()
        for data in mine:
            target.post(connection, data)
        connection.close()

    threads = [threading.Thread(target=client, args=(mine,)) for mine in bodies]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(map(len, (data for mine in bodies for data in mine))) / (time.perf_counter() - start) / 1e6


def latencies(target: Target, pattern: bytes, count: int) -> list[float]:
    """Return milliseconds from the first byte sent to the answer, one client, one connection."""
    connection, found = target.connect(), []
    for _ in range(count):
        data = body(pattern)
        start = time.perf_counter()
        target.post(connection, data)
        found.append(1e3 * (time.perf_counter() - start))
    connection.close()
    return found


def raw(folder: Path, pattern: bytes, total: int) -> float:
    """Return MB/s of `write` and `fdatasync` of the bodies, one after another, with nothing else."""
    bodies = [body(pattern) for _ in range(max(1, total // len(pattern)))]
    start = time.perf_counter()
    for number, data in enumerate(bodies):
        with (folder / f"raw-{number}").open("wb", buffering=0) as file:
            file.write(data)
            os.fdatasync(file.fileno())
    return sum(map(len, bodies)) / (time.perf_counter() - start) / 1e6


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a server has taken so far: other programs on the machine leave it alone."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str | Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; the block begins when it listens."""
    process = subprocess.Popen([str(part) for part in command], start_new_session=True)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with status {process.returncode}") from None
                time.sleep(0.05)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def compare(folder: Path, captures: Path, *, tls: bool) -> bool:
    """Print the table of one transport; return whether each figure is reached."""
    cert, key = certificate(folder)
    lake, token_port, bare_port = folder / "lake", free_port(), free_port()
    (folder / "bare").mkdir()
    context = ssl.create_default_context(cafile=str(cert)) if tls else None
    ours: list[str | Path] = [BIN / "gpdata", "ingest", "--lake", lake, "--port", str(token_port), "--no-transform",
                              "--log-level", "warning"]  # fmt: skip
    ours += ["--tls-certificate", cert, "--tls-key", key] if tls else []
    bare: list[str | Path] = [sys.executable, HERE / "bare.py", folder / "bare", str(bare_port)]
    bare += [cert, key] if tls else []
    good, name = True, "TLS " if tls else "HTTP"
    with running(ours, token_port) as server, running(bare, bare_port) as peer:
        secret = subprocess.run(
            [BIN / "gpdata", "token", "create", "bench", "--lake", lake], check=True, capture_output=True, text=True
        ).stdout.strip()
        a, b = Target(token_port, secret, context), Target(bare_port, None, context)
        for size, total in ((64 << 10, 32 * MIB), (2 * MIB, 256 * MIB), (20 * MIB, 640 * MIB)):
            pattern = template(size, captures)
            limit = raw(folder, pattern, min(total, 256 * MIB))
            before = processor_seconds(server), processor_seconds(peer)
            pairs = [(throughput(a, pattern, total), throughput(b, pattern, total)) for _ in range(ROUNDS)]
            spent = processor_seconds(server) - before[0], processor_seconds(peer) - before[1]
            ratio = statistics.median(x / y for x, y in pairs)
            good &= ratio >= 0.8
            spread = "  ".join(f"{x:.0f}:{y:.0f}" for x, y in pairs)
            print(
                f"{name} {size / MIB:6.2f} MiB: gpdata/bare {ratio:.2f} (0.8 wanted; MB/s {spread}); "
                f"raw write+fdatasync {limit:.0f} MB/s, gpdata {pairs[-1][0] / limit:.0%} of it; "
                f"processor ms/MB {1e9 * spent[0] / total / ROUNDS:.2f}:{1e9 * spent[1] / total / ROUNDS:.2f}",
                flush=True,
            )
            for left in (folder / "bare").iterdir():
                left.unlink()
        pattern = template(64 << 10, captures)
        samples: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for which, target in enumerate((a, b)):
                samples[which] += latencies(target, pattern, 400)
        p99 = [statistics.quantiles(found, n=100)[98] for found in samples]
        good &= p99[0] - p99[1] <= 5
        print(
            f"{name}  64 KB acknowledged: p50 {statistics.median(samples[0]):.1f} ms, p99 {p99[0]:.1f} ms; "
            f"bare p50 {statistics.median(samples[1]):.1f} ms, p99 {p99[1]:.1f} ms (within 5 ms wanted)",
            flush=True,
        )
    return good


def main(captures: str) -> int:
    """Print both tables; return 1 where a figure is missed."""
    good = True
    for tls in (False, True):
        folder = Path(tempfile.mkdtemp(prefix="gpdata-bench-"))
        try:
            good &= compare(folder, Path(captures), tls=tls)
        finally:
            shutil.rmtree(folder)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
