"""One person who buys VPN access in the chat, in English, and their apps' subscription."""

import base64
import re
from datetime import UTC, datetime

from contracts.ids import SubscriptionId
from devstack.chat import Button, Chat, Message
from devstack.customer import Customer
from devstack.stage import Stage

# Callback data of the gateway's buttons (gateway/domain/access_buttons.py and others).
PLAN_PREFIX = "va:1:"
PAY_PREFIX = "pw:1:"
PLANS_PAGE = "m:1:vpn_plans"
OPTION_PREFIX = "vo:1:"
KEY_ASK, KEY_DO = "vk:1:ask", "vk:1:do"
RENEW, REMIND = "renew", "remind"
PAGE_TITLE = "🛡 VPN"
TRIAL_BEGUN = "Your trial runs until"
BOUGHT = "Your VPN works until"
TRAFFIC_ADDED = "The traffic is added"
RENEWED = "Your VPN is renewed until"
SHORT = "there are not enough credits to renew it"
IN_GRACE = "It still works until"
OFF = "Your VPN is switched off"
KEY_REPLACED = "Your key is replaced. The old one is refused by every server."
_LINK = re.compile(r"https?://\S+/sub/\S+")
MORNING, NOON, NIGHT = 10, 14, 2
_WEST_MOST = 12


def zone_where_it_is(hour: int) -> str:
    """A time zone in which it is so late now, the minutes apart."""
    ahead = (hour - datetime.now(UTC).hour + _WEST_MOST) % 24 - _WEST_MOST
    # POSIX counts westwards.
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


class VpnCustomer:
    """Whatever the shop does not answer in time is a ChatError."""

    def __init__(self, stage: Stage, user_id: int) -> None:
        self.stage = stage
        self.user_id = user_id
        self.customer: Customer = stage.customer(user_id)
        self.chat: Chat = self.customer.chat
        self.zone = ""

    async def start(self, hour: int = NOON) -> None:
        """/start, and live where it is so late just now."""
        await self.customer.start()
        await self.move(hour)

    async def move(self, hour: int) -> None:
        self.zone = zone_where_it_is(hour)
        await self.chat.say(f"/timezone {self.zone}")
        await self.hears(f"Your time zone is {self.zone} now")

    async def top_up(self) -> None:
        """Buy 100 credits with Stars."""
        after = await self.customer.newest()
        await self.chat.say("/topup")
        await self._press_label("100 credits", after)
        await self._press_label("Telegram Stars", after)
        invoice = await self.chat.wait_for(
            lambda said: any(each.text.startswith("Pay ⭐") for each in said.buttons),
            "invoice",
            after=after,
        )
        url = f"{self.stage.urls['telegram_control']}/users/{self.user_id}/pay"
        async with self.stage.session.post(url, json={"message_id": invoice.id}) as answer:
            answer.raise_for_status()
        await self.hears("+100 credits", after=after)

    async def page(self) -> Message:
        """Ask for the subscription, or for what can be bought."""
        after = await self.customer.newest()
        await self.chat.say("/vpn")
        return await self.chat.wait_for(
            lambda said: said.text.startswith(PAGE_TITLE), "page of VPN access", after=after
        )

    async def take_trial(self) -> None:
        page = await self.page()
        await self._press(page, PLAN_PREFIX, "trial")
        await self.hears(TRIAL_BEGUN, after=page.id - 1)

    async def buy(self, plan_id: str, *, words: str = BOUGHT) -> None:
        """Buy a plan or traffic; what is answered in the end has such words."""
        after = await self.customer.newest()
        await self.pay(await self.offered(plan_id))
        await self.hears(words, after=after)

    async def offered(self, plan_id: str) -> Message:
        """Choose a plan; returns the screen with its price."""
        after = await self.customer.newest()
        page = await self.page()
        if page.button(PLAN_PREFIX) is None:
            await self._press(page, PLANS_PAGE)
            page = await self._with_button(PLAN_PREFIX, after)
        await self._press(page, f"{PLAN_PREFIX}{plan_id}")
        return await self._with_button(PAY_PREFIX, after)

    async def pay(self, checkout: Message) -> None:
        await self._press(checkout, PAY_PREFIX)

    async def choose(self, option: str, *, on: bool) -> None:
        """Switch renewals or reminders."""
        page = await self.page()
        wanted = "on" if on else "off"
        button = page.button(f"{OPTION_PREFIX}{option}:{wanted}")
        if button is None:
            return
        other = "off" if on else "on"
        await self.chat.press(page, button)
        await self._with_button(f"{OPTION_PREFIX}{option}:{other}", page.id - 1)

    async def rotate(self) -> None:
        """Replace the key, until every node has confirmed it."""
        page = await self.page()
        await self._press(page, KEY_ASK)
        asked = await self._with_button(KEY_DO, page.id - 1)
        await self._press(asked, KEY_DO)
        await self.hears(KEY_REPLACED, after=page.id - 1)

    async def link(self) -> str:
        """The address of the subscription, as the chat shows it."""
        found = _LINK.search((await self.page()).text)
        assert found is not None, "the page shows no link"
        return found.group(0)

    async def servers(self) -> list[str]:
        """What an app reads at the link: a vless:// link for each node."""
        async with self.stage.session.get(await self.link()) as answer:
            answer.raise_for_status()
            body = await answer.text()
        return base64.b64decode(body).decode().split()

    async def until(self) -> datetime:
        found = await self.stage.fetch(
            "SELECT until FROM vpn.subscriptions WHERE user_id = $1", self.user_id
        )
        moment: datetime = found[0]["until"]
        return moment

    async def subscription(self) -> SubscriptionId:
        found = await self.stage.fetch(
            "SELECT id FROM vpn.subscriptions WHERE user_id = $1", self.user_id
        )
        return SubscriptionId(found[0]["id"])

    async def credits(self) -> int:
        return (await self.stage.account(self.user_id)).available

    async def hears(self, words: str, *, after: int = 0) -> Message:
        return await self.chat.wait_for(lambda said: words in said.text, words, after=after)

    async def heard(self, words: str) -> int:
        """How many messages have such words."""
        return sum(words in said.text for said in await self.chat.messages())

    async def _with_button(self, prefix: str, after: int) -> Message:
        return await self.chat.wait_for(
            lambda said: said.button(prefix) is not None, f"button {prefix}", after=after
        )

    async def _press(self, message: Message, prefix: str, containing: str = "") -> None:
        button = message.button(prefix, containing)
        assert button is not None, f"no button {prefix}…{containing} under {message.text!r}"
        await self.chat.press(message, button)

    async def _press_label(self, label: str, after: int) -> None:
        def labelled(said: Message) -> Button | None:
            return next((each for each in said.buttons if label in each.text), None)

        found = await self.chat.wait_for(
            lambda said: labelled(said) is not None, f"button {label!r}", after=after
        )
        button = labelled(found)
        assert button is not None
        await self.chat.press(found, button)
