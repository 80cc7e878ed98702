"""What each app is given, byte for byte: golden files, edited only on purpose.

VITRINE_WRITE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

import base64
import dataclasses
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from contracts.vpn import STATE_ACTIVE, STATE_SUSPENDED
from vpn.adapters.memory_links import sample
from vpn.domain.formats.clients import Format, choose
from vpn.domain.formats.render import KNOWS, render
from vpn.domain.formats.words import WORDS
from vpn.domain.links import (
    NOTES,
    REASON_APP,
    REASON_EXPIRED,
    REASON_NO_NODES,
    REASON_SUSPENDED,
    REASON_TRAFFIC,
    REASONS,
    LinkView,
    Shop,
)

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNNING = sample(NOW + timedelta(days=12))
SHOP = Shop(title="Витрина, VPN", base_url="https://sub.example.com")
FILES = {
    Format.BASE64: "base64.txt",
    Format.LINKS: "links.txt",
    Format.CLASH_META: "clash-meta.yaml",
    Format.STASH: "stash.yaml",
    Format.CLASH: "clash.yaml",
    Format.SING_BOX: "sing-box.json",
    Format.XRAY: "xray.json",
}
STOPPED = {
    REASON_EXPIRED: dataclasses.replace(RUNNING, until=NOW),
    REASON_SUSPENDED: dataclasses.replace(RUNNING, state=STATE_SUSPENDED),
    REASON_TRAFFIC: dataclasses.replace(RUNNING, limit_bytes=33 * 1024**3),
    REASON_NO_NODES: dataclasses.replace(RUNNING, nodes=()),
}


def agents() -> list[tuple[str, Format, bool]]:
    lines = (GOLDEN / "user_agents.txt").read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            agent, kind, *rest = line.split("\t")
            found.append((agent, Format(kind), rest == ["xray"]))
    return found


def compare(name: str, text: str) -> None:
    path = GOLDEN / "links" / name
    if os.environ.get("VITRINE_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{name} is missing: VITRINE_WRITE_GOLDEN=1 writes it"
    assert text == path.read_text(encoding="utf-8")


def remarks(kind: Format, text: str) -> list[str]:
    """What an app would show as its list of servers."""
    if kind in (Format.CLASH, Format.CLASH_META, Format.STASH):
        return [each["name"] for each in yaml.safe_load(text)["proxies"]]
    if kind is Format.SING_BOX:
        outbounds = json.loads(text)["outbounds"]
        return [each["tag"] for each in outbounds if each["type"] == "vless"]
    if kind is Format.XRAY:
        return [each["remarks"] for each in json.loads(text)]
    plain = base64.b64decode(text).decode() if kind is Format.BASE64 else text
    return [unquote(line.split("#")[1]) for line in plain.splitlines()]


@pytest.mark.parametrize(("kind", "name"), FILES.items(), ids=FILES.values())
def test_a_format_is_as_it_was(kind: Format, name: str):
    compare(name, render(kind, RUNNING, SHOP, NOW).text)


@pytest.mark.parametrize(("kind", "name"), FILES.items(), ids=FILES.values())
def test_who_expired_is_told_so_as_before(kind: Format, name: str):
    view = dataclasses.replace(STOPPED[REASON_EXPIRED], language="ru")

    compare(f"expired-{name}", render(kind, view, SHOP, NOW).text)


@pytest.mark.parametrize(("agent", "kind", "xray"), agents())
def test_a_real_app_gets_its_format(agent: str, kind: Format, xray: bool):
    chosen = choose("", agent, "*/*", xray_json=xray)

    assert chosen is kind
    assert (GOLDEN / "links" / FILES[kind]).exists()


def test_an_app_that_takes_html_gets_its_format_all_the_same():
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"

    kinds = [choose("", agent, accept, xray_json=xray) for agent, _, xray in agents()]

    assert kinds == [kind for _, kind, _ in agents()]


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36",
        "TelegramBot (like TwitterBot)",
    ],
)
def test_a_browser_gets_the_page(agent: str):
    assert choose("", agent, "text/html,*/*", xray_json=True) is Format.PAGE


def test_the_path_outweighs_what_an_app_calls_itself():
    assert choose("sing-box", "v2rayN/7.0", "text/html", xray_json=True) is Format.SING_BOX
    assert choose("nothing", "v2rayN/7.0", "", xray_json=True) is None


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("reason", STOPPED)
@pytest.mark.parametrize("kind", FILES)
def test_every_app_is_told_why_nothing_passes(kind: Format, reason: str, language: str):
    view = dataclasses.replace(STOPPED[reason], language=language)

    text = render(kind, view, SHOP, NOW).text

    assert remarks(kind, text) == [WORDS[language][reason]]
    assert str(RUNNING.key) not in text


def test_every_reason_and_note_has_words_in_every_language():
    assert {*STOPPED, REASON_APP} == set(REASONS)
    assert set(WORDS["en"]) == {*REASONS, *NOTES}
    assert all(set(WORDS[each]) == set(WORDS["en"]) for each in WORDS)


@pytest.mark.parametrize("kind", [Format.CLASH, Format.STASH, Format.SING_BOX])
def test_an_app_that_can_use_no_node_is_told_so(kind: Format):
    only = tuple(each for each in RUNNING.nodes if each.network not in KNOWS[kind])
    view = dataclasses.replace(RUNNING, nodes=only)

    assert remarks(kind, render(kind, view, SHOP, NOW).text) == [WORDS["en"][REASON_APP]]


@pytest.mark.parametrize("kind", [each for each in FILES if KNOWS[each]])
def test_servers_have_names_of_their_own(kind: Format):
    names = ("Auto", "Twin", "Twin (2)", "Twin", "proxy", "Витрина VPN")
    nodes = tuple(dataclasses.replace(RUNNING.nodes[0], region="", name=name) for name in names)

    text = render(kind, dataclasses.replace(RUNNING, nodes=nodes), SHOP, NOW).text

    found = remarks(kind, text)
    assert len(set(found)) == len(names)
    assert not {"Auto", "proxy", "Витрина VPN"} & set(found)


def test_clash_rules_name_groups_that_exist():
    content = yaml.safe_load(render(Format.CLASH_META, RUNNING, SHOP, NOW).text)

    groups = {each["name"]: each["proxies"] for each in content["proxy-groups"]}
    names = {each["name"] for each in content["proxies"]}
    targets = {each.removesuffix(",no-resolve").rpartition(",")[2] for each in content["rules"]}
    assert targets == {"DIRECT", "Витрина VPN"}
    assert set().union(*groups.values()) <= names | set(groups)


@pytest.mark.parametrize("short_id", ["12", "1e10", "00", "123456e7"])
def test_clash_reads_a_short_id_as_text(short_id: str):
    node = dataclasses.replace(RUNNING.nodes[0], sid=short_id)

    text = render(Format.CLASH_META, dataclasses.replace(RUNNING, nodes=(node,)), SHOP, NOW).text

    assert f'"short-id": "{short_id}"' in text


def test_clash_reads_json_lines_as_yaml():
    node = dataclasses.replace(
        RUNNING.nodes[0], name="a: \"b\" #c 'd' \\e 🇳🇱 {[]}, & * !x", region=""
    )
    view = dataclasses.replace(RUNNING, nodes=(node,))

    text = render(Format.CLASH_META, view, SHOP, NOW).text

    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        [proxy] = yaml.load(text, loader)["proxies"]
        assert (proxy["name"], proxy["port"], proxy["tls"]) == (node.name, 443, True)


def test_sing_box_outbounds_name_each_other():
    content = json.loads(render(Format.SING_BOX, RUNNING, SHOP, NOW).text)

    tags = [each["tag"] for each in content["outbounds"]]
    named = {tag for each in content["outbounds"] for tag in each.get("outbounds", ())}
    assert len(tags) == len(set(tags))
    assert named <= set(tags)
    assert content["route"]["final"] in tags
    assert content["route"]["default_domain_resolver"] in [
        each["tag"] for each in content["dns"]["servers"]
    ]


def test_flow_is_said_only_where_it_can_be():
    ws = dataclasses.replace(RUNNING.nodes[3], flow="xtls-rprx-vision")
    view: LinkView = dataclasses.replace(RUNNING, nodes=(ws,), state=STATE_ACTIVE)

    assert all("vision" not in render(kind, view, SHOP, NOW).text for kind in FILES)
