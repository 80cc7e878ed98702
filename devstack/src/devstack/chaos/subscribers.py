"""People who buy VPN access, beside their orders: the trial first, then plans one after another."""

import asyncio
import time
from collections import Counter

import aiohttp

from devstack.chaos.people import ANSWER_SECONDS, ORDER_SECONDS_MAX, POLL_SECONDS, Person
from devstack.chat import Button, ChatError, Message

PLANS_PAGE = "m:1:vpn_plans"
PLAN_PREFIX = "va:1:"
PAY_PREFIX = "pw:1:"
TOP_UP_PREFIX = "t:1:"
TRIAL = "vpn_trial"
WANTED = (TRIAL, "vpn_30", "vpn_30")
ENDS = ("paid", "failed")


class Subscriber(Person):
    """Somebody with a mind for VPN, too."""

    async def buy_access(self) -> None:
        """Buy what is wanted; how each purchase ended is logged."""
        for plan in WANTED:
            try:
                self._log.access[await self._buy(plan)] += 1
            except (ChatError, aiohttp.ClientError) as error:
                self._log.given_up.append(f"{self.user_id}: {plan}: {error}")

    async def _buy(self, plan: str) -> str:
        after = await self._newest()
        before = self._ended()
        page = await self._step(
            lambda: self._chat.say("/vpn"),
            lambda m: m.button(PLAN_PREFIX) is not None or m.button(PLANS_PAGE) is not None,
            "what VPN access costs",
            after,
        )
        if page.button(PLAN_PREFIX) is None:
            page = await self._press(
                page, PLANS_PAGE, "", lambda m: m.button(PLAN_PREFIX) is not None, after
            )
        button = page.button(PLAN_PREFIX, plan)
        if button is None:
            return "not on offer"
        if plan != TRIAL:  # that one asks nothing more
            page = await self._press(page, PLAN_PREFIX, plan, _asks_for_credits, after)
            button = page.button(PAY_PREFIX)
        if button is None:
            return "too poor"
        return await self._until_answered(page, button, before)

    async def _until_answered(self, page: Message, button: Button, before: Counter[str]) -> str:
        """Tap, and again where nothing happens, until the shop has given it or said no."""
        deadline = time.monotonic() + ORDER_SECONDS_MAX
        tapped = 0.0
        while not (ended := self._ended() - before):
            if time.monotonic() > deadline:
                raise ChatError("access was neither given nor refused")
            if time.monotonic() - tapped > ANSWER_SECONDS / 3 and not self._stand("asked"):
                await self._chat.press(page, button)
                tapped = time.monotonic()
            await asyncio.sleep(POLL_SECONDS)
        return next(iter(ended))

    def _ended(self) -> Counter[str]:
        return Counter({state: self._stand(state) for state in ENDS})

    def _stand(self, state: str) -> int:
        return self._screens.access.get(self.user_id, Counter())[state]


def _asks_for_credits(message: Message) -> bool:
    return message.button(PAY_PREFIX) is not None or message.button(TOP_UP_PREFIX) is not None
