"""What tests/cluster runs inside pods finds what it says, tried here against real servers."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from devstack import pod_programs
from devstack.testing import SecuredNats, free_port, running_secured_nats


@pytest.fixture(scope="module")
def nats() -> Iterator[SecuredNats]:
    with running_secured_nats() as running:
        yield running


def folder_of(nats: SecuredNats, user: str) -> str:
    return nats.identity(user).tls_dir


def printed(program: str, *, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout.split("\n")[-2] if done.stdout else done.stderr


def test_a_process_tells_what_it_may() -> None:
    found = json.loads(printed(pod_programs.SELF))

    assert found["tmp"] is True
    assert found["token"] is False
    assert len(found["capabilities"]) == 16
    assert set(found["writable"]) <= {"/", "/app", "/opt/venv", "/etc/vitrine"}


def test_who_has_no_certificate_is_seen_to_be_refused(nats: SecuredNats) -> None:
    port = urlsplit(nats.server.url).port
    program = pod_programs.without_certificate("127.0.0.1", port, folder_of(nats, "billing"))

    assert printed(program) == "refused"


def test_a_server_without_tls_is_no_pass(nats_server) -> None:
    port = urlsplit(nats_server.url).port

    assert "speaks without TLS" in printed(
        pod_programs.without_certificate("127.0.0.1", port), code=1
    )


@pytest.mark.parametrize(
    ("subject", "fate"),
    [
        ("gateway.wake.0", "allowed"),
        ("billing.evt.order_completed.v1", "refused"),
        ("jobs.image.regular", "refused"),
        ("$JS.API.STREAM.DELETE.EVENTS", "refused"),
    ],
)
def test_what_a_user_may_publish_is_seen(nats: SecuredNats, subject: str, fate: str) -> None:
    program = pod_programs.publish_as(
        "gateway", nats.server.url, subject, folder_of(nats, "gateway")
    )

    assert printed(program) == fate


def test_a_port_is_reached_or_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = printed(pod_programs.reach("127.0.0.1", server.getsockname()[1]))
        assert pod_programs.was_reached(found)

    assert not pod_programs.was_reached(printed(pod_programs.reach("127.0.0.1", free_port())))


def test_what_is_no_finding_is_neither_reached_nor_cut() -> None:
    for said in ("", "error: unable to upgrade connection: pod not reached"):
        with pytest.raises(ValueError, match="no finding"):
            pod_programs.was_reached(said)


def test_a_name_nobody_has_is_no_port_that_was_cut() -> None:
    assert "gaierror" in printed(pod_programs.reach("nobody.invalid", 1), code=1)
