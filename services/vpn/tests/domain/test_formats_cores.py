"""Configurations are accepted by the programs they are for, where these can be had."""

import dataclasses
import http.client
import http.server
import json
import os
import shutil
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
from vpn.adapters.memory_links import sample
from vpn.domain.formats.clients import Format
from vpn.domain.formats.render import render
from vpn.domain.links import LinkView, NodeLink, Shop

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNNING = sample(NOW + timedelta(days=12))
SHOP = Shop(title="Shop", base_url="https://sub.example.com")
OLD_CORE_KNOWS = {("tcp", "none"), ("tcp", "tls"), ("ws", "none"), ("ws", "tls")}
"""Debian's v2ray 4.34 has neither Vision nor Reality, gRPC or XHTTP."""


def program(name: str) -> str:
    if (found := shutil.which(name)) is not None:
        return found
    reason = f"CONFIGURATIONS NOT CHECKED: {name} is not installed"
    if name == "v2ray" and os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


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
def test_v2ray_accepts_every_configuration(view: LinkView, tmp_path: Path):
    v2ray = program("v2ray")
    configurations = json.loads(render(Format.XRAY, view, SHOP, NOW).text)

    for number, each in enumerate(configurations):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(each))
        fine, said = accepted([v2ray, "-test", "-config", str(path)])
        assert fine, said


def test_v2ray_would_refuse_a_wrong_one(tmp_path: Path):
    v2ray = program("v2ray")
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
def test_traffic_passes_with_a_configuration_as_it_is_sent(network: str, tmp_path: Path):
    v2ray = program("v2ray")
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


@pytest.mark.parametrize("view", [RUNNING, dataclasses.replace(RUNNING, until=NOW)])
def test_sing_box_accepts_the_configuration(view: LinkView, tmp_path: Path):
    sing_box = program("sing-box")
    path = tmp_path / "config.json"
    path.write_text(render(Format.SING_BOX, view, SHOP, NOW).text)

    fine, said = accepted([sing_box, "check", "-c", str(path)])

    assert fine, said
