"""From the confirm tap to POST /prompt at ComfyUI, on an idle platform, one order at a time.

The tap's moment is the Telegram stand-in's `created_at`, the prompt's the ComfyUI stand-in's
`posted_at_ms`; both clocks are this machine's, and the difference between them is taken out.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any
from uuid import UUID

from bench.harness import Figure, machine, percentile
from bench.replies import TRACED
from devstack.chaos.people import CONFIRM_PREFIX, WORKFLOW_PREFIX, picture, unpack
from devstack.stage import Stage, running_platform

ORDERS = 25
WARM_ORDERS = 10
"""The first ones import, connect and prepare statements."""
USER_ID = 8_100_000
WORKFLOW = "image.enhance"


async def measure() -> Figure:
    figure = Figure("confirm tap -> POST /prompt", "p50 <= 30 ms, p99 <= 100 ms")
    figure.values |= machine()
    for tracing in (False, True):
        waits = await _round(tracing=tracing)
        how = ", traced, collector on the same cores" if tracing else ""
        end = "_traced" if tracing else ""
        figure.add(f"orders{how}", len(waits), "", key=f"orders{end}")
        figure.add(f"p50{how}", percentile(waits, 0.5), "ms", key=f"p50_ms{end}")
        figure.add(f"p99{how}", percentile(waits, 0.99), "ms", key=f"p99_ms{end}")
    return figure


async def _round(*, tracing: bool) -> list[float]:
    waits = []
    environment = {"VITRINE_LOG_FORMAT": "json"}
    if not tracing:
        environment |= {f"{name}_OTLP_ENDPOINT": "" for name in TRACED}
    async with running_platform(environment) as stage:
        await _json(stage, "post", f"{stage.urls['comfyui']}/control/time_scale", time_scale=0)
        for number in range(ORDERS + WARM_ORDERS):
            wait = await order_once(stage, USER_ID + number)
            if number >= WARM_ORDERS:
                waits.append(wait)
    return waits


async def order_once(stage: Stage, user_id: int) -> float:
    """Order as a new person, and return the milliseconds from the confirm tap to the POST."""
    chat = stage.chat(user_id)
    await chat.say("/start")
    await chat.wait_for(lambda message: "20" in message.text, "trial credits")
    await chat.send_photo(picture(random.Random(user_id)))
    offer = await chat.wait_for(
        lambda message: message.button(WORKFLOW_PREFIX, WORKFLOW) is not None, "workflows"
    )
    choice = offer.button(WORKFLOW_PREFIX, WORKFLOW)
    assert choice is not None
    await chat.press(offer, choice)
    price = await chat.wait_for(lambda message: message.button(CONFIRM_PREFIX) is not None, "price")
    confirm = price.button(CONFIRM_PREFIX)
    assert confirm is not None
    order_id = unpack(confirm.data, CONFIRM_PREFIX)
    await asyncio.sleep(1.2)  # a person reads; the download of the photo is over
    await chat.press(price, confirm)
    await chat.wait_for(lambda message: bool(message.media_kind), "result")
    tapped_at = await _tapped_at(stage)
    # One machine, two clocks: the tap is stamped by the monotonic one, the prompt by the wall's.
    offset = (time.time() - time.monotonic()) * 1_000
    return await _posted_at(stage, order_id) - (tapped_at + offset)


async def _tapped_at(stage: Stage) -> float:
    found = await _json(stage, "get", f"{stage.urls['telegram_control']}/updates")
    taps = [each for each in found["updates"] if each["kind"] == "callback_query"]
    return float(taps[-1]["created_at"])


async def _posted_at(stage: Stage, order_id: UUID) -> float:
    found = await _json(stage, "get", f"{stage.urls['comfyui']}/control/state")
    for prompt in reversed(found["prompts"]):
        if str(order_id) in str(prompt["extra_data"]):
            return float(prompt["posted_at_ms"])
    raise LookupError(f"ComfyUI never saw {order_id}")


async def _json(stage: Stage, verb: str, url: str, **body: object) -> Any:
    async with stage.session.request(verb, url, json=body or None) as answer:
        answer.raise_for_status()
        return await answer.json()


if __name__ == "__main__":
    asyncio.run(measure()).show()
