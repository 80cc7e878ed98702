"""The NetworkPolicies, judged as a cluster would judge them: who reaches whom, and who does not."""

from ipaddress import ip_address, ip_network

import pytest

from devstack.chart import NAMESPACE, pods, render

DEV = ("values-dev.yaml",)
EVERYTHING = ("ci/everything-values.yaml",)


class Network:
    """Of one rendering: pods by name, and the policies that select them."""

    def __init__(self, values, sets=()):
        rendered = render(values, sets=sets)
        assert rendered.code == 0, rendered.text
        objects = rendered.objects()
        self.policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
        self.pods = {pod.name.partition("/")[2]: pod.labels for pod in pods(objects)}

    def reaches(self, source, target, port):
        """Between two pods of the namespace."""
        from_labels, to_labels = self.pods[source], self.pods[target]
        out = self._opens(from_labels, "Egress", port, lambda peer: _is(peer, to_labels))
        into = self._opens(to_labels, "Ingress", port, lambda peer: _is(peer, from_labels))
        return out and into

    def leaves_for(self, source, address, port):
        labels = self.pods[source]
        return self._opens(labels, "Egress", port, lambda peer: _covers(peer, address))

    def entered_from(self, namespace, target, port):
        known = {"kubernetes.io/metadata.name": namespace}
        return self._opens(
            self.pods[target],
            "Ingress",
            port,
            lambda peer: _selects(peer.get("namespaceSelector"), known, missing=False),
        )

    def _opens(self, labels, direction, port, peer_fits):
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
                if (not ports or port in ports) and (not named or any(map(peer_fits, named))):
                    return True
        return False


def _is(peer, labels):
    namespace = {"kubernetes.io/metadata.name": NAMESPACE}
    if "ipBlock" in peer or not _selects(peer.get("namespaceSelector"), namespace, missing=True):
        return False
    return _selects(peer.get("podSelector"), labels, missing=True)


def _covers(peer, address):
    block = peer.get("ipBlock")
    if block is None:
        return False
    inside = ip_address(address) in ip_network(block["cidr"])
    return inside and all(
        ip_address(address) not in ip_network(each) for each in block.get("except", [])
    )


def _selects(selector, labels, *, missing=True):
    if selector is None:
        return missing
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )


@pytest.fixture(scope="module")
def dev():
    return Network(DEV)


@pytest.fixture(scope="module")
def everything():
    return Network(EVERYTHING)


SERVICES = ("gateway", "billing", "generator-simulated", "vpn", "scheduler")


def test_every_pod_is_guarded_both_ways(dev, everything):
    for network in (dev, everything):
        for labels in network.pods.values():
            for direction in ("Ingress", "Egress"):
                assert not network._opens(labels, direction, 12_345, lambda _peer: False)


@pytest.mark.parametrize("service", SERVICES)
def test_services_and_bootstrap_reach_nats(dev, service):
    assert dev.reaches(service, "nats", 4222)
    assert not dev.reaches(service, "nats", 8222)
    assert dev.reaches("bootstrap-1", "nats", 4222)


def test_only_services_with_a_schema_reach_postgres(dev):
    for service in ("gateway", "billing", "vpn", "scheduler", "migrate-vpn-1"):
        assert dev.reaches(service, "postgres", 5432), service
    for other in ("generator-simulated", "simulators", "test-order", "bootstrap-1", "nats"):
        assert not dev.reaches(other, "postgres", 5432), other


def test_no_service_reaches_another(dev):
    for source in SERVICES:
        for target in SERVICES:
            for port in (8080, 8081, 8188):
                assert not dev.reaches(source, target, port), f"{source} -> {target}:{port}"


def test_simulators_call_webhooks_and_are_called(dev):
    assert dev.reaches("simulators", "billing", 8081)
    assert dev.reaches("gateway", "simulators", 8081)
    assert dev.reaches("billing", "simulators", 8082)
    assert dev.reaches("test-order", "simulators", 8081)
    assert not dev.reaches("scheduler", "simulators", 8081)
    assert not dev.reaches("test-order", "billing", 8081)


def test_nats_monitoring_is_open_to_keda_and_prometheus_alone(dev):
    assert dev.entered_from("keda", "nats", 8222)
    assert dev.entered_from("monitoring", "nats", 8222)
    assert not dev.entered_from("keda", "nats", 4222)
    assert not dev.entered_from("ingress-nginx", "nats", 8222)
    assert not dev.entered_from("elsewhere", "postgres", 5432)


def test_only_the_ingress_comes_in_from_outside(everything):
    for service in ("gateway", "billing", "vpn"):
        assert everything.entered_from("ingress-nginx", service, 8081)
        assert not everything.entered_from("ingress-nginx", service, 8080)
        assert not everything.entered_from("elsewhere", service, 8081)
    assert not everything.entered_from("ingress-nginx", "scheduler", 8081)


def test_only_who_sells_reaches_the_internet_and_never_a_private_network(everything):
    for service in ("gateway", "billing"):
        assert everything.leaves_for(service, "149.154.167.220", 443)
        assert not everything.leaves_for(service, "10.0.0.1", 443)
        assert not everything.leaves_for(service, "169.254.169.254", 443)
        assert not everything.leaves_for(service, "149.154.167.220", 80)
    for service in ("generator-gpu-1", "scheduler", "migrate-billing-1"):
        assert not everything.leaves_for(service, "149.154.167.220", 443), service


def test_telemetry_goes_to_the_collector_and_prometheus_reads_it(everything):
    assert everything.reaches("billing", "collector", 4318)
    assert not everything.reaches("billing", "collector", 8889)
    assert everything.entered_from("monitoring", "collector", 8889)
    assert not everything.entered_from("monitoring", "collector", 4318)


def test_a_server_given_by_url_is_reached_on_its_port():
    for url, port in (("http://c:8188", 8188), ("https://c.example.org", 443), ("http://c", 80)):
        sets = (f'comfyui.servers=[{{"name": "a", "pools": ["image"], "url": "{url}"}}]',)
        policy = render(("ci/external-values.yaml",), sets=sets).of("NetworkPolicy")["generator-a"]
        ports = [each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]]
        assert port in ports, url


def test_ports_are_those_of_the_urls():
    sets = (
        'nats.url="tls://a.nats.svc.cluster.local:14222,tls://b.nats.svc.cluster.local"',
        'telemetry.otlpEndpoint="https://otel.example.org:14318"',
    )
    network = Network(("ci/external-values.yaml",), sets)

    for service in ("gateway", "generator-gpu-1", "scheduler"):
        for port in (14_222, 4222, 14_318):
            assert network.leaves_for(service, "10.0.0.1", port), f"{service}: {port}"
        assert not network.leaves_for(service, "10.0.0.1", 4318)
    assert network.leaves_for("bootstrap", "10.0.0.1", 14_222)
    assert not network.leaves_for("migrate-vpn", "10.0.0.1", 14_222)


OWN = {
    "gateway": ("telegram",),
    "billing": ("payments.cryptoPay", "payments.yookassa"),
}


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://api.shop.svc.cluster.local:8081/v3", 8081), ("https://10.1.2.3/v3", 443)],
)
@pytest.mark.parametrize("service", OWN)
def test_servers_of_ones_own_are_reached_in_private_networks(service, url, port):
    for owner in OWN[service]:
        network = Network(EVERYTHING, (f'{owner}.apiUrl="{url}"',))

        assert network.leaves_for(service, "10.1.2.3", port), owner
        assert network.leaves_for(service, "149.154.167.220", 443), "the others' own addresses"
        for other in {"gateway", "billing", "vpn", "scheduler"} - {service}:
            assert not network.leaves_for(other, "10.1.2.3", port), f"{owner}: {other}"


@pytest.mark.parametrize("service", OWN)
def test_servers_of_ones_own_may_be_named_as_peers(service):
    peer = '[{"ipBlock": {"cidr": "10.1.2.3/32"}}]'
    for owner in OWN[service]:
        sets = (f'{owner}.apiUrl="http://10.1.2.3:8443"',)
        sets += (f"networkPolicy.{owner.partition('.')[0]}={peer}",)
        network = Network(EVERYTHING, sets)

        assert network.leaves_for(service, "10.1.2.3", 8443)
        assert not network.leaves_for(service, "10.1.2.4", 8443)


def test_telegrams_own_address_opens_no_private_network():
    network = Network(EVERYTHING, ('telegram.apiUrl="https://api.telegram.org/"',))

    assert not network.leaves_for("gateway", "10.0.0.1", 443)


def test_policies_can_be_left_out():
    assert render(("ci/open-values.yaml",)).of("NetworkPolicy") == {}
