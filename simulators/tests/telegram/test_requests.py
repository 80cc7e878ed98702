"""Tokens, encodings and the shape of errors."""

import json

import aiohttp
import pytest

USER = 77


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_wrong_token_is_401(sim, http):
    async with http.get(f"{sim.url}/bot999:wrong/getMe") as response:
        body = await response.json()

    assert (response.status, body["description"]) == (401, "Unauthorized")


async def test_a_path_without_a_token_is_404(sim, http):
    async with http.get(f"{sim.url}/botnonsense/getMe") as response:
        assert response.status == 404


@pytest.mark.parametrize("encoding", ["query", "form", "json", "multipart"])
async def test_all_four_encodings_and_any_case_reach_the_method(sim, control, http, encoding):
    await control.say(USER, "hi")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    values = {"chat_id": USER, "text": "hello", "reply_markup": markup}
    flat = {**values, "chat_id": str(USER), "reply_markup": json.dumps(markup)}
    multipart = aiohttp.FormData(flat, default_to_multipart=True)
    options = {
        "query": {"params": flat},
        "form": {"data": flat},
        "json": {"json": values},
        "multipart": {"data": multipart},
    }[encoding]

    async with http.post(f"{sim.url}/bot{sim.token}/SENDmessage", **options) as response:
        body = await response.json()

    assert body["ok"], body
    assert body["result"]["reply_markup"] == markup
    [message] = [m for m in await control.messages(USER) if m["from"] == "bot"]
    assert message["buttons"] == markup["inline_keyboard"]


async def test_the_server_listens_on_loopback_only(sim):
    assert sim.url.startswith("http://127.0.0.1:")


async def test_health_answers(sim, http):
    async with http.get(f"{sim.url}/health") as response:
        assert response.status == 200
