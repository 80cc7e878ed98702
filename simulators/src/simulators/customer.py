"""One real order through the simulated chat: `python -m simulators.customer`, as `helm test` does.

Tries again with a new person until its patience ends: right after an installation a name may not
resolve yet, and a service may still be waiting for another.
"""

import argparse
import asyncio
import io
import random
import sys
import time

import aiohttp
from PIL import Image, ImageDraw

from simulators.telegram.testing import ControlClient, Json

# Callback data of the gateway's buttons (gateway/domain/callbacks.py).
WORKFLOW_PREFIX = "w:1:"
CONFIRM_PREFIX = "c:1:"
RESULT_KINDS = frozenset({"photo", "video", "document", "animation"})
STEP_SECONDS = 20.0
PAUSE_SECONDS = 2.0


async def buy(chat: ControlClient, workflow: str, result_seconds: float) -> Json:
    """A new person gets trial credits, orders and waits; returns the message with the result."""
    person = random.randint(2_000_000_000, 4_000_000_000)
    await chat.say(person, "/start")
    welcome = await chat.wait_message(person, timeout=STEP_SECONDS)
    await chat.send_file(person, photo(), name="product.jpg", mime="image/jpeg")
    offer = await chat.wait_message(
        person,
        lambda message: data_of(message, WORKFLOW_PREFIX, workflow) != "",
        after=welcome["message_id"],
        timeout=STEP_SECONDS,
    )
    await chat.press(person, offer["message_id"], data_of(offer, WORKFLOW_PREFIX, workflow))
    price = await chat.wait_message(
        person,
        lambda message: data_of(message, CONFIRM_PREFIX) != "",
        after=welcome["message_id"],
        timeout=STEP_SECONDS,
    )
    await chat.press(person, price["message_id"], data_of(price, CONFIRM_PREFIX))
    return await chat.wait_message(
        person,
        lambda message: (message.get("media") or {}).get("kind") in RESULT_KINDS,
        after=price["message_id"] - 1,
        timeout=result_seconds,
    )


async def insist(url: str, workflow: str, patience_seconds: float) -> int:
    """Buy until it works; the exit code says whether it did in time."""
    deadline = time.monotonic() + patience_seconds
    async with ControlClient(url) as chat:
        while True:
            began = time.monotonic()
            try:
                result = await buy(chat, workflow, max(deadline - began, STEP_SECONDS))
            except (AssertionError, aiohttp.ClientError, TimeoutError) as error:
                left = deadline - time.monotonic()
                say(f"no order yet ({left:.0f} s left): {type(error).__name__}: {error}")
                if left <= 0:
                    return 1
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                took = time.monotonic() - began
                say(f"ordered {workflow}, delivered after {took:.1f} s: {result['caption']}")
                return 0


def data_of(message: Json, prefix: str, containing: str = "") -> str:
    """The data of the first such button; empty without one."""
    for row in message.get("buttons") or []:
        for button in row:
            data = str(button.get("callback_data", ""))
            if data.startswith(prefix) and containing in data:
                return data
    return ""


def photo() -> bytes:
    """A drawn bottle on a table."""
    drawn = Image.new("RGB", (1024, 1024), (214, 208, 196))
    draw = ImageDraw.Draw(drawn)
    draw.rectangle((0, 760, 1024, 1024), fill=(168, 142, 112))
    draw.rounded_rectangle((390, 360, 640, 850), radius=48, fill=(38, 92, 84))
    draw.rectangle((465, 210, 565, 370), fill=(38, 92, 84))
    output = io.BytesIO()
    drawn.save(output, "JPEG", quality=90)
    return output.getvalue()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="simulators.customer", description=__doc__)
    parser.add_argument("--telegram", required=True, help="base URL of the Telegram simulator")
    parser.add_argument("--workflow", default="image.product_scene")
    parser.add_argument("--patience", type=float, default=180.0, help="seconds for all tries")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(insist(given.telegram, given.workflow, given.patience)))


if __name__ == "__main__":
    main()
