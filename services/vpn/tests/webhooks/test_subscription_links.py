"""The endpoint over real connections: formats, headers, caching, the page."""

import base64
import dataclasses
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID

import pytest
from multidict import CIMultiDictProxy

from contracts.vpn import STATE_GRACE
from vpn.adapters.memory_links import sample
from vpn.domain.formats.clients import Format
from vpn.domain.formats.render import render
from vpn.domain.formats.words import WORDS
from vpn.domain.links import NOTE_DEVICES, REASON_EXPIRED, REASON_TRAFFIC, Shop

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOKEN = "Zx9_aB-3" * 4
RUNNING = sample(NOW + timedelta(days=12))
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari/604.1"
SHOP = Shop(
    title="Витрина ✨",
    base_url="https://sub.example.com",
    support_url="https://t.me/example",
    announce="Новые серверы!",
)


async def test_an_app_gets_its_format_by_its_name(stand):
    status, headers, text = await stand.ask(User_Agent="mihomo/1.19.12")

    assert status == 200
    assert headers["Content-Type"] == "text/yaml; charset=utf-8"
    assert text == render(Format.CLASH_META, RUNNING, SHOP, NOW).text


@pytest.mark.parametrize("kind", [each for each in Format if each is not Format.PAGE])
async def test_the_path_names_a_format(stand, kind: Format):
    status, _, text = await stand.ask(f"/sub/{TOKEN}/{kind}", Accept="text/html")

    assert (status, text) == (200, render(kind, RUNNING, SHOP, NOW).text)


async def test_whole_xray_configurations_are_sent_only_if_switched_on(build):
    plain = await build()
    switched = await build(shop=dataclasses.replace(SHOP, xray_json=True))

    _, off, _ = await plain.ask(User_Agent="v2rayN/7.0")
    _, on, _ = await switched.ask(User_Agent="v2rayN/7.0")

    assert off["Content-Type"].startswith("text/plain")
    assert on["Content-Type"].startswith("application/json")


async def test_head_says_the_same_without_a_body(stand):
    _, got, text = await stand.ask()
    status, head, nothing = await stand.ask(method="HEAD")

    assert (status, nothing) == (200, "")
    assert head["Content-Length"] == str(len(text.encode()))
    assert {**head, "Date": ""} == {**got, "Date": ""}


async def test_headers_say_what_apps_show(stand):
    stand.change(refill_at=NOW + timedelta(days=3))

    _, headers, _ = await stand.ask(User_Agent="Happ/3.3.4", X_Hwid="device-1")

    assert headers["profile-title"] == encoded("Витрина ✨")
    assert headers["announce"] == encoded("Новые серверы!")
    assert headers["profile-update-interval"] == "12"
    assert headers["profile-web-page-url"] == f"https://sub.example.com/sub/{TOKEN}"
    assert headers["support-url"] == "https://t.me/example"
    assert headers["subscription-refill-date"] == str(int((NOW + timedelta(days=3)).timestamp()))
    assert headers["x-hwid-active"] == "true"
    assert "x-hwid-limit" not in headers
    assert userinfo(headers) == {
        "upload": RUNNING.upload_bytes,
        "download": RUNNING.download_bytes,
        "total": RUNNING.limit_bytes,
        "expire": int(RUNNING.until.timestamp()),
    }
    disposition = headers["content-disposition"]
    assert disposition.startswith('attachment; filename="vpn"; ')
    assert unquote(disposition.partition("filename*=UTF-8''")[2]) == "Витрина ✨"


async def test_nothing_keeps_or_indexes_a_link(stand):
    for accept in ("*/*", "text/html"):
        _, headers, _ = await stand.ask(Accept=accept, User_Agent=BROWSER)

        assert headers["Cache-Control"].startswith("private, no-")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Vary"] == "User-Agent, Accept, Accept-Language"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"until": NOW}, REASON_EXPIRED),
        ({"limit_bytes": RUNNING.used_bytes - 1}, REASON_TRAFFIC),
    ],
)
async def test_who_may_not_pass_is_told_why_and_gets_true_figures(
    stand, changes: dict[str, object], reason: str
):
    stand.change(language="ru", **changes)

    status, headers, text = await stand.ask(f"/sub/{TOKEN}/clash-meta")

    view = stand.links.kept[TOKEN]
    assert status == 200
    assert WORDS["ru"][reason] in text
    assert str(RUNNING.key) not in text
    assert headers["announce"] == encoded(WORDS["ru"][reason])
    assert userinfo(headers)["total"] == view.limit_bytes
    assert userinfo(headers)["expire"] == int(view.until.timestamp())


async def test_too_many_devices_are_told_and_cost_nobody_their_servers(stand):
    stand.change(devices_over=True, language="ru")

    _, headers, text = await stand.ask(f"/sub/{TOKEN}/links", X_Hwid="device-1")
    _, _, page = await stand.ask(
        "/sub/" + TOKEN + "?lang=ru", Accept="text/html", User_Agent=BROWSER
    )

    assert str(RUNNING.key) in text
    assert headers["announce"] == encoded(WORDS["ru"][NOTE_DEVICES])
    # Apps take any other of these headers for a refusal.
    assert [name for name in headers if name.startswith("x-hwid")] == ["x-hwid-active"]
    assert WORDS["ru"][NOTE_DEVICES] in page
    assert "Работает" in page


async def test_access_in_grace_works_and_says_so(stand):
    stand.change(state=STATE_GRACE, until=NOW, grace_until=NOW + timedelta(days=1))

    _, headers, text = await stand.ask(f"/sub/{TOKEN}/links")

    assert str(RUNNING.key) in text
    assert headers["announce"] == encoded(WORDS["en"]["grace"])


async def test_what_has_not_changed_is_not_sent_again(stand):
    _, first, _ = await stand.ask()

    etag = first["ETag"]
    status, headers, text = await stand.ask(If_None_Match=f'"other", {etag}')

    assert etag.startswith('W/"')
    assert (status, text) == (304, "")
    assert headers["ETag"] == etag
    assert headers["subscription-userinfo"] == first["subscription-userinfo"]


@pytest.mark.parametrize(
    "changes",
    [
        {"download_bytes": 1},
        {"until": NOW + timedelta(days=13)},
        {"key": UUID(int=9)},
        {"nodes": RUNNING.nodes[1:]},
        {"nodes": (dataclasses.replace(RUNNING.nodes[0], sid="ab"), *RUNNING.nodes[1:])},
        {"devices_over": True},
        {"support_url": "https://t.me/other"},
        {"refill_at": NOW},
    ],
)
async def test_the_tag_changes_with_all_that_can_be_seen(stand, changes: dict[str, object]):
    _, before, _ = await stand.ask()

    stand.change(**changes)
    status, after, _ = await stand.ask(If_None_Match=before["ETag"])

    assert status == 200
    assert after["ETag"] != before["ETag"]


async def test_the_tag_changes_when_time_ends_access(stand):
    _, before, _ = await stand.ask()

    stand.clock.advance(timedelta(days=12))
    status, _, _ = await stand.ask(If_None_Match=before["ETag"])

    assert status == 200


async def test_each_format_has_a_tag_of_its_own(stand):
    tags = [(await stand.ask(f"/sub/{TOKEN}/{kind}"))[1]["ETag"] for kind in ("links", "base64")]

    assert len(set(tags)) == 2


async def test_a_replaced_link_is_gone_at_once(stand):
    _, headers, _ = await stand.ask()

    stand.links.rotate(TOKEN, "New_token" * 3)

    assert (await stand.ask(If_None_Match=headers["ETag"]))[0] == 404
    assert (await stand.ask("/sub/" + "New_token" * 3))[0] == 200


async def test_whatever_is_wrong_is_answered_alike(stand):
    paths = (
        f"/sub/{'x' * 32}",
        f"/sub/{'x' * 32}/clash",
        "/sub/short",
        f"/sub/{TOKEN}/nothing",
        f"/sub/{TOKEN}/links/more",
        f"/sub/{TOKEN}%00",
        "/sub/..%2f..%2fetc",
        "/sub/",
        "/sub",
        "/",
        "/favicon.ico",
    )

    answers = [await stand.ask(path, Accept="text/html") for path in paths]

    alike = {
        (status, text, tuple(sorted({**said, "Date": ""}.items())))
        for status, said, text in answers
    }
    assert len(alike) == 1
    assert answers[0][0] == 404


async def test_only_reading_is_allowed(stand):
    status, headers, _ = await stand.ask(method="POST")

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


async def test_the_page_runs_only_its_own_script(stand):
    status, headers, text = await stand.ask(Accept="text/html,*/*", User_Agent=BROWSER)

    nonce = headers["Content-Security-Policy"].split("script-src 'nonce-")[1].split("'")[0]
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert text.count(f'nonce="{nonce}"') == 2
    assert nonce not in (await stand.ask(Accept="text/html"))[2]
    assert "content-disposition" not in headers
    assert "ETag" not in headers


async def test_the_page_speaks_the_browsers_language_unless_switched(stand):
    async def language(path: str = "", **headers: str) -> str:
        _, _, text = await stand.ask(f"/sub/{TOKEN}/html{path}", **headers)
        return text.split('<html lang="')[1][:2]

    assert await language(Accept_Language="ru-RU,ru;q=0.9,en;q=0.8") == "ru"
    assert await language(Accept_Language="de, ru;q=0.5, en;q=0.7") == "en"
    assert await language("?lang=en", Accept_Language="ru") == "en"
    assert await language(Accept_Language="de;q=x") == "en"
    stand.change(language="ru")
    assert await language() == "ru"


async def test_names_on_the_page_are_text(build):
    evil = "<script>alert(1)</script>\"'&"
    stand = await build(shop=dataclasses.replace(SHOP, title=evil, support_url="javascript:x()"))
    node = dataclasses.replace(RUNNING.nodes[0], name=evil)
    stand.change(nodes=(node,), plan_title_key=evil)

    _, _, text = await stand.ask(f"/sub/{TOKEN}/html?lang={evil}")

    assert "<script>alert" not in text
    assert "javascript:" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def encoded(text: str) -> str:
    return f"base64:{base64.b64encode(text.encode()).decode()}"


def userinfo(headers: CIMultiDictProxy[str]) -> dict[str, int]:
    pairs = (each.split("=") for each in headers["subscription-userinfo"].split("; "))
    return {name: int(value) for name, value in pairs}
