"""What the service counts, in Prometheus' words. No label carries data of a user."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gpdata.spool import Outcome, Spool, SpoolFile
from gpdata.spool.plain_tcp import Counts
from gpdata.storage import ObjectPath, Place

_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Facts(Protocol):
    """What is read when somebody asks, rather than counted."""

    def free_bytes(self) -> int:
        """Return the free bytes of the spool's file system."""

    def last_batch(self) -> int:
        """Return the newest batch that readers see."""

    def worker_restarts(self) -> int:
        """Return how often the transform was started again."""

    def worker_up(self) -> bool:
        """Whether the transform runs."""

    def plain_counts(self) -> Counts:
        """Return what plain TCP has brought."""


class Metrics:
    """The counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.lines = Counter(
            "gpdata_ingest_lines", "Lines of uploads that were answered.", ["result", "code"], registry=registry
        )
        self.bytes = Counter(
            "gpdata_ingest_body_bytes",
            "Bytes of uploads: wire as they came, raw after decompression.",
            ["form"],
            registry=registry,
        )
        self.requests = Counter("gpdata_ingest_requests", "Requests answered.", ["status"], registry=registry)
        self.denied = Counter(
            "gpdata_ingest_denied", "Requests refused for what they said of who asks.", ["reason"], registry=registry
        )
        self.tls_failures = Counter(
            "gpdata_ingest_tls_failures", "Connections that did not become TLS.", ["reason"], registry=registry
        )
        self.turned_away = Counter(
            "gpdata_ingest_connections_refused", "Connections closed for too many others.", registry=registry
        )
        self.connections = Gauge("gpdata_ingest_connections", "Open connections, TLS included.", registry=registry)
        self.uploads = Gauge("gpdata_ingest_uploads_under_way", "Uploads under way.", registry=registry)
        self.commits = Histogram(
            "gpdata_ingest_commit_seconds",
            "Time from the end of a body to its durable copy.",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self.wire, self.raw = self.bytes.labels("wire"), self.bytes.labels("raw")
        # Finding a child by its labels takes longer than counting, and there are few.
        self._lines = cache(self.lines.labels)
        self._requests = cache(self.requests.labels)

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Count what became of lines."""
        for outcome in outcomes:
            self._lines(outcome.result, outcome.code or "").inc()

    def answered(self, status: int) -> None:
        """Count an answer."""
        self._requests(str(status)).inc()

    def watch(self, spool: Spool, quarantine: Place, facts: Facts) -> None:
        """Show the state of the spool and of the service, too."""
        self.registry.register(_State(spool, quarantine, facts))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format; reads directories."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, spool: Spool, quarantine: Place, facts: Facts) -> None:
        self._spool, self._quarantine, self._facts = spool, quarantine, facts

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        files = {"pending": self._spool.pending(), "retired": self._spool.retired()}
        count = GaugeMetricFamily("gpdata_spool_files", "Spool files.", labels=["state"])
        size = GaugeMetricFamily("gpdata_spool_bytes", "Bytes of spool files on the disk.", labels=["state"])
        for state, found in files.items():
            count.add_metric([state], len(found))
            size.add_metric([state], sum(file.size for file in found))
        yield count
        yield size
        yield GaugeMetricFamily(
            "gpdata_spool_oldest_pending_seconds",
            "Age of the oldest spool file that is not in the lake; 0 where there is none.",
            value=_age(files["pending"]),
        )
        facts = self._facts
        yield GaugeMetricFamily("gpdata_spool_free_bytes", "Free bytes of its file system.", value=facts.free_bytes())
        yield GaugeMetricFamily(
            "gpdata_quarantine_entries", "Lines in the lake's quarantine.", value=_entries(self._quarantine)
        )
        yield GaugeMetricFamily("gpdata_lake_last_batch", "Newest batch that readers see.", value=facts.last_batch())
        yield CounterMetricFamily(
            "gpdata_transform_restarts", "Times the transform was started again.", value=facts.worker_restarts()
        )
        yield GaugeMetricFamily("gpdata_transform_up", "1 where the transform runs.", value=int(facts.worker_up()))
        yield from _plain(facts.plain_counts())


def _plain(counts: Counts) -> Iterator[Metric]:
    yield GaugeMetricFamily("gpdata_plain_connections", "Open connections of plain TCP.", value=counts.open)
    lines = CounterMetricFamily("gpdata_plain_lines", "Lines that came by plain TCP.", labels=["result"])
    for result in ("stored", "duplicate", "refused", "torn"):
        name = {"stored": "lines", "duplicate": "duplicates"}.get(result, result)
        lines.add_metric([result], getattr(counts, name))
    yield lines
    for name, help_ in (
        ("bytes", "Bytes that came by plain TCP."),
        ("rejected", "Connections from networks that may not send."),
        ("write_errors", "Attempts to write that failed."),
    ):
        yield CounterMetricFamily(f"gpdata_plain_{name}", help_, value=getattr(counts, name))


def _age(pending: list[SpoolFile]) -> float:
    for file in pending:
        try:
            return max(0.0, time.time() - file.path.stat().st_mtime)
        except FileNotFoundError:  # transformed in between
            continue
    return 0.0


def _entries(quarantine: Place) -> int:
    if isinstance(quarantine, ObjectPath):
        return sum(1 for _ in quarantine.glob("*.json"))
    try:
        return sum(name.endswith(".json") for name in os.listdir(quarantine))  # noqa: PTH208
    except FileNotFoundError:  # nothing was ever quarantined
        return 0
