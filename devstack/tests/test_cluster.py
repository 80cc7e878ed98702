"""How tests/cluster talk to kubectl and helm, with stand-ins for those two programs."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack import cluster as clusters
from devstack.cluster import Cluster, ClusterError
from devstack.kubernetes_tools import Tools

Program = Callable[[str], Cluster]


@pytest.fixture
def with_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A cluster whose kubectl is this Python program; `words` are what it was called with."""

    def made(program: str) -> Cluster:
        head = "#!/usr/bin/env python3\nimport json, pathlib, sys, time\nwords = sys.argv[1:]\n"
        for name in ("kubectl", "helm"):
            (tmp_path / name).write_text(head + program)
            (tmp_path / name).chmod(0o755)
            monkeypatch.setenv(name.upper(), str(tmp_path / name))
        return Cluster("ns", Tools(tmp_path / "helm", tmp_path / "kubectl"), ("--set", "a=b"))

    return made


def served(major: str, minor: str) -> str:
    version = json.dumps({"serverVersion": {"major": major, "minor": minor}})
    return f"print({version!r} if words[0] == 'version' else 'yes')"


@pytest.mark.parametrize("minor", ["30", "36", "33+"])
async def test_a_cluster_that_will_do_is_taken(with_kubectl: Program, minor: str) -> None:
    with_kubectl(served("1", minor))

    found = await clusters.connected("ns", ("--set", "x=y"))

    assert (found.namespace, found.values) == ("ns", ("--set", "x=y"))


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (served("1", "29"), "older than"),
        ("print('{}')", "does not answer"),
        ("print('no route to host'); sys.exit(1)", "no route to host"),
        (
            served("1", "33") + "\nif words[0] != 'version': print('no')",
            "may not create namespaces",
        ),
    ],
)
async def test_a_cluster_that_will_not_do_is_told(
    with_kubectl: Program, program: str, why: str
) -> None:
    with_kubectl(program)

    with pytest.raises(ClusterError, match=why):
        await clusters.connected("ns", ())


async def test_a_failed_command_says_what_it_wrote(with_kubectl: Program) -> None:
    cluster = with_kubectl("print('pods are forbidden', file=sys.stderr); sys.exit(3)")

    with pytest.raises(ClusterError, match="ended with 3:\npods are forbidden"):
        await cluster.pods()
    assert "forbidden" in await cluster.kubectl("get", "pods", check=False)


async def test_a_failed_upgrade_shows_what_somebody_would_look_at(with_kubectl: Program) -> None:
    cluster = with_kubectl(
        "if 'upgrade' in words: print('timed out', *words); sys.exit(1)\nprint('seen:', *words)"
    )

    with pytest.raises(ClusterError) as caught:
        await cluster.upgrade("--set", "c=d")

    told = str(caught.value)
    assert "--set a=b --set c=d --namespace ns" in told
    assert "seen: --namespace ns get pods" in told


async def test_an_upgrade_takes_back_what_a_scaler_has_written(with_kubectl: Program) -> None:
    cluster = with_kubectl("print(*words)")

    assert "--force-conflicts" in (await cluster.upgrade()).split()


async def test_pods_on_their_way_out_are_not_counted(with_kubectl: Program) -> None:
    pods = [
        {"metadata": {"name": "stays"}},
        {"metadata": {"name": "goes", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ]
    cluster = with_kubectl(f"print(json.dumps({{'items': {pods!r}}}))")

    assert await cluster.names_of_pods() == {"stays"}


async def test_a_program_goes_in_by_standard_input(with_kubectl: Program) -> None:
    cluster = with_kubectl("print(*words)\nprint(sys.stdin.read())")

    said = await cluster.python("deployment/a", "print(1)")

    assert said.split("\n")[:2] == [
        "--namespace ns exec --quiet --stdin deployment/a -- python -",
        "print(1)",
    ]


async def test_rows_come_apart_and_the_password_is_on_no_command_line(
    with_kubectl: Program,
) -> None:
    cluster = with_kubectl("assert 'vitrine-dev' not in str(words)\nprint('a|b')\nprint('c|d')")

    assert await cluster.rows("SELECT 1") == [["a", "b"], ["c", "d"]]


async def test_a_forwarded_port_is_open_as_long_as_it_is_used(with_kubectl: Program) -> None:
    cluster = with_kubectl(
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "print(f'Forwarding from 127.0.0.1:{server.getsockname()[1]} -> 8081', flush=True)\n"
        "time.sleep(60)"
    )

    async with cluster.forward("service/a", 8081) as port:
        socket.create_connection(("127.0.0.1", port), 5).close()

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)


async def test_a_forward_that_fails_is_told(with_kubectl: Program) -> None:
    cluster = with_kubectl("sys.exit(1)")

    with pytest.raises(ClusterError, match="no port forward to service/a:8081"):
        async with cluster.forward("service/a", 8081):
            pass


async def test_it_waits_until_every_pod_is_there_and_new(
    with_kubectl: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "POLL_SECONDS", 0.01)
    asked = tmp_path / "asked"
    steps = [{}, {"readyReplicas": 2, "updatedReplicas": 1}, {"readyReplicas": 1}]
    steps.append({"readyReplicas": 2, "updatedReplicas": 2})
    cluster = with_kubectl(
        f"if 'deployments' not in words: sys.exit()\nasked = pathlib.Path({str(asked)!r})\n"
        "number = len(asked.read_text()) if asked.exists() else 0\n"
        "asked.write_text('x' * (number + 1))\n"
        f"status = {steps!r}[number]\n"
        "print(json.dumps({'items': [{'status': status, 'spec': {'replicas': 2}}]}))"
    )

    await cluster.settled()

    assert len(asked.read_text()) == len(steps)
