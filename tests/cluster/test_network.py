"""Who reaches whom, where the cluster's network enforces NetworkPolicies at all."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from devstack import pod_programs
from devstack.cluster import RELEASE, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")
LISTEN = "import socketserver as s; s.TCPServer(('', 8080), s.StreamRequestHandler).serve_forever()"
STRANGER = "stranger"
CONTROL = "control"
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": CONTROL},
    "spec": {"podSelector": {"matchLabels": {"app": CONTROL}}, "policyTypes": ["Ingress"]},
}


def pod(name: str, image: str, program: str) -> dict:
    """One of our images as somebody else's pod, within PodSecurity `restricted`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": ["python", "-c", program],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


async def reaches(cluster: Cluster, source: str, host: str, port: int) -> bool:
    return pod_programs.was_reached(await cluster.python(source, pod_programs.reach(host, port)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outside(shop: Cluster) -> AsyncIterator[Cluster]:
    """A namespace of somebody else's, on a network that is seen to enforce policies."""
    name = f"{shop.namespace}-outside"
    elsewhere = Cluster(name, shop.tools)
    simulators = await shop.get(f"deployment/{RELEASE}-simulators")
    image = simulators["spec"]["template"]["spec"]["containers"][0]["image"]
    made = [
        pod(STRANGER, image, "import time; time.sleep(3600)"),
        pod(CONTROL, image, LISTEN),
        pod("open", image, LISTEN),
        DENY,
    ]
    await elsewhere.kubectl("create", "namespace", name)
    try:
        for each in made:
            await elsewhere.kubectl("apply", "--filename", "-", stdin=json.dumps(each))
        await elsewhere.kubectl("wait", "--for=condition=Ready", "--timeout=180s", "pod", "--all")
        address = {
            each: (await elsewhere.get("pod", each))["status"]["podIP"]
            for each in (CONTROL, "open")
        }
        assert await reaches(elsewhere, f"pod/{STRANGER}", address["open"], 8080)
        if await reaches(elsewhere, f"pod/{STRANGER}", address[CONTROL], 8080):
            pytest.skip("this cluster's network does not enforce NetworkPolicies: nothing shown")
        yield elsewhere
    finally:
        await elsewhere.kubectl("delete", "namespace", name, "--wait=false", check=False)


@pytest.mark.parametrize(
    ("part", "port"), [("nats", 4222), ("nats", 8222), ("postgres", 5432), ("billing", 8081)]
)
async def test_a_stranger_reaches_nothing_of_ours(
    shop: Cluster, outside: Cluster, part: str, port: int
) -> None:
    host = f"{RELEASE}-{part}.{shop.namespace}.svc"

    assert not await reaches(outside, f"pod/{STRANGER}", host, port)


@pytest.mark.parametrize(
    ("service", "host", "port", "allowed"),
    [
        ("billing", "nats", 4222, True),
        ("billing", "postgres", 5432, True),
        ("generator-simulated", "nats", 4222, True),
        ("generator-simulated", "postgres", 5432, False),
        ("scheduler", "billing", 8081, False),
        ("billing", "nats", 8222, False),
    ],
)
async def test_a_service_reaches_what_it_needs_alone(
    shop: Cluster, outside: Cluster, service: str, host: str, port: int, *, allowed: bool
) -> None:
    source = f"deployment/{RELEASE}-{service}"

    assert await reaches(shop, source, f"{RELEASE}-{host}", port) is allowed


async def test_a_service_that_calls_nobody_outside_reaches_no_stranger(
    shop: Cluster, outside: Cluster
) -> None:
    address = (await outside.get("pod", "open"))["status"]["podIP"]

    assert not await reaches(shop, f"deployment/{RELEASE}-scheduler", address, 8080)
