"""The rules that the harness makes of NetworkPolicies; no cluster is needed."""

from __future__ import annotations

from typing import Any

from tests.cluster.policy import ruleset, selects


def pod(name: str, address: str, namespace: str = "lab", phase: str = "Running", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8470}]}]},
        "status": {"podIP": address, "phase": phase},
    }


def policy(spec: dict[str, Any], namespace: str = "lab") -> dict[str, Any]:
    return {"metadata": {"name": "one", "namespace": namespace}, "spec": spec}


SPACES = [{"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in ("lab", "other")]
SERVER, CLIENT = pod("server", "10.0.0.1", part="server"), pod("client", "10.0.0.2", part="client")
STRANGER = pod("stranger", "10.0.0.3", "other", part="client")


def test_selectors() -> None:
    labels = {"a": "1", "b": "2"}
    assert selects({}, labels)
    assert selects({"matchLabels": {"a": "1"}}, labels)
    assert not selects({"matchLabels": {"a": "2"}}, labels)
    for operator, values, holds in (
        ("In", ["1"], True),
        ("NotIn", ["1"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ):
        assert selects({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}, labels) is holds
    assert selects({"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["1"]}]}, labels)
    assert not selects({"matchExpressions": [{"key": "c", "operator": "In", "values": ["1"]}]}, labels)


def test_without_policies_everything_passes() -> None:
    assert "drop" not in ruleset([], [SERVER, CLIENT], SPACES)


def test_a_selected_pod_takes_only_what_is_allowed() -> None:
    spec = {
        "podSelector": {"matchLabels": {"part": "server"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"part": "client"}}}], "ports": [{"port": "http"}]}],
    }
    rules = ruleset([policy(spec)], [SERVER, CLIENT, STRANGER], SPACES)
    assert "ip saddr 10.0.0.2 tcp dport 8470 return" in rules
    assert "10.0.0.3" not in rules
    assert "ip daddr vmap { 10.0.0.1 : jump to_10_0_0_1 }" in rules
    assert rules.count("drop") == 1


def test_namespaces_blocks_and_ranges() -> None:
    spec = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}],
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
            {
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
                "ports": [{"port": 80, "endPort": 90}],
            },
        ],
    }
    rules = ruleset([policy(spec)], [CLIENT, STRANGER], SPACES)
    assert "ip daddr 10.0.0.3 udp dport 53 return" in rules
    assert "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8 } tcp dport 80-90 return" in rules
    assert "of_10_0_0_3" not in rules


def test_who_ended_has_no_rules() -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    ended = pod("ended", "10.0.0.1", phase="Succeeded")
    assert "drop" not in ruleset([policy(spec)], [ended], SPACES)
    assert "drop" in ruleset([policy(spec)], [SERVER], SPACES)
