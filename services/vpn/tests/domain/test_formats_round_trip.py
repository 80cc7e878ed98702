"""A link read back by another reader says what the node says."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.vpn import STATE_ACTIVE
from vpn.domain.formats.clients import Format
from vpn.domain.formats.entries import Entry
from vpn.domain.formats.render import render
from vpn.domain.formats.vless import link
from vpn.domain.links import VISION, LinkView, NodeLink, Shop

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = Shop(title="Shop", base_url="https://sub.example.com")
printable = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Cn", "Co")), max_size=24
)
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-./?&=#%+ яé:@[]", min_size=1, max_size=24)
addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.from_regex(r"[a-z0-9]{1,12}\.example\.net", fullmatch=True),
)


@st.composite
def nodes(draw: st.DrawFn) -> NodeLink:
    network = draw(st.sampled_from(["tcp", "ws", "grpc", "xhttp"]))
    security = draw(st.sampled_from(["none", "tls", "reality"]))
    secured = security != "none"
    by_path = network in ("ws", "xhttp")
    return NodeLink(
        name=draw(printable.filter(str.strip).map(str.strip)),
        region=draw(st.sampled_from(["nl", "DE", "", "eu-west"])),
        address=draw(addresses),
        port=draw(st.integers(1, 65_535)),
        network=network,
        security=security,
        flow=draw(st.sampled_from(["", VISION])) if secured and network == "tcp" else "",
        sni=draw(words) if secured else "",
        fp=draw(st.sampled_from(["", "chrome", "firefox"])) if secured else "",
        alpn=("h2", "http/1.1") if security == "tls" and draw(st.booleans()) else (),
        pbk=draw(words) if security == "reality" else "",
        sid=draw(st.sampled_from(["", "ab", "6ba85179e30d4fc2"])) if security == "reality" else "",
        spx=draw(st.sampled_from(["", "/", "/a?b=c&d=#e"])) if security == "reality" else "",
        path=draw(words) if by_path else "",
        host=draw(st.sampled_from(["", "front.example.net"])) if by_path else "",
        service_name=draw(words) if network == "grpc" else "",
        mode=draw(st.sampled_from(["gun", "multi"]) if network == "grpc" else st.just("auto"))
        if network in ("grpc", "xhttp")
        else "",
        authority=draw(st.sampled_from(["", "a.example.net:1"])) if network == "grpc" else "",
        extra='{"a":"b&c"}' if network == "xhttp" and draw(st.booleans()) else "",
    )


def read(text: str) -> tuple[NodeLink, UUID, str]:
    """A reader of vless links that shares nothing with their writer."""
    parts = urlsplit(text)
    assert parts.scheme == "vless"
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    fields = dict(pairs)
    assert len(fields) == len(pairs), "no field twice"
    assert fields.pop("encryption") == "none"
    assert parts.hostname is not None
    assert parts.port is not None
    renamed = {"type": "network", "serviceName": "service_name"}
    values = {renamed.get(name, name): value for name, value in fields.items()}
    alpn = tuple(values.pop("alpn", "").split(",")) if "alpn" in values else ()
    node = NodeLink(
        name="", region="", address=parts.hostname, port=parts.port, alpn=alpn, **values
    )
    return node, UUID(parts.username), unquote(parts.fragment)


@given(node=nodes(), key=st.uuids(version=4), remark=printable)
def test_a_link_read_back_is_the_node(node: NodeLink, key: UUID, remark: str):
    found, found_key, found_remark = read(link(Entry(remark, node, key)))

    assert not list(node.problems())
    assert (found_key, found_remark) == (key, remark)
    named = {name: getattr(node, name) for name in NodeLink.__slots__} | {"name": "", "region": ""}
    assert found == NodeLink(**named)


@given(node=nodes(), remark=printable)
def test_a_link_is_one_line_of_ascii(node: NodeLink, remark: str):
    text = link(Entry(remark, node, UUID(int=1)))

    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@given(listed=st.lists(nodes(), min_size=1, max_size=4))
def test_whole_configurations_name_the_same_servers(listed: list[NodeLink]):
    view = LinkView(
        state=STATE_ACTIVE,
        plan_title_key="",
        until=NOW + timedelta(days=1),
        key=UUID(int=5),
        nodes=tuple(listed),
    )

    xray = json.loads(render(Format.XRAY, view, SHOP, NOW).text)
    sing_box = json.loads(render(Format.SING_BOX, view, SHOP, NOW).text)

    servers = [each["outbounds"][0]["settings"]["vnext"][0] for each in xray]
    assert [(each["address"], each["port"]) for each in servers] == [
        (each.address, each.port) for each in listed
    ]
    usable = [each for each in listed if each.network != "xhttp"]
    given_ones = [each for each in sing_box["outbounds"] if each["type"] == "vless"]
    assert [each["server_port"] for each in given_ones] == [each.port for each in usable] or [1]


@given(listed=st.lists(nodes(), min_size=1, max_size=3))
def test_clash_reads_every_field_back(listed: list[NodeLink]):
    view = LinkView(
        state=STATE_ACTIVE,
        plan_title_key="",
        until=NOW + timedelta(days=1),
        key=UUID(int=5),
        nodes=tuple(listed),
    )

    proxies = yaml.safe_load(render(Format.CLASH_META, view, SHOP, NOW).text)["proxies"]

    for node, proxy in zip(listed, proxies, strict=True):
        reality = proxy.get("reality-opts", {})
        options = proxy.get(f"{node.network}-opts", {})
        host = options.get("host") or options.get("headers", {}).get("Host", "")
        assert node.name in proxy["name"]
        assert (proxy["server"], proxy["port"]) == (node.address, node.port)
        assert proxy.get("servername", "") == node.sni
        assert tuple(proxy.get("alpn", ())) == node.alpn
        assert (reality.get("public-key", ""), reality.get("short-id", "")) == (node.pbk, node.sid)
        assert options.get("grpc-service-name", "") == node.service_name
        if node.path:
            assert options["path"] == node.path
        assert host == node.host
