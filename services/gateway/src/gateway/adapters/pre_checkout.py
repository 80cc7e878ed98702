"""Answers Telegram's question whether a payment may go on: yes only if billing says so in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chassis import logs, metrics, rpc
from chassis.background import Background
from chassis.broker import Broker
from chassis.database import RETRYABLE, Database
from chassis.errors import TransientError
from contracts.ids import UserId
from contracts.payments import CheckPreCheckout, PreCheckoutAnswer
from gateway.adapters.intake import PreCheckout
from gateway.adapters.telegram import BlockedError, RejectedError, Telegram

log = logs.get("gateway.pre_checkout")
ASK_TIMEOUT = timedelta(seconds=1.2)
LANGUAGE_SECONDS = 0.3
CALL_TIMEOUT = timedelta(seconds=5)
"""Telegram waits ten seconds; the answer is on its way after one and a half."""
NO_ANSWER = "no_answer"
REASON_MAX = 200
answered_count = metrics.counter("gateway.pre_checkouts.answered", description="by answer")


class PreCheckouts:
    """Nobody is charged by a pre-checkout: a no, or silence, costs the person only a second try."""

    def __init__(
        self,
        broker: Broker,
        database: Database,
        telegram: Telegram,
        background: Background,
        *,
        reason: Callable[[str, str], str],
        pick_language: Callable[[str | None], str],
    ) -> None:
        self._broker = broker
        self._database = database
        self._telegram = telegram
        self._background = background
        self._reason = reason
        self._pick_language = pick_language

    def begin(self, query: PreCheckout) -> None:
        """Answer it beside whatever else arrives."""
        self._background.spawn(self.answer(query), name="pre-checkout")

    async def answer(self, query: PreCheckout) -> None:
        code = await self._code(query)
        body: dict[str, Any] = {"pre_checkout_query_id": query.id, "ok": not code}
        if code:
            language = await self._language(query)
            body["error_message"] = self._reason(language, code)[:REASON_MAX]
        try:
            await self._telegram.call("answerPreCheckoutQuery", body, timeout=CALL_TIMEOUT)
        except (TransientError, RejectedError, BlockedError) as error:
            # Telegram cancels the payment after ten seconds by itself: that is a no as well.
            log.warning("pre_checkout_not_answered", reason=type(error).__name__)
            answered_count.add(1, {"answer": "lost"})
        else:
            log.info("pre_checkout_answered", ok=not code, code=code)
            answered_count.add(1, {"answer": code or "ok"})

    async def _code(self, query: PreCheckout) -> str:
        """Why not; empty: it may go on."""
        request = CheckPreCheckout(
            user_id=query.sender.id,
            invoice_payload=query.invoice_payload,
            currency=query.currency,
            total_amount=query.total_amount,
        )
        try:
            said = await rpc.request(self._broker, request, PreCheckoutAnswer, timeout=ASK_TIMEOUT)
        except TransientError as error:
            log.warning("pre_checkout_not_checked", reason=type(error).__name__)
            return NO_ANSWER
        return "" if said.ok else said.code or NO_ANSWER

    async def _language(self, query: PreCheckout) -> str:
        """The language the person chose here, else the one of their Telegram."""
        guess = self._pick_language(query.sender.language_code)
        try:
            return await self._chosen(query.sender.id) or guess
        except (TimeoutError, TransientError, *RETRYABLE):
            return guess

    async def _chosen(self, user_id: UserId) -> str | None:
        async with asyncio.timeout(LANGUAGE_SECONDS), self._database.read() as connection:
            found: str | None = await connection.fetchval(
                "SELECT language FROM persons WHERE user_id = $1", user_id
            )
        return found
