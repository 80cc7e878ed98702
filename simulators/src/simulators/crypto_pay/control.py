"""The control API: plain HTTP, no token; acts as the people and as the owner of the app."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aiohttp import web

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.errors import ApiError
from simulators.crypto_pay.invoices import Invoice
from simulators.crypto_pay.methods import create_invoice
from simulators.crypto_pay.params import Params
from simulators.crypto_pay.payments import Payment, accepted, pay, quote
from simulators.crypto_pay.views import invoice_view, paid_payload
from simulators.provider.control import ProviderControl, path_id
from simulators.provider.money import plain, positive
from simulators.telegram.errors import ControlError
from simulators.telegram.requests import json_response, read_body

Json = dict[str, Any]


class Control(ProviderControl[Core]):
    subject_name = "invoice_id"

    def routes(self) -> list[web.RouteDef]:
        invoice = "/control/invoices/{id}"
        return [
            *super().routes(),
            web.get("/control/invoices", self.invoices),
            web.post("/control/invoices", self.make_invoice),
            web.get(invoice, self.invoice),
            web.post(invoice + "/pay", self.pay),
            web.post(invoice + "/expire", self.expire),
            web.get("/control/rates", self.rates),
            web.post("/control/rates", self.set_rates),
            web.get("/control/balance", self.balance),
            web.post("/control/balance", self.set_balance),
            web.post("/control/users/{id}", self.set_user),
            web.post("/control/settings", self.change_settings),
        ]

    # --- invoices ---------------------------------------------------------------------------

    async def invoices(self, request: web.Request) -> web.Response:
        query = request.query
        views = [
            self._view(invoice)
            for invoice in self._core.invoices.newest_first()
            if query.get("status", invoice.status) == invoice.status
            and query.get("payload", invoice.payload) == invoice.payload
        ]
        return json_response({"ok": True, "invoices": views})

    async def make_invoice(self, request: web.Request) -> web.Response:
        try:
            made = create_invoice(self._core, Params(await read_body(request)))
        except ApiError as error:
            raise ControlError(error.name, error.code) from error
        return json_response({"ok": True, "invoice": made})

    async def invoice(self, request: web.Request) -> web.Response:
        return json_response({"ok": True, "invoice": self._view(find_invoice(self._core, request))})

    async def pay(self, request: web.Request) -> web.Response:
        invoice = find_invoice(self._core, request)
        body = await read_body(request)
        amount = body.pop("amount", None)
        if amount is not None and (amount := positive(amount)) is None:
            raise ControlError("amount must be a positive number")
        pay(self._core, invoice, Payment(amount=amount, **body))
        return json_response({"ok": True, "invoice": self._view(invoice)})

    async def expire(self, request: web.Request) -> web.Response:
        invoice = find_invoice(self._core, request)
        if invoice.status == "paid":
            raise ControlError("the invoice is paid already", 409)
        self._core.invoices.expire(invoice)
        return json_response({"ok": True, "invoice": self._view(invoice)})

    def _view(self, invoice: Invoice) -> Json:
        """As the API shows it, and what only the simulator knows."""
        core = self._core
        quotes = {
            asset: plain(quote(core, invoice, asset) or Decimal(0))
            for asset in accepted(core, invoice)
        }
        view = invoice_view(invoice, core.base_url)
        return {**view, "paid_by": invoice.paid_by, "quotes": quotes}

    # --- the world --------------------------------------------------------------------------

    async def rates(self, _request: web.Request) -> web.Response:
        return json_response({"ok": True, "rates": self._core.rates.view()})

    async def set_rates(self, request: web.Request) -> web.Response:
        """`{"USDT/RUB": "97.5", "TON/RUB": null, "BTC/USD": {"rate": 1, "is_valid": false}}`."""
        for pair, wish in (await read_body(request)).items():
            fields = wish if isinstance(wish, dict) else {"rate": wish}
            if "rate" in fields:
                self._core.rates.set(pair, fields["rate"])
            self._core.rates.set_valid(pair, valid=bool(fields.get("is_valid", True)))
        return await self.rates(request)

    async def balance(self, _request: web.Request) -> web.Response:
        return json_response({"ok": True, "balance": self._core.wallet.view()})

    async def set_balance(self, request: web.Request) -> web.Response:
        for asset, amount in (await read_body(request)).items():
            if asset not in self._core.assets:
                raise ControlError(f"unknown asset {asset!r}")
            self._core.wallet.set(asset, Decimal(str(amount)))
        return await self.balance(request)

    async def set_user(self, request: web.Request) -> web.Response:
        """`{"known": false}`: this person never opened the bot, so no transfer reaches them."""
        known = bool((await read_body(request))["known"])
        user_id = path_id(request)
        if known:
            self._core.wallet.strangers.discard(user_id)
        else:
            self._core.wallet.strangers.add(user_id)
        return json_response({"ok": True})

    async def change_settings(self, request: web.Request) -> web.Response:
        core = self._core
        body = await read_body(request)
        known = {"transfers", "time_scale", "latency_seconds", "fee_percent"}
        if unknown := body.keys() - known:
            raise ControlError(f"unknown setting {min(unknown)!r}")
        core.transfers_enabled = bool(body.get("transfers", core.transfers_enabled))
        options = core.options
        options.time_scale = float(body.get("time_scale", options.time_scale))
        options.latency_seconds = float(body.get("latency_seconds", options.latency_seconds))
        options.fee_percent = Decimal(str(body.get("fee_percent", options.fee_percent)))
        return json_response({"ok": True})

    async def forge(self, request: web.Request) -> web.Response:
        """An update that says an invoice was paid, signed by somebody who lacks the token.

        `changes` overrides fields of the invoice in it; the invoice itself stays as it is.
        """
        core = self._core
        body = await read_body(request)
        invoice = core.invoices.get(int(body["invoice_id"]))
        if invoice is None:
            raise ControlError("no such invoice", 404)
        payload: Json = {
            **paid_payload(invoice, core.base_url),
            "status": "paid",
            "paid_asset": invoice.asset or "USDT",
            "paid_amount": invoice.amount,
            **body.get("changes", {}),
        }
        forgery = core.webhooks.forgery(invoice.invoice_id, payload)
        attempt = await core.webhooks.forge(forgery)
        return json_response({"ok": True, "attempt": asdict(attempt)})


def find_invoice(core: Core, request: web.Request) -> Invoice:
    invoice = core.invoices.get(path_id(request))
    if invoice is None:
        raise ControlError("no such invoice", 404)
    return invoice
