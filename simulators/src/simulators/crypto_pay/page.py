"""The routes a person's browser meets: the pay page of an invoice and the list of all."""

from aiohttp import web

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.page_html import list_page, missing, pay_page, price
from simulators.crypto_pay.payments import Payment, pay
from simulators.provider.page import Frame, html, language_of
from simulators.telegram.errors import ControlError


class Page:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._frame = Frame("simulators.crypto_pay", "Crypto Pay", core.options.app_name)

    def routes(self) -> list[web.RouteDef]:
        return [
            *self._frame.routes(),
            web.get("/", self.list),
            web.get("/pay/{hash}", self.show),
            web.post("/pay/{hash}", self.pay),
        ]

    async def list(self, _request: web.Request) -> web.Response:
        return html(list_page(self._core, self._frame))

    async def show(self, request: web.Request) -> web.Response:
        return self._render(request)

    async def pay(self, request: web.Request) -> web.Response:
        invoice = self._core.invoices.with_hash(request.match_info["hash"])
        if invoice is None:
            return self._render(request)
        form = await request.post()
        user = str(form.get("user", ""))
        payment = Payment(
            asset=str(form.get("asset", "")) or None,
            user=int(user) if user.isdecimal() else None,
            comment=str(form.get("comment", "")).strip() or None,
            anonymous="anonymous" in form,
        )
        try:
            pay(self._core, invoice, payment)
        except ControlError as error:
            return self._render(request, wrong=error.message)
        # A reload of the page must not pay again.
        raise web.HTTPSeeOther(request.path_qs)

    def _render(self, request: web.Request, *, wrong: str = "") -> web.Response:
        language = language_of(request)
        invoice = self._core.invoices.with_hash(request.match_info["hash"])
        if invoice is None:
            return html(missing(self._frame, language), 404)
        body = pay_page(
            self._core, invoice, language, user=request.query.get("user", ""), wrong=wrong
        )
        title = f"{price(invoice)} · {self._core.options.app_name}"
        return html(self._frame.draw(language, body, title=title), 409 if wrong else 200)
