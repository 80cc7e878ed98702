"""From `make up` to the first answered /start: on an empty state folder, and on the same again.

The commands are those of `make up`, without what make itself does (an installed environment is
only looked at). A start is over when a person who just wrote has the bot's answer in the chat.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.harness import Figure, machine
from devstack.stage import running_platform
from devstack.testing import scratch_folder

USER_ID = 8_200_000
START_TIMEOUT_SECONDS = 60.0


async def measure() -> Figure:
    figure = Figure(
        "make up -> first answered /start", "second start <= 15 s (aim 10), on the same state"
    )
    figure.values |= machine()
    with scratch_folder() as folder:
        state = folder / "state"
        for key, how in (("first", "first start, empty state folder"), ("second", "second start")):
            ready, answered = await _start(state, USER_ID + len(figure.rows))
            figure.add(f"{how}: every service ready", ready, "s", key=f"{key}_ready_s")
            figure.add(f"{how}: /start answered", answered, "s", key=f"{key}_answered_s")
    return figure


async def _start(state: Path, user_id: int) -> tuple[float, float]:
    """Start, write as a new person, stop; return the seconds until ready and until answered."""
    began = time.monotonic()
    async with running_platform(folder=state) as stage:
        ready = time.monotonic() - began
        chat = stage.chat(user_id)
        await chat.say("/start")
        await chat.wait_for(
            lambda message: bool(message.text), "welcome", timeout_seconds=START_TIMEOUT_SECONDS
        )
        return ready, time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(measure()).show()
