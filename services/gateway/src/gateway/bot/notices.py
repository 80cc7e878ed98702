"""The few sentences the edge says by itself."""

from __future__ import annotations

from contracts.generator import JobProgress
from contracts.ids import UserId
from gateway.domain.screen import Screen
from gateway.domain.screens import menu, order, payment
from gateway.ports import Shop


class BotNotices:
    """Implements ports.Notices."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def sorry(self, language: str) -> Screen:
        return menu.page(self._shop.texts.say(language), "something-broke")

    def groups_not_served(self, language: str) -> Screen:
        return Screen(text=self._shop.texts.say(language)("groups-not-served"))

    def progress(self, language: str, workflow_id: str, progress: JobProgress) -> Screen:
        say = self._shop.texts.say(language)
        return order.running(
            say,
            self._shop.title(say, workflow_id),
            progress.order_id,
            fraction=progress.fraction,
            eta_seconds=progress.eta_seconds,
        )

    def download_failed(self, language: str, reason: str, user_id: UserId) -> Screen:
        say = self._shop.texts.say(language)
        return Screen(text=say("operators-download-failed", user=str(user_id), reason=reason))

    def payment_declined(self, language: str, code: str) -> str:
        return payment.declined(self._shop.texts.say(language), code)
