"""What the core is told: the operator's configuration, completed, and what it refuses."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from vpn.adapters.core.client import CoreUser
from vpn.agent import core_config, own_addresses
from vpn.agent.core_config import BaseConfigError, Template
from vpn.agent.core_targets import BLOCKED_TAG, Limits

NO_LIMITS = Limits()
OPERATORS = {
    "inbounds": [
        {
            "tag": "people",
            "port": "443",
            "protocol": "vless",
            "settings": {"decryption": "none", "clients": [{"id": "x", "email": "operator"}]},
            "streamSettings": {"security": "reality"},
        }
    ],
    "outbounds": [{"protocol": "freedom"}],
    "routing": {"rules": [{"type": "field", "outboundTag": "block"}]},
    "log": {"access": "/var/log/everything"},
}


def template(kind: str, base: dict = OPERATORS, limits: Limits = NO_LIMITS) -> Template:
    return Template(base, kind=kind, tag="people", access_log=None, limits=limits)


def rendered(kind: str, base: dict = OPERATORS, limits: Limits = NO_LIMITS) -> dict:
    made = template(kind, base, limits)
    people = [CoreUser("a", uuid4(), "xtls-rprx-vision")]
    return msgspec.json.decode(made.render(people, range(4711, 4711 + made.ports)))


@pytest.mark.parametrize("kind", ["v2ray", "xray"])
def test_the_operators_configuration_is_kept_and_completed(kind: str):
    config = rendered(kind)

    people = config["inbounds"][0]
    assert [one["email"] for one in people["settings"]["clients"]] == ["operator", "a"]
    assert people["streamSettings"] == {"security": "reality"}
    assert config["routing"]["rules"][-1]["outboundTag"] == "block"
    refusing = [one for one in config["routing"]["rules"] if one.get("inboundTag") == ["people"]]
    assert config["routing"]["rules"][kind == "v2ray" :][:4] == refusing
    assert {one["outboundTag"] for one in refusing} == {BLOCKED_TAG}
    ports = "4711,4712" if kind == "v2ray" else "4711"
    assert [one.get("port") for one in refusing] == [ports, ports, None, None]
    assert config["log"]["access"] == "none"  # where people go is written nowhere
    assert config["policy"]["levels"]["0"]["statsUserUplink"]
    if kind == "xray":
        assert config["api"]["listen"] == "127.0.0.1:4711"
        assert len(config["inbounds"]) == 1
    else:
        ours = [(one["listen"], one["port"]) for one in config["inbounds"][1:]]
        assert sorted(ours) == [("127.0.0.1", 4711), ("127.0.0.1", 4712)]
    assert OPERATORS["routing"]["rules"][0]["outboundTag"] == "block"


def test_xray_dials_nothing_it_did_not_resolve_and_believes_only_public_answers():
    dns = {"servers": ["1.1.1.1", "fakedns", {"address": "10.0.0.53", "domains": ["a.b"]}]}
    config = rendered("xray", {**OPERATORS, "dns": dns}, Limits(own=("8.8.4.4",)))

    assert config["outbounds"][0]["settings"]["domainStrategy"] == "ForceIP"
    plain, fake, private = config["dns"]["servers"]
    assert (plain["address"], fake, private["domains"]) == ("1.1.1.1", "fakedns", ["a.b"])
    for address, believed in (("8.8.8.8", 1), ("8.8.4.4", 0), ("127.0.0.1", 0), ("::1", 0)):
        assert (
            within(address, plain["expectIPs"]) == believed == within(address, private["expectIPs"])
        )
    assert rendered("xray")["dns"]["servers"][0]["address"] == "localhost"


def test_every_way_out_of_v2ray_is_judged_once_more_and_stays_as_the_operator_made_it():
    ways = [
        {"protocol": "freedom", "tag": "near", "sendThrough": "192.0.2.7"},
        {"protocol": "socks", "tag": "far"},
        {"protocol": "freedom", "tag": "other", "settings": {"domainStrategy": "UseIPv4"}},
    ]
    asked = [{"type": "field", "ip": ["10.0.0.53"], "outboundTag": "other"}]
    base = {**OPERATORS, "outbounds": ways, "routing": {"rules": asked}}
    config = rendered("v2ray", base)
    out = {one["tag"]: one for one in config["outbounds"]}

    assert template("v2ray", base).ports == 3
    assert "proxySettings" not in out["far"]
    assert out["vitrine-last-0"]["sendThrough"] == "192.0.2.7"
    assert out["other"]["settings"]["domainStrategy"] == "UseIPv4"
    for number, tag in enumerate(("near", "other")):
        assert out[tag]["proxySettings"] == {"tag": f"vitrine-again-{number}"}
        [door] = [one for one in config["inbounds"] if one["tag"] == f"vitrine-again-{number}"]
        back = out[f"vitrine-again-{number}"]["settings"]["vnext"][0]
        assert (door["listen"], back["port"]) == ("127.0.0.1", door["port"])
    mine = [one for one in config["routing"]["rules"] if one.get("inboundTag") == ["vitrine-dns"]]
    assert [one["outboundTag"] for one in mine] == ["vitrine-last-1", "vitrine-last-0"]
    assert template("v2ray", base, Limits(allow_private=True)).ports == 1


@pytest.mark.parametrize("kind", ["v2ray", "xray"])
def test_the_nodes_own_addresses_are_refused_but_for_what_is_allowed(kind: str):
    limits = Limits(own=("8.8.4.4", "2001:4860::1"), allowed=("10.0.0.53/32", "2001:4860::/32"))
    [refused] = [
        one["ip"]
        for one in rendered(kind, limits=limits)["routing"]["rules"]
        if one.get("inboundTag") == ["people"] and "ip" in one and "port" not in one
    ]

    for address in ("8.8.4.4", "64:ff9b::808:404", "10.0.0.52", "10.0.0.54", "127.0.0.1", "::1"):
        assert within(address, refused), address
    for address in ("8.8.8.8", "10.0.0.53", "2001:4860::1"):
        assert not within(address, refused), address


def within(address: str, networks: list[str]) -> bool:
    return any(ip_address(address) in ip_network(one) for one in networks)


def test_the_machines_own_addresses_are_found(monkeypatch):
    monkeypatch.setattr(own_addresses, "PRIVATE", [])

    assert {"127.0.0.1"} <= set(own_addresses.public())


def test_the_fingerprint_changes_with_the_base_and_not_with_people():
    one = template("v2ray")
    other = template("v2ray", {**OPERATORS, "dns": {"queryStrategy": "UseIP"}})

    assert one.fingerprint("a") == template("v2ray").fingerprint("a") != one.fingerprint("b")
    assert one.fingerprint("a") != other.fingerprint("a")
    assert core_config.has_clients(OPERATORS, "people")
    assert core_config.inbound_port(OPERATORS, "people") == 443


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"inbounds":[{"tag":"people","protocol":"vmess"}]}',
        '{"inbounds":[{"tag":"people","protocol":"vless"}],"inbound":{"protocol":"socks"}}',
    ],
)
def test_a_configuration_without_our_inbound_is_refused(folder: Path, text: str):
    (folder / "base.json").write_text(text)

    with pytest.raises(BaseConfigError):
        core_config.read_base(folder / "base.json", "people")
