"""The chart's NetworkPolicies, judged as a cluster would judge them: who reaches whom."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from devstack.chart import NAMESPACE, pods, render

Labels = Mapping[str, str]
Peer = Mapping[str, Any]
NAMED = "kubernetes.io/metadata.name"


class Network:
    """Of one rendering: pods by name, and the policies that select them."""

    def __init__(self, values: Sequence[str], sets: Sequence[str] = ()) -> None:
        rendered = render(values, sets=sets)
        assert rendered.code == 0, rendered.text
        objects = rendered.objects()
        self.policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
        self.pods = {pod.name.partition("/")[2]: pod.labels for pod in pods(objects)}

    def reaches(self, source: str, target: str, port: int) -> bool:
        """Between two pods of the namespace."""
        from_labels, to_labels = self.pods[source], self.pods[target]
        return self.lets_out(from_labels, to_labels, port) and self.admits(
            to_labels, from_labels, port
        )

    def lets_out(self, source: Labels, target: Labels, port: int) -> bool:
        """A pod of this namespace may call another one, whatever that one says to it."""
        return self.opens(source, "Egress", port, lambda peer: _is(peer, target))

    def admits(self, target: Labels, source: Labels, port: int) -> bool:
        """A pod of this namespace lets another one in, whatever lets that one out."""
        return self.opens(target, "Ingress", port, lambda peer: _is(peer, source))

    def leaves_for(self, source: str, address: str, port: int) -> bool:
        """An address outside the cluster."""
        return self.opens(self.pods[source], "Egress", port, lambda peer: _covers(peer, address))

    def calls(self, source: str, namespace: str, port: int, labels: Labels | None = None) -> bool:
        """A pod of another namespace, by its own labels."""
        return self.opens(
            self.pods[source],
            "Egress",
            port,
            lambda peer: _is(peer, labels or {}, namespace=namespace),
        )

    def entered_from(self, namespace: str, target: str | Labels, port: int) -> bool:
        """By a pod without labels of another namespace."""
        guarded = self.pods[target] if isinstance(target, str) else target
        return self.opens(guarded, "Ingress", port, lambda peer: _is(peer, {}, namespace=namespace))

    def opens(
        self, labels: Labels, direction: str, port: int, peer_fits: Callable[[Peer], bool]
    ) -> bool:
        """Whether any policy of these pods has a rule for the port and such a peer."""
        mine = [
            each
            for each in self.policies
            if direction in each["policyTypes"] and _selects(each["podSelector"], labels)
        ]
        assert mine, f"no policy guards {labels}"
        rules, peers = {"Egress": ("egress", "to"), "Ingress": ("ingress", "from")}[direction]
        for policy in mine:
            for rule in policy.get(rules) or []:
                ports = [each["port"] for each in rule.get("ports", [])]
                named = rule.get(peers)
                # A rule that names nobody is open to everybody.
                if (not ports or port in ports) and (not named or any(map(peer_fits, named))):
                    return True
        return False


def _is(peer: Peer, labels: Labels, *, namespace: str = NAMESPACE) -> bool:
    """Whether the peer is a pod of that namespace; without a selector of namespaces, of ours."""
    if "ipBlock" in peer:
        return False
    chosen = peer.get("namespaceSelector")
    if not _selects(chosen, {NAMED: namespace}, missing=namespace == NAMESPACE):
        return False
    return _selects(peer.get("podSelector"), labels)


def _covers(peer: Peer, address: str) -> bool:
    block = peer.get("ipBlock")
    if block is None:
        return False
    inside = ip_address(address) in ip_network(block["cidr"])
    return inside and all(
        ip_address(address) not in ip_network(each) for each in block.get("except", [])
    )


def _selects(selector: Peer | None, labels: Labels, *, missing: bool = True) -> bool:
    if selector is None:
        return missing
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )
