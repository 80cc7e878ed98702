"""The agent's small parts: log lines, the kernel's table, counters, configurations."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from chassis.clock import SystemClock
from devstack.testing import wait_until
from vpn.adapters.core.client import Counters
from vpn.agent import journal, netlink, pki
from vpn.agent.access_log import AccessLog, Peers, parse
from vpn.agent.traffic import Traffic


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b"2026/11/22 05:46:06 127.0.0.1:54492 accepted tcp:127.0.0.1:20904 email: aa@x",
            ("aa@x", ("127.0.0.1", 54492)),
        ),
        (
            b"22 from tcp:[2001:db8::1]:443 accepted tcp:a.b:1 [in -> out] email: AA",
            ("aa", ("2001:db8::1", 443)),
        ),
        (
            b"2026/11/22 05:46:06 [::ffff:10.0.0.1]:5 accepted udp:a:1 email: b",
            ("b", ("10.0.0.1", 5)),
        ),
        (b"2026/11/22 05:46:06 127.0.0.1:54492 accepted tcp:127.0.0.1:20904", None),
        (b"2026/11/22 05:46:06 127.0.0.1:54492 rejected  proxy/vless email: aa@x", None),
        (b"2026/11/22 05:46:06 999.0.0.1:54492 accepted tcp:1 email: aa@x", None),
        (b"", None),
    ],
)
def test_a_log_line_says_email_and_peer_or_nothing(line, expected):
    assert parse(line) == expected


async def test_the_pipe_outlives_its_writers_and_joins_cut_lines(folder: Path):
    seen = []
    log = AccessLog(folder / "pipe", lambda email, peer: seen.append((email, peer)))
    log.open()

    for piece in (
        b"x 10.0.0.1:5 accepted tcp:a:1 em",
        b"ail: one\nx 10.0.0.2:6 acc",
        b"epted t email: two\n",
    ):
        writer = os.open(folder / "pipe", os.O_WRONLY)
        os.write(writer, piece)
        os.close(writer)

    await wait_until(lambda: len(seen) == 2, "two lines")
    log.close()
    assert seen == [("one", ("10.0.0.1", 5)), ("two", ("10.0.0.2", 6))]


def test_peers_are_bounded_and_forget_the_oldest():
    peers = Peers(per_email_max=2, emails_max=2)
    for port in (1, 2, 3):
        peers.add("a", ("10.0.0.1", port))
    peers.add("b", ("10.0.0.2", 1))
    peers.add("c", ("10.0.0.3", 1))

    assert peers.of("a") == set()
    assert set(peers.as_lists()) == {"b", "c"}
    peers.keep({("10.0.0.2", 1)})
    assert set(peers.as_lists()) == {"b"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_kernel_shows_connections_and_ends_just_the_named_one(host: str):
    if why := netlink.why_not_ending():
        pytest.skip(f"CONNECTIONS NOT CUT HERE: {why}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        address = server.getsockname()[:2]
        with socket.create_connection(address) as mine, socket.create_connection(address) as other:
            server.accept()[0].detach()
            server.accept()[0].detach()
            found = {one.peer: one for one in netlink.connections(address[1])}
            assert set(found) == {mine.getsockname()[:2], other.getsockname()[:2]}

            assert netlink.end(found[mine.getsockname()[:2]])

            mine.settimeout(2)
            with pytest.raises(ConnectionError):
                mine.recv(1)
            assert not netlink.end(found[mine.getsockname()[:2]])
            other.sendall(b"still here")


class Core:
    """What Traffic asks of a link."""

    def __init__(self, life: str, **counted: tuple[int, int]) -> None:
        self.life = life
        self.counted = counted
        self.client = SimpleNamespace(traffic=self._traffic)

    async def _traffic(self):
        return {email: Counters(*pair) for email, pair in self.counted.items()}


async def totals(folder: Path, *links) -> dict[str, tuple[int, int]]:
    traffic = Traffic(folder, SystemClock())
    traffic.load()
    for link in links:
        await traffic.refresh(link, {"a", "b"})
    return {one.email: (one.up_bytes, one.down_bytes) for one in traffic.page("").users}


async def test_counters_go_on_over_lives_of_the_core_and_of_the_agent(folder: Path):
    assert await totals(folder, Core("1", a=(5, 10))) == {"a": (5, 10)}
    assert await totals(folder, Core("1", a=(6, 12))) == {"a": (6, 12)}
    assert await totals(folder, Core("2", a=(100, 1), b=(1, 1))) == {"a": (106, 13), "b": (1, 1)}
    assert await totals(folder, Core("2", a=(3, 0)), None) == {"a": (109, 13), "b": (1, 1)}


async def test_counters_of_an_odd_core_neither_fall_nor_count_twice(folder: Path):
    assert await totals(folder, Core("1", a=(5, 10)), Core("1", a=(-7, -9))) == {"a": (5, 10)}
    assert await totals(folder, Core("1", a=(0, 2)), Core("1", a=(0, 2))) == {"a": (5, 12)}
    assert await totals(folder, Core("1", a=(0, 3)), Core("1"), Core("1", a=(1, 3))) == {
        "a": (6, 13)
    }
    assert await totals(folder, Core("2", a=(1, 3)), None, Core("2", a=(1, 3))) == {"a": (7, 16)}


async def test_an_epoch_lasts_as_long_as_its_counters(folder: Path):
    async def epoch() -> str:
        traffic = Traffic(folder, SystemClock())
        traffic.load()
        await traffic.refresh(None, ())
        return traffic.page("").epoch

    first = await epoch()
    assert first
    await totals(folder, Core("1", a=(5, 10)))
    assert await epoch() == first
    whole = (folder / "traffic").read_bytes()

    (folder / "traffic").write_bytes(whole[:-1])
    damaged = await epoch()
    assert damaged not in ("", first)
    (folder / "traffic").unlink()
    assert await epoch() not in ("", first, damaged)
    (folder / "traffic").write_bytes(whole)
    assert await epoch() == first
    old = msgspec.msgpack.encode({"life": "1", "rows": {"a": [1, 2, 3, 4, 5.0]}})
    journal.replace(folder / "traffic", journal.framed(old))
    given = await epoch()
    assert given not in ("", first)
    assert await epoch() == given


async def test_counters_are_paged_in_order(folder: Path, monkeypatch):
    monkeypatch.setattr("vpn.agent.traffic.TRAFFIC_PAGE", 2)
    traffic = Traffic(folder, SystemClock())
    await traffic.refresh(Core("1", a=(1, 1), c=(3, 3), b=(2, 2)), {"a", "b", "c"})

    first = traffic.page("")
    second = traffic.page(first.next)

    assert [one.email for one in first.users] == ["a", "b"]
    assert ([one.email for one in second.users], second.next) == (["c"], "")


async def test_damaged_counters_are_set_aside_and_said(folder: Path):
    await totals(folder, Core("1", a=(5, 10)))
    (folder / "traffic").write_bytes(b"\x00")

    traffic = Traffic(folder, SystemClock())
    traffic.load()

    assert traffic.damage
    assert (folder / "traffic.damaged").exists()


async def test_a_missing_core_is_said_and_settings_are_checked():
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vpn.agent",
        env={"PATH": os.environ["PATH"], "VPN_AGENT_NODE": "Not A Name"},
        stderr=asyncio.subprocess.PIPE,
    )
    said = (await agent.communicate())[1].decode()

    assert agent.returncode == 78
    assert "settings: node:" in said
    assert "settings: state_folder: Field required" in said


async def test_the_command_line_makes_certificates(folder: Path):
    where = ["--folder", str(folder / "pki")]
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpn.agent", "pki", *where, "init"
    )
    assert await first.wait() == 0
    assert pki.main([*where, "node", "edge-1", "--address", "10.0.0.1"]) == 0
    assert pki.main([*where, "control", "--days", "1"]) == 0

    assert {path.name for path in (folder / "pki").iterdir()} == {
        "authority.crt",
        "authority.key",
        "ca.crt",
        "edge-1.crt",
        "edge-1.key",
        "control.crt",
        "control.key",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder / "pki").iterdir())
