"""The cluster that all tests of this folder share: made once, with the chart on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node import Node, started
from tests.cluster.people import Hub
from tests.cluster.release import GIVEN, Release, jupyterhub_chart, names_service
from tests.cluster.tools import DEBIAN, build, installed, say

ASKED = "GPDATA_CLUSTER"


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node that runs, with the images of the chart."""
    if not os.environ.get(ASKED):
        pytest.skip("makes a cluster on this machine, as root; run by `make test-cluster`")
    from tests.cluster import images

    installed(DEBIAN)
    version = build()
    say(f"starting Kubernetes {version} in namespaces of its own")
    with started() as made:
        say(f"the API answers: {made.kube.version()}; addresses {made.place.whole}")
        images.provide(made)
        names_service(made)
        yield made
        say("taking the cluster down")
    say("the cluster is gone")


@pytest.fixture(scope="session")
def release(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The chart, installed with helm: with zero-to-jupyterhub where it can be had."""
    jupyterhub = jupyterhub_chart()
    if jupyterhub is None:
        say(f"NOT RUN: hub and user servers, for want of zero-to-jupyterhub; name its folder or archive in {GIVEN}")
    made = Release(node, tmp_path_factory.mktemp("release"), jupyterhub)
    say("helm upgrade --install")
    try:
        made.install()
    except RuntimeError:
        say(made.pods())
        say(node.kube.kubectl("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")[-6000:])
        raise
    say(f"installed; the pods:\n{made.pods()}")
    return made


@pytest.fixture(scope="session")
def hub(release: Release) -> Hub:
    """The hub."""
    if not release.hub:
        pytest.skip(f"no zero-to-jupyterhub: name its folder or archive in {GIVEN}")
    return Hub.of(release)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this machine for what tests make."""
    return tmp_path_factory.mktemp("cluster")
