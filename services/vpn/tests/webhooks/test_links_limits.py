"""Who asks too often, guesses, stays silent or is odd; and a database that does not answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from chassis import http_edge
from chassis.errors import TransientError
from chassis.rates import Rate
from vpn import webhooks
from vpn.adapters.memory_links import MemoryLinks, sample
from vpn.domain.links import LinkView

TOKEN = "Zx9_aB-3" * 4
OTHER = "Qw8_eR-5" * 4
RUNNING = sample(datetime.now(UTC) + timedelta(days=12))


async def test_a_link_may_be_asked_for_so_often_by_everybody_together(build):
    stand = await build(token=Rate(per_second=0.01, burst=3), trusted="X-Real-IP")

    answers = [await stand.ask(X_Real_IP=f"192.0.2.{number}") for number in range(4)]

    assert [status for status, _, _ in answers] == [200, 200, 200, 429]
    assert 90 <= int(answers[-1][1]["Retry-After"]) <= 100
    assert (await stand.ask(f"/sub/{OTHER}", X_Real_IP="192.0.2.9"))[0] == 200


async def test_an_address_may_ask_so_often_for_anything(build):
    stand = await build(address=Rate(per_second=0.01, burst=3))

    paths = (f"/sub/{TOKEN}", "/", f"/sub/{OTHER}", "/", f"/sub/{TOKEN}", f"/sub/{OTHER}")
    statuses = [(await stand.ask(path))[0] for path in (*paths, "/", "/")]

    # Links that there are, and everything else, are counted apart.
    assert statuses == [200, 404, 200, 404, 200, 429, 404, 429]


async def test_other_methods_are_counted_like_everything_that_is_no_link(build):
    stand = await build(address=Rate(per_second=0.01, burst=2))

    statuses = [(await stand.ask(method="DELETE"))[0] for _ in range(3)]

    assert statuses == [405, 405, 429]


async def test_who_guesses_links_is_stopped_before_the_database(build):
    stand = await build(
        unknown=Rate(per_second=0.01, burst=3), suspicious=Rate(per_second=0.01, burst=5)
    )
    assert (await stand.ask())[0] == 200

    statuses = [(await stand.ask(f"/sub/{'x' * 30}{number:02}"))[0] for number in range(20)]

    assert statuses == [404] * 3 + [429] * 5 + [503] * 12
    assert stand.links.asked == 1 + 3 + 5
    assert (await stand.ask())[0] == 200, "a neighbour's known link goes on working"


async def test_a_link_never_opened_is_served_to_a_neighbour_of_who_guesses(build):
    stand = await build(unknown=Rate(per_second=0.01, burst=3))
    for number in range(60):
        await stand.ask(f"/sub/{'x' * 30}{number:02}")

    assert (await stand.ask(f"/sub/{OTHER}"))[0] == 200


async def test_the_same_wrong_link_is_looked_up_once(build):
    stand = await build(unknown=Rate(per_second=0.01, burst=3))

    statuses = [(await stand.ask(f"/sub/{'x' * 32}"))[0] for _ in range(6)]

    assert statuses == [404] * 3 + [429] * 3
    assert stand.links.asked == 1


async def test_a_replaced_link_counts_as_a_guess(build):
    stand = await build(unknown=Rate(per_second=0.01, burst=2))
    await stand.ask()
    stand.links.rotate(TOKEN, "New_token" * 3)

    statuses = [(await stand.ask())[0] for _ in range(4)]

    assert statuses == [404, 404, 429, 429]


async def test_what_cannot_be_a_link_is_not_looked_up(stand):
    for path in ("/sub/short", f"/sub/{'x' * 65}", f"/sub/{'x' * 31}.", f"/sub/{TOKEN}/nothing"):
        assert (await stand.ask(path))[0] == 404

    assert stand.links.asked == 0


async def test_an_address_from_a_header_counts_only_if_trusted(build):
    stand = await build(address=Rate(per_second=0.01, burst=2))

    statuses = [(await stand.ask(X_Forwarded_For=f"192.0.2.{each}"))[0] for each in range(3)]

    assert statuses == [200, 200, 429]


async def test_of_a_trusted_header_the_last_address_counts(build):
    stand = await build(address=Rate(per_second=0.01, burst=2), trusted="X-Forwarded-For")

    async def asked_by(*addresses: str) -> list[int]:
        return [(await stand.ask(X_Forwarded_For=each))[0] for each in addresses]

    forged = await asked_by("1.1.1.1, 192.0.2.1", "2.2.2.2,192.0.2.1", "3.3.3.3, 192.0.2.1")
    one_household = await asked_by("2001:db8::1", "2001:db8::2:1", "2001:db8:0:0:ffff::")
    another = await asked_by("2001:db8:0:1::1")

    assert forged == one_household == [200, 200, 429]
    assert another == [200]


async def test_addresses_are_remembered_in_bounded_memory(build):
    stand = await build(trusted="X-Real-IP", keys_max=5)

    for number in range(20):
        await stand.ask(f"/sub/{'x' * 30}{number:02}", X_Real_IP=f"192.0.2.{number}")

    assert len(stand.server._absent) == len(stand.server._unknown) == 5
    assert len(stand.server._tokens) == 0


class BrokenLinks(MemoryLinks):
    async def by_token(self, token: str) -> LinkView | None:
        raise TransientError(f"no database for {token}")


class SlowLinks(MemoryLinks):
    async def by_token(self, token: str) -> LinkView | None:  # noqa: ARG002 - the port's
        await asyncio.sleep(60)
        return None


@pytest.mark.parametrize("links", [BrokenLinks(), SlowLinks()])
async def test_what_cannot_be_looked_up_now_is_not_called_gone(
    stand,
    links: MemoryLinks,
    monkeypatch: pytest.MonkeyPatch,
):
    # Where a process's log goes, its first test has decided: it is overheard instead.
    told: list[str] = []
    overheard = SimpleNamespace(warning=lambda event, **fields: told.append(f"{event} {fields}"))
    monkeypatch.setattr(webhooks, "log", overheard)
    monkeypatch.setattr(webhooks, "LOOKUP_SECONDS_MAX", 0.05)
    stand.server._links = links

    status, headers, text = await stand.ask()

    assert (status, text) == (503, "")
    assert headers["Retry-After"]
    (said,) = told
    assert "link_not_looked_up" in said
    assert TOKEN not in said
    assert "127.0.0.1" not in said


async def test_more_than_can_be_served_at_once_are_sent_away(build):
    stand = await build(requests_max=1)
    waiting = asyncio.Event()
    go_on = asyncio.Event()

    class HeldLinks(MemoryLinks):
        async def by_token(self, token: str) -> LinkView | None:  # noqa: ARG002 - the port's
            waiting.set()
            await go_on.wait()
            return RUNNING

    stand.server._links = HeldLinks()
    first = asyncio.get_running_loop().create_task(stand.ask())
    await waiting.wait()

    status, headers, _ = await stand.ask()
    go_on.set()

    assert (status, headers["Retry-After"]) == (503, "2")
    assert (await first)[0] == 200
    assert (await stand.ask())[0] == 200


async def test_a_request_that_never_ends_is_cut(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_edge, "READ_SECONDS_MAX", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")

    async with asyncio.timeout(5):
        try:
            said = await reader.read()
        except ConnectionError:
            said = b""
    assert said == b""

    writer.close()
    assert not stand.server.edge.silent


async def test_a_connection_is_kept_for_more_requests(stand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_edge, "READ_SECONDS_MAX", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.server.port)
    for pause in (0.0, 0.3):
        await asyncio.sleep(pause)  # longer than a silent connection would live
        writer.write(f"HEAD /sub/{TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await reader.readuntil(b"\r\n\r\n")

    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET /sub/{} HTTP/1.1", 'If-None-Match: "', 200),
        ("GET /sub/{} HTTP/1.1", "If-None-Match: W/, *, ,", 200),
        ("GET /sub/{} HTTP/1.1", "User-Agent: \xff\xfe\x80", 200),
        ("GET /sub/{}/html HTTP/1.1", "Accept-Language: ;q=,ru;q=nan,\xff", 200),
        ("GET /sub/{}?x=%ff%00 HTTP/1.1", "Accept: \xff", 200),
        ("GET http://elsewhere/sub/{} HTTP/1.1", "X-Forwarded-For: ::::", 200),
        ("GET /sub/{}%2fhtml HTTP/1.1", "X: y", 404),
        ("GET //sub/{} HTTP/1.1", "X: y", 404),
        ("GET /sub/{}/ HTTP/1.1", "X: y", 200),
        ("OPTIONS * HTTP/1.1", "X: y", 404),
        ("DELETE /sub/{} HTTP/1.1", "Content-Length: 999999999", 405),
    ],
)
async def test_odd_requests_are_answered_calmly(
    build, request_line: str, headers: str, status: int, capfd: pytest.CaptureFixture[str]
):
    stand = await build(trusted="X-Forwarded-For")
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.server.port)
    text = f"{request_line.format(TOKEN)}\r\nHost: a\r\n{headers}\r\n\r\n"

    writer.write(text.encode("latin-1"))
    said = await reader.readline()

    writer.close()
    assert said.split()[1] == str(status).encode()
    assert TOKEN not in "".join(capfd.readouterr())


async def test_headers_too_long_are_refused(stand):
    status, _, _ = await stand.ask(X_Long="x" * 20_000)

    assert status == 400
