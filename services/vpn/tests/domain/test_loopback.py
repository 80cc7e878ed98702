"""A core's API asks nobody who they are: neither driver nor agent leaves the machine for it."""

import pytest
from pydantic import ValidationError

from vpn.agent.settings import AgentSettings
from vpn.ports.registry import NodeConfig

HERE = ["127.0.0.1:10085", "127.8.9.1:1", "localhost:10085", "[::1]:10085"]
ELSEWHERE = [
    "203.0.113.7:10085",
    "10.0.0.5:10085",
    "0.0.0.0:10085",
    "[::]:10085",
    "[2001:db8::1]:10085",
    "core.example.org:10085",
    "localhost.example.org:10085",
    "127.0.0.1",
    "127.0.0.1:",
    "dns:///203.0.113.7:10085",
]
LINK = {"address": "vpn.example.org", "port": 443}


def problems(url: str) -> list[str]:
    config = NodeConfig(name="eu-1", region="eu", driver="xray_grpc", url=url, link=LINK)
    return list(config.problems())


def agent_settings(address: str) -> AgentSettings:
    files = dict.fromkeys(("certificate", "key", "ca"), "none.pem")
    return AgentSettings(node="eu-1", state_folder="state", core_api=address, **files)


@pytest.mark.parametrize("address", HERE)
def test_a_core_on_loopback_is_taken(address: str):
    assert problems(address) == []
    assert agent_settings(address).core_api == address


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_core_anywhere_else_is_refused(address: str):
    assert problems(address)
    with pytest.raises(ValidationError, match="a core"):
        agent_settings(address)


def test_an_agent_starts_its_own_core_unless_told_of_one():
    assert agent_settings("").core_api == ""
