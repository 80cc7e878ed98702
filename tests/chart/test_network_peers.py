"""Ways out of the pods: whom each address, name and switch of the values opens, and whom not."""

import pytest

from devstack.chart import render
from devstack.network_policies import Network

DEV = ("values-dev.yaml",)
EVERYTHING = ("ci/everything-values.yaml",)
EXTERNAL = ("ci/external-values.yaml",)
INTERNET = ("149.154.167.220", "2001:67c:4e8:f004::9")
NO_INTERNET = ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254")
NO_INTERNET += ("fd00:ec2::254", "fe80::1")
KUBE_DNS = {"k8s-app": "kube-dns"}


def test_who_sells_for_stars_alone_calls_nobody():
    """Stars come and go through gateway."""
    assert not Network(EXTERNAL).leaves_for("billing", "149.154.167.220", 443)


def test_names_are_asked_of_the_clusters_dns_alone(dev, everything):
    for network in (dev, everything):
        for pod in network.pods:
            assert network.calls(pod, "kube-system", 53, KUBE_DNS), pod
            assert network.leaves_for(pod, "169.254.20.10", 53), "a cache on the node"
            assert not network.calls(pod, "kube-system", 53, {"k8s-app": "other"}), pod
            assert not network.calls(pod, "elsewhere", 53, KUBE_DNS), pod
            for address in (*INTERNET, *NO_INTERNET):
                assert not network.leaves_for(pod, address, 53), f"{pod}: {address}"


def test_who_answers_names_may_be_somebody_else():
    network = Network(EXTERNAL, ('networkPolicy.dns=[{"ipBlock": {"cidr": "10.96.0.10/32"}}]',))

    assert network.leaves_for("vpn", "10.96.0.10", 53)
    assert not network.calls("vpn", "kube-system", 53, KUBE_DNS)


def test_a_comfyui_beside_its_generator_gets_to_nats_telemetry_and_names_alone():
    """Custom nodes run code, in a pod whose ways out are the generator's."""
    network = Network(("values-large.yaml",))
    pod = "generator-image"

    assert network.calls(pod, "nats", 4222)
    assert network.reaches(pod, "collector", 4318)
    assert not network.calls(pod, "elsewhere", 4222)
    assert not network.calls(pod, "nats", 8222)
    for port in (22, 53, 80, 443, 4222, 4318, 5432, 8188, 8443):
        for address in (*INTERNET, *NO_INTERNET):
            assert not network.leaves_for(pod, address, port), f"{address}:{port}"
    for other in ("gateway", "billing", "vpn", "scheduler", "generator-video"):
        for port in (8080, 8081, 8188):
            assert not network.reaches(pod, other, port), f"{other}:{port}"


def addressed(url):
    """NATS at this address: whom generators may call on its port."""
    return Network(EXTERNAL, (f'nats.url="{url}"',))


def test_a_name_of_the_cluster_is_its_namespace():
    for host in ("nats.queue.svc", "nats-0.nats-headless.queue.svc.cluster.local"):
        network = addressed(f"tls://{host}")
        assert network.calls("generator-gpu-1", "queue", 4222)
        assert not network.calls("generator-gpu-1", "vitrine", 4222)
        assert not network.leaves_for("generator-gpu-1", "10.1.2.3", 4222)


def test_a_number_is_that_address_alone():
    for host, address, next_one in (
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("[fd00::3]", "fd00::3", "fd00::4"),
    ):
        network = addressed(f"tls://{host}:4223")
        assert network.leaves_for("generator-gpu-1", address, 4223)
        assert not network.leaves_for("generator-gpu-1", next_one, 4223)
        assert not network.calls("generator-gpu-1", "nats", 4223)


def test_a_private_name_is_the_cluster_and_private_networks_and_never_the_internet():
    network = addressed("tls://nats.lan")

    assert network.leaves_for("generator-gpu-1", "10.1.2.3", 4222)
    assert network.calls("generator-gpu-1", "anywhere", 4222)
    for address in (*INTERNET, "169.254.169.254", "fe80::1"):
        assert not network.leaves_for("generator-gpu-1", address, 4222), address


def test_a_postgres_nobody_described_is_private_too():
    network = Network(EXTERNAL)

    for pod in ("billing", "migrate-billing"):
        assert network.leaves_for(pod, "10.1.2.3", 5432)
        for address in (*INTERNET, "169.254.169.254"):
            assert not network.leaves_for(pod, address, 5432), address


def test_a_door_nobody_is_listed_for_stays_shut():
    doors = {"ingress": ("gateway", 8081), "monitoring": ("collector", 8889)}
    for caller, (target, port) in doors.items():
        for nobody in ("[]", "null"):
            network = Network(EVERYTHING, (f"networkPolicy.callers.{caller}={nobody}",))
            for somebody in ("ingress-nginx", "monitoring", "elsewhere"):
                assert not network.entered_from(somebody, target, port), f"{caller}={nobody}"
    sets = ("networkPolicy.callers.keda=[]", "networkPolicy.callers.monitoring=[]")
    for namespace in ("keda", "monitoring", "elsewhere"):
        assert not Network(DEV, sets).entered_from(namespace, "nats", 8222)


POSTGRES = {"cnpg.io/cluster": "vitrine-postgres"}


@pytest.mark.parametrize("file", ["values-small.yaml", "values-large.yaml", *EVERYTHING])
def test_cnpgs_postgres_is_for_those_who_have_a_schema(file):
    network = Network((file,))
    for pod, labels in network.pods.items():
        owner = pod in ("gateway", "billing", "vpn", "scheduler")
        owner = owner or pod.startswith(("migrate-", "operator"))
        assert network.admits(POSTGRES, labels, 5432) == owner, pod
        assert network.lets_out(labels, POSTGRES, 5432) == owner, pod
    assert not network.admits(POSTGRES, {"app": "a stranger's"}, 5432)
    assert not network.entered_from("elsewhere", POSTGRES, 5432)


def test_cnpgs_instances_and_its_operator_reach_them(everything):
    for port in (5432, 8000):
        assert everything.admits(POSTGRES, POSTGRES, port)
        assert everything.entered_from("cnpg-system", POSTGRES, port)
        assert not everything.entered_from("ingress-nginx", POSTGRES, port)
    assert not everything.admits(POSTGRES, everything.pods["billing"], 8000)
    assert everything.entered_from("monitoring", POSTGRES, 9187)
    assert not everything.entered_from("monitoring", POSTGRES, 5432)


def test_cnpgs_pods_are_called_after_the_release():
    rendered = render(("values-small.yaml",), sets=('fullnameOverride="shop"',))
    policies = rendered.of("NetworkPolicy")

    guarded = policies["shop-cnpg"]["spec"]["podSelector"]["matchLabels"]
    assert guarded == {"cnpg.io/cluster": "shop-postgres"}
    assert {"podSelector": {"matchLabels": guarded}} in [
        peer for rule in policies["shop-billing"]["spec"]["egress"] for peer in rule["to"]
    ]


def test_a_server_given_by_url_is_reached_on_its_port():
    for url, port in (("http://c:8188", 8188), ("https://c.lan/x", 443), ("http://c", 80)):
        sets = (f'comfyui.servers=[{{"name": "a", "pools": ["image"], "url": "{url}"}}]',)
        policy = render(("ci/external-values.yaml",), sets=sets).of("NetworkPolicy")["generator-a"]
        ports = [each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]]
        assert port in ports, url


def test_ports_are_those_of_the_urls():
    sets = (
        'nats.url="tls://a.lan:14222,tls://b.lan"',
        'telemetry.otlpEndpoint="https://otel.internal:14318"',
    )
    network = Network(EXTERNAL, sets)

    for service in ("gateway", "generator-gpu-1", "scheduler"):
        for port in (14_222, 4222, 14_318):
            assert network.leaves_for(service, "10.0.0.1", port), f"{service}: {port}"
        assert not network.leaves_for(service, "10.0.0.1", 4318)
    assert network.leaves_for("bootstrap", "10.0.0.1", 14_222)
    assert not network.leaves_for("migrate-vpn", "10.0.0.1", 14_222)


OWN = {"gateway": ("telegram",), "billing": ("payments.cryptoPay", "payments.yookassa")}


def provided(url, *more):
    """Telegram and both payment providers at this address."""
    owners = [each for owner in OWN.values() for each in owner]
    return Network(EVERYTHING, (*(f'{owner}.apiUrl="{url}"' for owner in owners), *more))


def test_servers_of_ones_own_are_reached_where_they_are():
    named = provided("http://api.shop.svc.cluster.local:8081/v3")
    numbered = provided("https://10.1.2.3/v3")

    for service in OWN:
        assert named.calls(service, "shop", 8081), service
        assert not named.leaves_for(service, "10.1.2.3", 8081), service
        assert numbered.leaves_for(service, "10.1.2.3", 443), service
        assert not numbered.leaves_for(service, "10.1.2.4", 443), service
        assert not numbered.leaves_for(service, INTERNET[0], 443), "nobody is called there"
    for other in ("vpn", "scheduler"):
        assert not named.calls(other, "shop", 8081), other
        assert not numbered.leaves_for(other, "10.1.2.3", 443), other


@pytest.mark.parametrize("owner", [each for owner in OWN.values() for each in owner])
def test_each_has_an_address_of_its_own(owner):
    network = Network(EVERYTHING, (f'{owner}.apiUrl="https://10.1.2.3:8443/v3"',))

    for service, owners in OWN.items():
        assert network.leaves_for(service, "10.1.2.3", 8443) == (owner in owners), service
    assert network.leaves_for("billing", INTERNET[0], 443), "the other provider's"


@pytest.mark.parametrize(
    "url",
    ["https://api.telegram.org:443", "https://API.Telegram.ORG/", "https://api.example.org/v3"],
)
def test_a_public_address_opens_no_private_network(url):
    network = provided(url)

    for service in OWN:
        assert network.leaves_for(service, INTERNET[0], 443)
        for address in NO_INTERNET:
            assert not network.leaves_for(service, address, 443), f"{service}: {address}"


def test_servers_of_ones_own_may_be_named_as_peers():
    peer = '[{"ipBlock": {"cidr": "10.1.2.3/32"}}]'
    named = (f"networkPolicy.{each}={peer}" for each in ("telegram", "payments"))
    network = provided("http://api.example.org:8443", *named)

    for service in OWN:
        assert network.leaves_for(service, "10.1.2.3", 8443)
        for address in ("10.1.2.4", *INTERNET):
            assert not network.leaves_for(service, address, 8443)
