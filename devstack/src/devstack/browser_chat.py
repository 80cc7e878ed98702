"""One person's chat in a real browser, as tests and screenshots use it."""

from playwright.async_api import BrowserContext, Locator, Page

from devstack.customer import TRIAL_NOTICE

# "Asking the bot…" has no full stop, every refusal has one.
_PAY_ENDED = """() => !document.querySelector("[data-testid=pay-dialog]").open
 || document.querySelector("[data-testid=pay-status]").textContent.includes(".")"""


class Screen:
    """What a person sees of their chat, and does there."""

    def __init__(self, page: Page, user_id: int) -> None:
        self.page = page
        self.user_id = user_id
        self._pane = page.locator(f"[data-testid=chat][data-chat-id='{user_id}']")

    async def start(self, trial_notice: str = TRIAL_NOTICE) -> None:
        await self._pane.get_by_test_id("start").click()
        await self.said(trial_notice).wait_for()

    def said(self, words: str) -> Locator:
        """The newest message of the bot with such words."""
        return self._pane.locator("[data-from=bot]", has_text=words).last

    async def hears(self, words: str) -> str:
        """Wait for words of the bot; returns the whole message."""
        message = self.said(words)
        await message.wait_for()
        return await message.inner_text()

    async def say(self, text: str) -> None:
        await self._pane.get_by_test_id("composer").fill(text)
        await self._pane.get_by_test_id("send").click()

    async def ask(self, text: str, words: str) -> str:
        """Say something; returns the answer with such words, a new message in any case."""
        messages = self._pane.locator("[data-from=bot]")
        newest = int(await messages.last.get_attribute("data-message-id") or 0)
        await self.say(text)
        answer = messages.filter(has_text=words).last
        while int(await answer.get_attribute("data-message-id") or 0) <= newest:
            await self.page.wait_for_timeout(50)
        return await answer.inner_text()

    async def send_photo(self, photo: bytes, *, as_document: bool = False) -> None:
        await self._pane.get_by_test_id("upload").set_input_files(
            {"name": "product.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
        if as_document:
            await self._pane.get_by_test_id("as-document").check()
        await self._pane.get_by_test_id("send").click()

    async def tap(self, label: str) -> None:
        """Tap the newest button with such a label, as soon as it is there."""
        await self.button(label).click()

    def button(self, label: str) -> Locator:
        """The newest button with such a label."""
        return self._pane.get_by_test_id("button").filter(has_text=label).last

    async def sees(self, label: str, count: int) -> None:
        """Wait until so many buttons with such a label are there, so that the newest is meant."""
        found = self._pane.get_by_test_id("button").filter(has_text=label)
        await found.nth(count - 1).wait_for()

    async def pay(self) -> None:
        """Confirm what Telegram asks before it takes Stars; a refusal is raised with its reason."""
        await self.page.get_by_test_id("pay-confirm").click()
        await self.page.wait_for_function(_PAY_ENDED)
        status = self.page.get_by_test_id("pay-status")
        if await status.is_visible():
            raise AssertionError(f"the payment was refused: {await status.text_content()}")

    async def pays_in_vain(self) -> str:
        """Confirm a payment that the shop refuses; returns why, as Telegram shows it."""
        await self.page.get_by_test_id("pay-confirm").click()
        shown = self.page.get_by_test_id("pay-status").filter(has_text=".")
        await shown.wait_for()
        await self.page.get_by_test_id("pay-cancel").click()
        return await shown.text_content() or ""

    async def opens(self, label: str) -> Page:
        """Tap a button that leads out of Telegram; returns the tab it opened."""
        context: BrowserContext = self.page.context
        async with context.expect_page() as opened:
            await self.tap(label)
        return await opened.value

    async def share(self, label: str, other: int) -> "Screen":
        """Send somebody a link, who opens it; returns their chat."""
        await self.tap(label)
        await self.page.locator(f"[data-testid=share-with][data-user-id='{other}']").click()
        friend = Screen(self.page, other)
        await self.page.get_by_test_id("open-link").click()
        return friend

    async def result(self) -> Locator:
        """The newest picture from the bot, loaded."""
        picture = self._pane.locator("[data-from=bot] img[data-testid=media]").last
        await picture.wait_for()
        await picture.evaluate("image => image.decode()")
        return picture
