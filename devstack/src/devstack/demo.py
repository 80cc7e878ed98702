"""`make demo`: one full order from the terminal, and the trace it left."""

import asyncio
import base64
import io
import random
import re
import time
from typing import Any
from uuid import UUID

import aiohttp
from asyncpg import PostgresError
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from contracts.ids import OrderId
from devstack import urls
from devstack.chat import Button, Chat, ChatError, Message
from devstack.order_trouble import OrderTroubleError, Watch
from devstack.settings import Lock, Settings
from devstack.waterfall import waterfall

WORKFLOW_ID = "image.product_scene"
# Callback data of the gateway's buttons (gateway/domain/callbacks.py).
WORKFLOW_PREFIX = "w:1:"
CONFIRM_PREFIX = "c:1:"
RESULT_KINDS = frozenset({"photo", "video", "document", "animation"})

START_TIMEOUT_SECONDS = 30.0
RESULT_TIMEOUT_SECONDS = 180.0
# Exporters hand over each second; a trace that has not grown for longer than that is complete.
TRACE_TIMEOUT_SECONDS = 20.0
TRACE_SETTLED_SECONDS = 2.5
TRACE_POLL_SECONDS = 0.5

_PERCENT = re.compile(r"(\d{1,3}) ?%")


def main(settings: Settings) -> int:
    console = Console()
    if Lock(settings.state_dir).holder() is None:
        console.print("Vitrine does not run here: start it with [bold]make up[/bold] first.")
        return 1
    try:
        known = urls.read(settings.state_dir)
    except FileNotFoundError:
        console.print("Vitrine is still starting: try again in a moment.")
        return 1
    if not known["telegram_control"]:
        console.print(f"A real bot is connected: send it a photo yourself, at {known['chat']}.")
        return 1
    try:
        asyncio.run(_order(console, known))
    except (ChatError, OrderTroubleError, aiohttp.ClientError, OSError, PostgresError) as error:
        console.print(f"[red]The order did not get through:[/red] {error}")
        return 1
    return 0


async def _order(console: Console, known: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session:
        # A new person each time, so that the trial credits are there.
        user_id = random.randint(2_000_000_000, 4_000_000_000)  # noqa: S311 (not a secret)
        chat = Chat(session, known["telegram_control"], user_id)
        watch = Watch(session, known, user_id)
        await watch.check_first()
        result, button, seconds = await _unless_trouble(console, chat, watch)
        console.print(f"[bold green]Delivered after {seconds:.1f} s:[/bold green] {result.text}")
        console.print(f"The {result.media_kind}: {result.media_url}", soft_wrap=True)
        order_id = unpack_order_id(button.data)
        trace_id, spans = await trace_of(session, known["traces"], order_id)
        console.print(f"\nOrder {order_id}, trace [bold]{trace_id}[/bold]", soft_wrap=True)
        console.print(f"In the browser: {known['traces']}/#{trace_id}\n", soft_wrap=True)
        console.print(waterfall(trace_id, spans, console.width))


async def _unless_trouble(
    console: Console, chat: Chat, watch: Watch
) -> tuple[Message, Button, float]:
    """Order and wait for the result, as long as there can be one."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch.run())
            confirm_message, button = await _reach_the_price(console, chat)
            pressed = time.monotonic()
            await chat.press(confirm_message, button)
            result = await _watch(chat, confirm_message)
            watching.cancel()
    except ExceptionGroup as failed:
        error = failed.exceptions[0]
        if isinstance(error, OrderTroubleError) and (said := await chat.messages()):
            newest = max(said, key=lambda message: message.id)
            console.print(f"[bold]Bot:[/bold] {newest.text}")
        raise error from None
    return result, button, time.monotonic() - pressed


async def _reach_the_price(console: Console, chat: Chat) -> tuple[Message, Button]:
    """Everything before money is at stake; returns the screen that asks, and its button."""
    console.print("[bold]You:[/bold] /start")
    await chat.say("/start")
    welcome = await chat.wait_for(
        lambda message: bool(message.text), "welcome", timeout_seconds=START_TIMEOUT_SECONDS
    )
    console.print(f"[bold]Bot:[/bold] {welcome.text}")
    console.print("[bold]You:[/bold] a photo")
    await chat.send_photo(product_photo())
    offer = await chat.wait_for(
        lambda message: message.button(WORKFLOW_PREFIX, WORKFLOW_ID) is not None,
        "choice of workflows",
        after=welcome.id,
    )
    choice = offer.button(WORKFLOW_PREFIX, WORKFLOW_ID)
    assert choice is not None
    console.print(f"[bold]Bot:[/bold] {offer.text}\n[bold]You:[/bold] \\[{choice.text}]")
    await chat.press(offer, choice)
    price = await chat.wait_for(
        lambda message: message.button(CONFIRM_PREFIX) is not None, "price", after=welcome.id
    )
    confirm = price.button(CONFIRM_PREFIX)
    assert confirm is not None
    console.print(f"[bold]Bot:[/bold] {price.text}\n[bold]You:[/bold] \\[{confirm.text}]")
    return price, confirm


async def _watch(chat: Chat, confirmed: Message) -> Message:
    """Follow the status message until the result arrives; ChatError when none does."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("ordered", total=100)

        def show(messages: list[Message]) -> None:
            for message in messages:
                if message.id == confirmed.id and message.text:
                    headline = message.text.split("\n", 1)[0]
                    percent = _PERCENT.search(message.text)
                    done = int(percent[1]) if percent else None
                    progress.update(task, description=headline, completed=done)

        result = await chat.wait_for(
            lambda message: message.media_kind in RESULT_KINDS,
            "result",
            after=confirmed.id - 1,
            timeout_seconds=RESULT_TIMEOUT_SECONDS,
            watch=show,
        )
        progress.update(task, completed=100)
    return result


async def trace_of(
    session: aiohttp.ClientSession, traces_url: str, order_id: OrderId
) -> tuple[str, list[dict[str, Any]]]:
    """The order's biggest trace, once it has stopped growing."""
    deadline = time.monotonic() + TRACE_TIMEOUT_SECONDS
    seen, seen_at = 0, time.monotonic()
    while True:
        async with session.get(
            f"{traces_url}/api/traces", params={"order_id": str(order_id)}
        ) as answer:
            found = (await answer.json())["traces"]
        best = max(found, key=lambda trace: len(trace["services"]), default=None)
        spans = best["spans"] if best else 0
        if spans != seen:
            seen, seen_at = spans, time.monotonic()
        settled = time.monotonic() - seen_at > TRACE_SETTLED_SECONDS
        if best and (settled or time.monotonic() > deadline):
            async with session.get(f"{traces_url}/api/traces/{best['trace_id']}") as answer:
                return best["trace_id"], (await answer.json())["spans"]
        if time.monotonic() > deadline:
            raise ChatError(f"order {order_id} is delivered, but the collector has no trace of it")
        await asyncio.sleep(TRACE_POLL_SECONDS)


def unpack_order_id(data: str) -> OrderId:
    """The order id behind a confirm button."""
    packed = data.removeprefix(CONFIRM_PREFIX)
    return OrderId(UUID(bytes=base64.urlsafe_b64decode(f"{packed}==")))


def product_photo() -> bytes:
    """A drawn bottle on a table: every demo needs a product."""
    photo = Image.new("RGB", (1024, 1024), (214, 208, 196))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((0, 760, 1024, 1024), fill=(168, 142, 112))
    draw.ellipse((340, 820, 700, 880), fill=(132, 110, 86))
    draw.rounded_rectangle((390, 360, 640, 850), radius=48, fill=(38, 92, 84))
    draw.rectangle((465, 210, 565, 370), fill=(38, 92, 84))
    draw.rounded_rectangle((452, 170, 578, 230), radius=12, fill=(196, 160, 84))
    draw.rectangle((390, 520, 640, 720), fill=(240, 234, 220))
    draw.line((420, 400, 420, 500), fill=(120, 176, 164), width=10)
    output = io.BytesIO()
    photo.save(output, "JPEG", quality=90)
    return output.getvalue()
