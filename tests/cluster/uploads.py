"""Uploads of the cluster, as programs elsewhere send them: again and again until each line is acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import httpx

BEHIND_HUB, ALONE = "/services/gpdata/v1/generations", "/v1/generations"


class Uploader:
    """Sends lines one by one beside the test; a refusal or a cut connection is an invitation to send again."""

    def __init__(self, base: str, token: str, lines: Iterable[bytes], path: str = BEHIND_HUB) -> None:
        self.acknowledged = 0
        self.refused: list[str] = []
        self.last = "nothing was answered"
        self._lines, self._failures = list(lines), 0
        self._client = httpx.Client(
            base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False
        )
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def failures(self) -> int:
        """How often a line had to be sent again."""
        return self._failures

    def start(self) -> Uploader:
        """Begin."""
        self._thread.start()
        return self

    def _work(self) -> None:
        for line in self._lines:
            while not self._ended.is_set():
                try:
                    answer = self._client.post(self._path, content=line)
                except httpx.TransportError as error:
                    self.last = repr(error)
                    self._failures += 1
                    self._ended.wait(0.2)
                    continue
                self.last = f"{answer.status_code}: {answer.text[:300]}"
                if answer.status_code == 200:
                    self.acknowledged += 1
                    break
                if answer.status_code < 500 and answer.status_code not in (404, 429):
                    self.refused.append(f"{answer.status_code}: {answer.text[:300]}")
                    return
                self._failures += 1
                self._ended.wait(0.2)

    def wait(self, seconds: float) -> None:
        """Wait until every line is acknowledged."""
        self._thread.join(seconds)
        self._ended.set()
        assert not self.refused, self.refused
        assert self.acknowledged == len(self._lines), (
            f"{self.acknowledged} of {len(self._lines)} acknowledged; {self.last}"
        )
