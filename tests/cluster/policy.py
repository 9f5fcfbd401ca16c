"""NetworkPolicies as rules of nftables in the node's own network, made anew whenever policies or pods change.

Bridge and ptp, the CNI plugins that can be had from Go's module proxy, enforce none. What stands here is the semantics
of networking.k8s.io/v1 and no more: a pod that a policy selects takes, or makes, only the connections that a policy
allows; the node itself reaches every pod; answers pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.cluster.kube import Object

TABLE = "inet gpdata_policy"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector takes these labels; an empty one takes all."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        has = one["key"] in labels
        chosen = labels.get(one["key"]) in one.get("values", [])
        holds = {"In": has and chosen, "NotIn": not chosen, "Exists": has, "DoesNotExist": not has}[one["operator"]]
        if not holds:
            return False
    return True


def isolated(pod: Object, policies: Iterable[Object], direction: str) -> list[Object] | None:
    """Return the policies that hold for a pod in a direction, None where none does and everything may pass."""
    found = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and direction in policy["spec"].get("policyTypes", ["Ingress"])
        and selects(policy["spec"].get("podSelector", {}), pod["metadata"].get("labels", {}))
    ]
    return found or None


def peers(
    rule: Object, key: str, namespace: str, pods: list[Object], spaces: Mapping[str, Mapping[str, str]]
) -> list[Any]:
    """Return whom a rule names: pods, texts that nftables takes for addresses, or None for everybody."""
    if not rule.get(key):
        return [None]
    found: list[Any] = []
    for peer in rule[key]:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            without = f" {{way}} != {{{{ {', '.join(block['except'])} }}}}" if block.get("except") else ""
            found.append(f"{{way}} {block['cidr']}{without}")
            continue
        for pod in pods:
            home = pod["metadata"]["namespace"]
            there = (
                home == namespace
                if "namespaceSelector" not in peer
                else selects(peer["namespaceSelector"], spaces.get(home, {}))
            )
            if there and selects(peer.get("podSelector", {}), pod["metadata"].get("labels", {})):
                found.append(pod)
    return found


def ports(rule: Object, target: Object | None) -> list[str]:
    """Return the ports of a rule as nftables says them; a name is looked up in the pod that is called."""
    if not rule.get("ports"):
        return [""]
    said = []
    for port in rule["ports"]:
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        if number is None:
            said.append(f"meta l4proto {protocol}")
            continue
        if isinstance(number, str):
            number = _named(number, protocol, target)
            if number is None:
                continue
        last = f"-{port['endPort']}" if "endPort" in port else ""
        said.append(f"{protocol} dport {number}{last}")
    return said


def _named(name: str, protocol: str, pod: Object | None) -> int | None:
    for container in pod["spec"]["containers"] if pod else []:
        for port in container.get("ports", []):
            if port.get("name") == name and port.get("protocol", "TCP").lower() == protocol:
                return int(port["containerPort"])
    return None


def _chain(
    pod: Object, direction: str, policies: list[Object], pods: list[Object], spaces: Mapping[str, Any]
) -> list[str]:
    way, key = ("saddr", "from") if direction == "Ingress" else ("daddr", "to")
    said = []
    for policy in policies:
        for rule in policy["spec"].get(direction.lower()) or []:
            for peer in peers(rule, key, policy["metadata"]["namespace"], pods, spaces):
                if peer is None:
                    where, target = "", pod if direction == "Ingress" else None
                elif isinstance(peer, str):
                    where, target = peer.format(way=f"ip {way}"), pod if direction == "Ingress" else None
                else:
                    where, target = f"ip {way} {peer['status']['podIP']}", pod if direction == "Ingress" else peer
                said += [f"{where} {port} return" for port in ports(rule, target)]
    return [*dict.fromkeys(said), "counter drop"]


def ruleset(policies: list[Object], pods: list[Object], namespaces: list[Object]) -> str:
    """Return everything that nftables is to hold, as one transaction."""
    spaces = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in namespaces}
    living = [
        pod
        for pod in pods
        if pod["status"].get("podIP")
        and pod["status"]["phase"] in ("Pending", "Running")
        and not pod["spec"].get("hostNetwork")
    ]
    living.sort(key=lambda pod: str(pod["status"]["podIP"]))
    chains, jumps = [], {"Ingress": [], "Egress": []}  # type: ignore[var-annotated]
    for pod in living:
        address = pod["status"]["podIP"]
        for direction, prefix in (("Ingress", "to"), ("Egress", "of")):
            holding = isolated(pod, policies, direction)
            if holding is None:
                continue
            name = f"{prefix}_{address.replace('.', '_')}"
            comment = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            lines = "\n    ".join(_chain(pod, direction, holding, living, spaces))
            chains.append(f'  chain {name} {{\n    comment "{comment[:120]}"\n    {lines}\n  }}')
            jumps[direction].append(f"{address} : jump {name}")
    out = f"ip saddr vmap {{ {', '.join(jumps['Egress'])} }}" if jumps["Egress"] else ""
    into = f"ip daddr vmap {{ {', '.join(jumps['Ingress'])} }}" if jumps["Ingress"] else ""
    body = "\n".join(chains)
    return f"""table {TABLE}
delete table {TABLE}
table {TABLE} {{
{body}
  chain forward {{
    type filter hook forward priority 10; policy accept;
    ct state established,related accept
    {out}
    {into}
  }}
  chain input {{
    type filter hook input priority 10; policy accept;
    ct state established,related accept
    {out}
  }}
}}
"""
