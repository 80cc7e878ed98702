"""What a pod of ours may do, tried from inside it."""

import json

import pytest

from devstack import pod_programs
from devstack.cluster import RELEASE, SERVICES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")
GATEWAY = f"deployment/{RELEASE}-gateway"
BILLING = f"deployment/{RELEASE}-billing"
NATS = f"tls://{RELEASE}-nats:4222"
NATS_HOST = f"{RELEASE}-nats"
PRIVILEGED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "privileged"},
    "spec": {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]},
}


async def test_a_privileged_pod_is_refused_in_our_namespace(shop: Cluster) -> None:
    """The control: without it the next test would show nothing about the cluster."""
    said = await shop.kubectl(
        *("apply", "--dry-run=server", "--filename", "-"),
        stdin=json.dumps(PRIVILEGED),
        check=False,
    )

    assert "violates PodSecurity" in said


@pytest.mark.parametrize("service", SERVICES)
async def test_a_pod_has_no_rights_no_token_and_nothing_to_write(
    shop: Cluster, service: str
) -> None:
    found = json.loads(await shop.python(await shop.pod_of(service), pod_programs.SELF))

    assert found == {
        "uid": 10001,
        "capabilities": "0000000000000000",
        "no_new_privileges": "1",
        "seccomp": "2",
        "token": False,
        "writable": [],
        "tmp": True,
    }


async def test_nats_lets_nobody_in_without_a_certificate(shop: Cluster) -> None:
    said = await shop.python(BILLING, pod_programs.without_certificate(NATS_HOST))

    assert said.split() == ["refused"]


@pytest.mark.parametrize(
    ("subject", "fate"),
    [
        ("gateway.wake.0", "allowed"),
        ("billing.evt.order_completed.v1", "refused"),
        ("generator.evt.job_succeeded.v1", "refused"),
        ("jobs.image.regular", "refused"),
        ("$JS.API.STREAM.DELETE.EVENTS", "refused"),
    ],
)
async def test_a_service_publishes_its_own_subjects_alone(
    shop: Cluster, subject: str, fate: str
) -> None:
    program = pod_programs.publish_as("gateway", NATS, subject)

    said = await shop.python(GATEWAY, program)

    assert said.split()[-1] == fate


async def test_a_service_reads_no_other_services_tables(shop: Cluster) -> None:
    program = (
        "import asyncio, asyncpg, os\n"
        "async def main():\n"
        "    login = open(os.environ['VPN_DATABASE_URL_FILE']).read().strip()\n"
        "    connection = await asyncpg.connect(login)\n"
        "    print(await connection.fetchval('SELECT count(*) FROM vpn.subscriptions') >= 0)\n"
        "    try:\n"
        "        await connection.fetchval('SELECT count(*) FROM billing.transfers')\n"
        "    except asyncpg.InsufficientPrivilegeError:\n"
        "        print('refused')\n"
        "asyncio.run(main())\n"
    )

    said = await shop.python(f"deployment/{RELEASE}-vpn", program)

    assert said.split() == ["True", "refused"]


async def test_no_pod_may_ask_the_api_server(shop: Cluster) -> None:
    account = f"system:serviceaccount:{shop.namespace}:{RELEASE}-billing"

    said = await shop.kubectl("auth", "can-i", "get", "secrets", "--as", account, check=False)

    if "cannot impersonate" in said:
        pytest.skip("who KUBECONFIG says we are may not impersonate")
    assert said.split()[-1:] == ["no"], said
