"""Whom a request is counted for, and whose word is taken for it."""

import pytest

from chassis.callers import PRIVATE, Caller, Proxies, networks

CLUSTER = Proxies("X-Forwarded-For", networks(PRIVATE))


def named(peer, *lines, proxies=CLUSTER):
    return proxies.caller(peer, lines).address


def test_without_a_proxy_the_peer_is_the_client():
    assert named("198.51.100.7", "1.1.1.1", proxies=Proxies()) == "198.51.100.7"
    assert named("10.0.0.7", "1.1.1.1", proxies=Proxies()) == "10.0.0.7"


def test_a_header_from_outside_is_not_believed():
    assert named("198.51.100.7", "1.1.1.1") == "198.51.100.7"


def test_what_the_client_wrote_itself_is_not_believed():
    assert named("10.0.0.7", "1.1.1.1, 198.51.100.7") == "198.51.100.7"
    assert named("10.0.0.7", "1.1.1.1", "198.51.100.7") == "198.51.100.7"


def test_proxies_in_a_row_are_looked_through():
    assert named("10.0.0.7", "1.1.1.1, 198.51.100.7, 192.168.3.4") == "198.51.100.7"
    assert named("10.0.0.7", "10.2.3.4") == "10.2.3.4", "a client of the cluster itself"


@pytest.mark.parametrize("junk", ["", ",", "unknown", "::::", "198.51.100.7:80", "é", "a" * 9_000])
def test_what_is_no_address_is_whoever_handed_it_to_us(junk):
    assert named("10.0.0.7", junk) == "10.0.0.7"
    assert named("10.0.0.7", f"1.1.1.1, {junk}, 192.168.3.4") == "192.168.3.4"


def test_a_household_of_ipv6_is_one_caller():
    one, other = (CLUSTER.caller("::1", [each]) for each in ("2001:db8::1", "2001:db8::2:1"))

    assert one == Caller("2001:db8::1", "2001:db8::/64")
    assert one.key == other.key
    assert CLUSTER.caller("::1", ["2001:db8:0:1::1"]).key != one.key


def test_an_ipv4_address_is_the_same_in_ipv6_dress():
    assert CLUSTER.caller("::ffff:10.0.0.7", ["::ffff:198.51.100.7"]) == Caller(
        "198.51.100.7", "198.51.100.7"
    )


def test_a_peer_without_an_address_is_counted_by_what_it_is_called():
    assert CLUSTER.caller("", ["1.1.1.1"]) == Caller("", "")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "somewhere", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        networks(text)
