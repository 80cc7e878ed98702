"""What goes wrong, in turn and by chance: kills, restarts, refusals of Telegram."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import aiohttp

from devstack.stage import Stage

VICTIMS = ("gateway", "billing", "generator", "scheduler", "vpn", "nats", "postgres")
PAUSE_SECONDS = (1.5, 4.0)
COMFYUI_DOWN_SECONDS = 1.5


class Trouble:
    """Kills one thing after another until told to stop."""

    def __init__(self, stage: Stage, seed: int, comfyui: Sequence[str]) -> None:
        self._stage = stage
        self._chance = random.Random(seed)  # noqa: S311 (not a secret)
        self._comfyui = comfyui
        self.done: Counter[str] = Counter()
        self._moments: list[tuple[str, float]] = []
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        """Every round takes each victim once, in an order of its own."""
        while not self.stopped.is_set():
            order = [*VICTIMS, "comfyui", "telegram 429", "telegram 500"]
            self._chance.shuffle(order)
            for name in order:
                if await self._pause():
                    return
                await self._strike(name)

    def moments_of(self, *names: str) -> list[float]:
        """Return when these were struck, by Unix time; without names, when anything was."""
        return [moment for name, moment in self._moments if not names or name in names]

    async def _pause(self) -> bool:
        try:
            async with asyncio.timeout(self._chance.uniform(*PAUSE_SECONDS)):
                await self.stopped.wait()
        except TimeoutError:
            return False
        return True

    async def _strike(self, name: str) -> None:
        self._moments.append((name, time.time()))
        if name == "comfyui":
            server = self._chance.choice(self._comfyui)
            await self._post(f"{server}/control/restart", {"down_seconds": COMFYUI_DOWN_SECONDS})
        elif name == "telegram 429":
            await self._stage.faults({"method": "*", "kind": "429", "retry_after": 1, "times": 2})
        elif name == "telegram 500":
            await self._stage.faults({"method": "*", "kind": "500", "times": 5})
        elif not self._stage.kill(name, index=self._chance.randrange(2)):
            return
        self.done[name] += 1

    async def _post(self, url: str, body: dict[str, float]) -> None:
        try:
            async with self._stage.session.post(url, json=body) as answer:
                answer.raise_for_status()
        except aiohttp.ClientConnectionError:
            return  # it is down already
