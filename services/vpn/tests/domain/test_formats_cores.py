"""Configurations are accepted by the programs they are for, where these can be had."""

import dataclasses
import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devstack.ports import free_port
from devstack.programs import needed
from devstack.sing_box import MISSING as SING_BOX_MISSING
from devstack.sing_box import find_sing_box
from devstack.v2ray import MISSING as V2RAY_MISSING
from devstack.v2ray import find_v2ray
from vpn.adapters.memory_links import sample
from vpn.domain.formats.clients import Format
from vpn.domain.formats.render import render
from vpn.domain.links import LinkView, NodeLink, Shop

BUILT_WITHOUT = "rebuild with -tags with_utls"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNNING = sample(NOW + timedelta(days=12))
SHOP = Shop(title="Shop", base_url="https://sub.example.com")
OLD_CORE_KNOWS = {("tcp", "none"), ("tcp", "tls"), ("ws", "none"), ("ws", "tls")}
"""Debian's v2ray 4.34 has neither Vision nor Reality, gRPC or XHTTP."""


@pytest.fixture(scope="session")
def v2ray() -> str:
    return needed(find_v2ray(), V2RAY_MISSING)


@pytest.fixture(scope="session")
def sing_box() -> str:
    return needed(find_sing_box(), SING_BOX_MISSING)


def known_to_an_old_core() -> LinkView:
    nodes = tuple(
        dataclasses.replace(each, flow="")
        for each in RUNNING.nodes
        if (each.network, each.security) in OLD_CORE_KNOWS
    )
    assert {(each.network, each.security) for each in nodes} == OLD_CORE_KNOWS
    return dataclasses.replace(RUNNING, nodes=nodes)


def accepted(command: list[str]) -> tuple[bool, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("view", [known_to_an_old_core(), dataclasses.replace(RUNNING, until=NOW)])
def test_v2ray_accepts_every_configuration(v2ray: str, view: LinkView, tmp_path: Path):
    configurations = json.loads(render(Format.XRAY, view, SHOP, NOW).text)

    for number, each in enumerate(configurations):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(each))
        fine, said = accepted([v2ray, "-test", "-config", str(path)])
        assert fine, said


def test_v2ray_would_refuse_a_wrong_one(v2ray: str, tmp_path: Path):
    [first, *_] = json.loads(render(Format.XRAY, known_to_an_old_core(), SHOP, NOW).text)
    first["outbounds"][0]["settings"]["vnext"][0]["users"][0]["encryption"] = "nonsense"
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(first))

    fine, _ = accepted([v2ray, "-test", "-config", str(path)])

    assert not fine


@contextmanager
def running(v2ray: str, path: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen([v2ray, "-config", str(path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, "v2ray ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *said: object) -> None:
        """Nothing to say."""


@pytest.mark.parametrize("network", ["tcp", "ws"])
def test_traffic_passes_with_a_configuration_as_it_is_sent(
    v2ray: str, network: str, tmp_path: Path
):
    node_port, proxy_port = free_port(), free_port()
    node = NodeLink(
        name="n",
        region="",
        address="127.0.0.1",
        port=node_port,
        network=network,
        path="/way" if network == "ws" else "",
    )
    [client] = json.loads(
        render(Format.XRAY, dataclasses.replace(RUNNING, nodes=(node,)), SHOP, NOW).text
    )
    client["inbounds"] = [{**each, "port": proxy_port} for each in client["inbounds"][1:]]
    stream = {"network": network, "wsSettings": {"path": node.path}}
    inbound = {
        "listen": "127.0.0.1",
        "port": node_port,
        "protocol": "vless",
        "settings": {"clients": [{"id": str(RUNNING.key)}], "decryption": "none"},
        "streamSettings": stream,
    }
    server = {"inbounds": [inbound], "outbounds": [{"protocol": "freedom"}]}
    (tmp_path / "client.json").write_text(json.dumps(client))
    (tmp_path / "server.json").write_text(json.dumps(server))
    target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=target.serve_forever, daemon=True).start()

    def fetch() -> bytes:
        # By name, for addresses at home are reached past the node.
        connection = http.client.HTTPConnection("127.0.0.1", proxy_port, timeout=5)
        connection.request("GET", f"http://localhost:{target.server_port}/")
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else b""

    with running(v2ray, tmp_path / "client.json", proxy_port):
        with running(v2ray, tmp_path / "server.json", node_port):
            through = fetch()
        without = fetch()
    target.shutdown()
    target.server_close()

    assert through == b"hello"
    assert without == b"", "it went through the node"


def checked(sing_box: str, path: Path, config: object) -> tuple[bool, str]:
    path.write_text(json.dumps(config))
    return accepted([sing_box, "check", "-c", str(path)])


@pytest.mark.parametrize("view", [RUNNING, dataclasses.replace(RUNNING, until=NOW)])
def test_sing_box_accepts_the_configuration(sing_box: str, view: LinkView, tmp_path: Path):
    config = json.loads(render(Format.SING_BOX, view, SHOP, NOW).text)
    path = tmp_path / "config.json"

    fine, said = checked(sing_box, path, config)
    # It reads everything, and only then says what it was built without.
    assert fine or said.rstrip().endswith(BUILT_WITHOUT), said
    for outbound in config["outbounds"]:
        for part in ("utls", "reality"):
            outbound.get("tls", {}).pop(part, None)
    fine, said = checked(sing_box, path, config)

    assert fine, said


@pytest.mark.parametrize("part", ["", "tls", "utls", "reality", "transport"])
def test_sing_box_would_refuse_what_it_does_not_know(sing_box: str, part: str, tmp_path: Path):
    config = json.loads(render(Format.SING_BOX, RUNNING, SHOP, NOW).text)

    def wrong(node: dict[str, object], wanted: str) -> bool:
        places = {"": node, "tls": node.get("tls"), "transport": node.get("transport")}
        places |= {name: (node.get("tls") or {}).get(name) for name in ("utls", "reality")}
        if places[wanted] is None:
            return False
        places[wanted]["nonsense"] = 1
        return True

    assert any(wrong(each, part) for each in config["outbounds"] if each["type"] == "vless")
    fine, said = checked(sing_box, tmp_path / "wrong.json", config)

    assert not fine
    assert "nonsense" in said
