"""What a payer's browser meets: the pay page of a payment and, for a curious person, the list."""

from html import escape
from itertools import islice

from aiohttp import web

from simulators.provider.page import (
    Frame,
    about_html,
    amount_html,
    html,
    language_of,
    status_html,
    table_html,
)
from simulators.telegram.errors import ControlError
from simulators.yookassa import core as shop
from simulators.yookassa.core import Core
from simulators.yookassa.payments import CANCELED, PENDING, Payment
from simulators.yookassa.texts import TEXTS
from simulators.yookassa.views import CURRENCY

LIST_MAX = 50


class Page:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._frame = Frame("simulators.yookassa", "ЮKassa", core.options.app_name)

    def routes(self) -> list[web.RouteDef]:
        return [
            *self._frame.routes(),
            web.get("/", self.list),
            web.get("/pay/{id}", self.show),
            web.post("/pay/{id}", self.answer),
        ]

    async def list(self, _request: web.Request) -> web.Response:
        rows = (
            f'<tr><td><a href="/pay/{payment.id}">{payment.id[:8]}</a></td>'
            f"<td>{payment.value}</td><td>{payment.status}</td><td>{payment.refunded}</td>"
            f"<td>{escape(payment.description or '')}</td></tr>"
            for payment in islice(self._core.payments.newest_first(), LIST_MAX)
        )
        table = table_html(("Payment", CURRENCY, "Status", "Refunded", "What for"), rows)
        return html(self._frame.draw("en", table, title="YooKassa · simulated", wide=True))

    async def show(self, request: web.Request) -> web.Response:
        return self._render(request)

    async def answer(self, request: web.Request) -> web.Response:
        self._core.cancel_overdue()
        payment = self._core.payments.get(request.match_info["id"])
        if payment is None:
            return self._render(request)
        pays = (await request.post()).get("answer") == "pay"
        try:
            (shop.pay if pays else shop.decline)(self._core, payment)
        except ControlError as error:
            return self._render(request, wrong=error.message)
        # A reload of the page must not pay again.
        raise web.HTTPSeeOther(request.path_qs)

    def _render(self, request: web.Request, *, wrong: str = "") -> web.Response:
        self._core.cancel_overdue()
        language = language_of(request)
        payment = self._core.payments.get(request.match_info["id"])
        if payment is None:
            text = TEXTS[language]["missing"]
            body = f'<div class="center">{status_html(text)}</div>'
            return html(self._frame.draw(language, body, title=text), 404)
        title = f"{payment.value} {CURRENCY}"
        page = self._frame.draw(language, body_of(payment, language, wrong), title=title)
        return html(page, 409 if wrong else 200)


def body_of(payment: Payment, language: str, wrong: str) -> str:
    texts = TEXTS[language]
    parts = [amount_html(payment.value, CURRENCY), about_html(payment.description)]
    if wrong:
        parts.append(f'<p class="wrong" data-testid="wrong">{escape(wrong)}</p>')
    if payment.status == PENDING:
        parts.append(
            f'<p class="soft">{texts["card"]}</p><form method="post">'
            f'<button class="primary" name="answer" value="pay" data-testid="pay">'
            f"{texts['pay']}</button>"
            f'<button class="primary second" name="answer" value="decline" '
            f'data-testid="decline">{texts["decline"]}</button></form>'
        )
    else:
        canceled = payment.status == CANCELED
        mark = '<div class="mark expired">✕</div>' if canceled else '<div class="mark">✓</div>'
        reason = payment.cancel_reason or ""
        parts = [mark, *parts, status_html(texts[payment.status])]
        if reason:
            parts.append(f'<p class="soft" data-testid="reason">{escape(reason)}</p>')
        parts.append(
            f'<a class="primary" data-testid="back" href="{escape(payment.return_url)}">'
            f"{texts['back']}</a>"
        )
    return f'<div class="center">{"".join(parts)}</div>'
