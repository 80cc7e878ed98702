"""From an update's departure to the arrival of the first Bot API call of its answer.

Webhook mode, 100 updates/s from 200 people for 15 s, while five downloads of 50 MB run (local Bot
API mode) and every Bot API answer takes 80 ms. Both moments are taken by the Telegram stand-in, on
one clock: when the update was made for delivery, and when a call for that chat came in.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from typing import Any

import aiohttp

from bench.harness import Figure, machine, percentile
from devstack.ports import free_port
from devstack.stage import Stage, running_platform

PEOPLE = 200
UPDATES_PER_SECOND = 100
SECONDS = 15
FIRST_USER_ID = 7_000_000
LATENCY_SECONDS = 0.08
BIG_FILES = 5
BIG_BYTES = 50_000_000
DOWNLOAD_SECONDS = 30.0
TRACED = ("GATEWAY", "BILLING", "GENERATOR", "SCHEDULER", "VPN")
TEXTS = ("/help", "/balance")


def environment(*, tracing: bool = False) -> dict[str, str]:
    port = free_port()
    return {
        "GATEWAY_MODE": "webhook",
        "GATEWAY_WEBHOOK_URL": f"http://127.0.0.1:{port}/telegram",
        "GATEWAY_WEBHOOK_PORT": str(port),
        "GATEWAY_WEBHOOK_SECRET": "bench-secret",
        "GATEWAY_TELEGRAM_LOCAL_MODE": "true",
        "GATEWAY_SENDS_PER_SECOND": "2000",
        "GATEWAY_CHAT_SENDS_PER_SECOND": "20",
        "VITRINE_LOG_FORMAT": "json",
        # The collector would run on the same two cores, which no installation does.
        **({} if tracing else {f"{name}_OTLP_ENDPOINT": "" for name in TRACED}),
    }


async def measure() -> Figure:
    figure = Figure(
        "update received -> first Bot API call of the answer", "p50 <= 15 ms, p99 <= 100 ms"
    )
    figure.values |= machine()
    for tracing in (False, True):
        await _round(figure, tracing=tracing)
    return figure


async def _round(figure: Figure, *, tracing: bool) -> None:
    async with running_platform(environment(tracing=tracing)) as stage:
        await _settings(stage, latency_seconds=0.0, local=1)
        for number in range(PEOPLE):
            await stage.chat(FIRST_USER_ID + number).say("/start")
        await asyncio.sleep(4)  # warm: everybody known, connections open
        await _settings(
            stage,
            latency_seconds=LATENCY_SECONDS,
            download_bytes_per_second=BIG_BYTES / DOWNLOAD_SECONDS,
        )
        await asyncio.gather(*(_send_big(stage, number) for number in range(BIG_FILES)))
        await asyncio.sleep(1)
        after = await _last_update(stage)
        await _load(stage)
        await asyncio.sleep(2)
        waits = await _waits(stage, after)
        running = await _downloads_running(stage)
    how = ", all traced, collector on the same cores" if tracing else ""
    end = "_traced" if tracing else ""
    sent = UPDATES_PER_SECOND * SECONDS
    figure.add(f"answered of {sent}{how}", len(waits), "", key=f"answered{end}")
    figure.add(f"p50{how}", percentile(waits, 0.5), "ms", key=f"p50_ms{end}")
    figure.add(f"p99{how}", percentile(waits, 0.99), "ms", key=f"p99_ms{end}")
    figure.add(f"downloads running at the end{how}", running, "", key=f"downloads{end}")


async def _settings(stage: Stage, **values: float) -> None:
    url = f"{stage.urls['telegram_control']}/settings"
    async with stage.session.post(url, json=values) as answer:
        answer.raise_for_status()


async def _send_big(stage: Stage, number: int) -> None:
    form = aiohttp.FormData()
    body = b"\xff\xd8\xff" + os.urandom(BIG_BYTES - 3)
    form.add_field("file", body, filename="big.jpg", content_type="image/jpeg")
    form.add_field("as_document", "true")
    user = FIRST_USER_ID + PEOPLE + number
    url = f"{stage.urls['telegram_control']}/users/{user}/photos"
    async with stage.session.post(url, data=form) as answer:
        answer.raise_for_status()


async def _load(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(UPDATES_PER_SECOND * SECONDS):
            await asyncio.sleep(max(0.0, began + number / UPDATES_PER_SECOND - loop.time()))
            person = stage.chat(FIRST_USER_ID + number % PEOPLE)
            group.create_task(person.say(TEXTS[number % len(TEXTS)]))


async def _json(stage: Stage, path: str) -> Any:
    async with stage.session.get(f"{stage.urls['telegram_control']}/{path}") as answer:
        answer.raise_for_status()
        return await answer.json()


async def _last_update(stage: Stage) -> int:
    found = await _json(stage, "updates")
    return max((int(each["update_id"]) for each in found["updates"]), default=0)


async def _waits(stage: Stage, after: int) -> list[float]:
    """Match each update with the first call for its chat that came after it."""
    updates = (await _json(stage, f"updates?after={after}"))["updates"]
    calls = (await _json(stage, "calls"))["calls"]
    by_chat: dict[int, list[float]] = defaultdict(list)
    for call in calls:
        if call["chat_id"] is not None and call["method"].lower().startswith("send"):
            by_chat[call["chat_id"]].append(call["received_at"])
    waits = []
    for update in sorted(updates, key=lambda each: each["created_at"]):
        arrivals = by_chat.get(_user_of(update), [])
        following = [moment for moment in arrivals if moment >= update["created_at"]]
        if following:
            waits.append(min(following) - update["created_at"])
            arrivals.remove(min(following))
    return waits


def _user_of(update: dict[str, Any]) -> int:
    return int(update["order_key"])


async def _downloads_running(stage: Stage) -> int:
    connection = await stage.connect()
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM gateway.media WHERE state = 'downloading'"
        )
    finally:
        await connection.close()
    return count


if __name__ == "__main__":
    asyncio.run(measure()).show()
