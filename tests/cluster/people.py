"""People of the cluster's hub, made by its API as an administrator's program would, and what they run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.cluster.release import NAMESPACE, SERVICE, Release
from tests.cluster.tools import say
from tests.hub.live import Person

PATIENCE = 300


@dataclass
class Hub:
    """The hub of a release, with the token of a service that may make people."""

    url: str
    token: str

    @classmethod
    def of(cls, release: Release) -> Hub:
        """Ask the cluster where the hub is, and for the token that the chart made."""
        return cls(release.address("proxy-public") + "/", release.secret("hub", f"hub.services.{SERVICE}.apiToken"))

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call the hub's API."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(
            method, f"{self.url}hub/api/{path}", headers=headers, json=body, timeout=60, trust_env=False
        )

    def person(self, name: str) -> Person:
        """Make somebody, with a token for everything that person may do."""
        made = self.call("POST", f"users/{name}")
        assert made.status_code in (201, 409), made.text
        return Person(name, self.url, httpx.Client(), self.token_of(name))

    def token_of(self, name: str, *scopes: str) -> str:
        """Make a token of somebody's, for everything or for these scopes."""
        body = {"note": "test", **({"scopes": list(scopes)} if scopes else {})}
        made = self.call("POST", f"users/{name}/tokens", body)
        assert made.status_code == 201, made.text
        return str(made.json()["token"])

    def start(self, release: Release, person: Person) -> None:
        """Start somebody's server by the API, and wait until it answers."""
        answer = self.call("POST", f"users/{person.name}/server", {})
        assert answer.status_code in (201, 202), answer.text
        try:
            self._until(lambda: self._server_ready(person), f"the server of {person.name}")
        except AssertionError:
            say(release.pods())
            say(release.kube.kubectl("describe", "pods", f"--namespace={NAMESPACE}", f"jupyter-{person.name}"))
            raise

    def _server_ready(self, person: Person) -> bool:
        """Say whether a server is ready; one that failed is not waited for."""
        server = self.call("GET", f"users/{person.name}").json()["servers"].get("")
        assert server, f"the server of {person.name} did not start; the hub's log says why"
        return bool(server["ready"])

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait without asking the hub a hundred times a second."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about in {PATIENCE} s"
            time.sleep(0.5)

    def stop(self, person: Person) -> None:
        """Stop somebody's server."""
        answer = self.call("DELETE", f"users/{person.name}/server")
        assert answer.status_code in (202, 204), answer.text
        self._until(person.is_stopped, f"the end of the server of {person.name}")


def told(person: Person, kernel: str, code: str) -> Any:
    """Run code whose last line that begins with ``TOLD`` is what it found, as JSON."""
    said = person.run(kernel, code)
    lines = [line for line in said.splitlines() if line.startswith("TOLD ")]
    assert lines, said[-4000:]
    return json.loads(lines[-1].removeprefix("TOLD "))
