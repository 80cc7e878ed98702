"""The plans that are sold and the nodes that are kept, as files: strict, with a reason."""

from pathlib import Path

import pytest

from chassis.errors import ConfigurationError
from vpn.adapters import files

CATALOGUE = Path(__file__).parents[4] / "catalogue"
NODE = """
[[nodes]]
name = "eu-1"
region = "eu"
url = "https://10.0.0.1:8443"
[nodes.link]
address = "eu-1.example.org"
port = 443
security = "reality"
sni = "example.org"
pbk = "key"
sid = "0123"
alpn = ["h2"]
"""


def nodes(tmp_path, text):
    path = tmp_path / "nodes.toml"
    path.write_text(text)
    return files.load_nodes(path, {"eu": "Europe"})


def test_the_shop_s_own_plans_are_right_and_named_in_every_language():
    sold = files.load_plans(CATALOGUE)

    assert {"vpn_trial", "vpn_30", "vpn_90", "vpn_365"} <= set(sold.plans)
    assert {language: set(named) for language, named in sold.titles.items()} == {
        language: {plan.id for plan in sold.plans.values() if plan.days}
        for language in ("en", "ru")
    }


def test_without_a_file_nothing_is_sold(tmp_path):
    assert files.load_plans(tmp_path).plans == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[plan]]", "plan: is not known"),
        ('[[plans]]\nid = "vpn_x"\nprice_credits = 1\nday = 3', r"plans\[0\].day: is not known"),
        ('[[plans]]\nid = "vpn_x"\nprice_credits = 1', "days"),
        ("plans = 3", "must be tables"),
        ("[titles.en]\nvpn_x = 'X'", "titles.en.vpn_x"),
        ("nonsense", "vpn.toml"),
    ],
)
def test_a_mistake_in_the_plans_is_refused_with_the_reason(tmp_path, text, reason):
    (tmp_path / "vpn.toml").write_text(text)

    with pytest.raises(ConfigurationError, match=reason):
        files.load_plans(tmp_path)


def test_a_node_is_read_with_what_apps_are_told(tmp_path):
    [node] = nodes(tmp_path, NODE)

    assert (node.driver, node.shown.pbk, node.shown.alpn) == ("agent", "key", ("h2",))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('region = "eu"', 'region = "us"', "us is none"),
        ("https://", "http://", "https"),
        ('pbk = "key"', "", "reality needs pbk"),
        ("port = 443", "port = 0", "a port"),
        ('sni = "example.org"', 'snj = "x"', "snj"),
        ("url =", 'driver = "telnet"\nurl =', "telnet is none"),
        ('name = "eu-1"', 'name = "EU 1"', "lower-case"),
        ("[nodes.link]", "colour = 1\n[nodes.link]", "colour: is not known"),
    ],
)
def test_a_mistake_in_the_nodes_is_refused_with_the_reason(tmp_path, old, new, reason):
    with pytest.raises(ConfigurationError, match=reason):
        nodes(tmp_path, NODE.replace(old, new))


def test_a_node_stands_once(tmp_path):
    with pytest.raises(ConfigurationError, match="twice"):
        nodes(tmp_path, NODE + NODE)
