"""The control API: plain HTTP, no credentials; acts as the payers and as the shop's owner."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from simulators.provider.control import ProviderControl
from simulators.provider.money import positive
from simulators.telegram.errors import ControlError
from simulators.telegram.requests import json_response, read_body
from simulators.yookassa import core as shop
from simulators.yookassa import methods
from simulators.yookassa.core import Core
from simulators.yookassa.errors import ApiError
from simulators.yookassa.methods import Question
from simulators.yookassa.payments import CANCELED, PENDING, SUCCEEDED, Payment
from simulators.yookassa.views import CURRENCY, refund_view
from simulators.yookassa.webhooks import Notification

Json = dict[str, Any]


class Control(ProviderControl[Core]):
    def routes(self) -> list[web.RouteDef]:
        payment = "/control/payments/{id}"
        return [
            *super().routes(),
            web.get("/control/payments", self.payments),
            web.post("/control/payments", self.make_payment),
            web.get(payment, self.payment),
            web.post(payment + "/pay", self.pay),
            web.post(payment + "/decline", self.decline),
            web.post(payment + "/expire", self.expire),
            web.post(payment + "/refund", self.refund),
            web.post(payment + "/charge-back", self.charge_back),
            web.get("/control/refunds", self.refunds),
            web.post("/control/refunds/{id}/finish", self.finish_refund),
            web.post("/control/settings", self.change_settings),
        ]

    # --- payments ---------------------------------------------------------------------------

    async def payments(self, request: web.Request) -> web.Response:
        """Those with the status, and with the value anywhere in their metadata."""
        core, query = self._core, request.query
        core.cancel_overdue()
        value = query.get("metadata")
        views = [
            methods.show(core, payment)
            for payment in core.payments.newest_first()
            if query.get("status", payment.status) == payment.status
            and (value is None or value in payment.metadata.values())
        ]
        return json_response({"ok": True, "payments": views})

    async def make_payment(self, request: web.Request) -> web.Response:
        asked = Question("", {}, await read_body(request))
        return json_response(
            {"ok": True, "payment": refusable(methods.create_payment, self._core, asked)}
        )

    async def payment(self, request: web.Request) -> web.Response:
        return self._shown(find_payment(self._core, request))

    def _shown(self, payment: Payment) -> web.Response:
        view = methods.show(self._core, payment)
        return json_response({"ok": True, "payment": {**view, "receipt": payment.receipt}})

    async def pay(self, request: web.Request) -> web.Response:
        payment = find_payment(self._core, request)
        body = await read_body(request)
        value = body.get("amount")
        if value is not None and (value := positive(value)) is None:
            raise ControlError("amount must be a positive number")
        shown = None if value is None else f"{value:.2f}"
        shop.pay(self._core, payment, value=shown, force=bool(body.get("force", False)))
        return self._shown(payment)

    async def decline(self, request: web.Request) -> web.Response:
        payment = find_payment(self._core, request)
        shop.decline(self._core, payment, (await read_body(request)).get("reason"))
        return self._shown(payment)

    async def expire(self, request: web.Request) -> web.Response:
        payment = find_payment(self._core, request)
        shop.expire(self._core, payment)
        return self._shown(payment)

    # --- refunds ----------------------------------------------------------------------------

    async def refund(self, request: web.Request) -> web.Response:
        """The owner gives money back in the web cabinet: the shop was not asked."""
        payment = find_payment(self._core, request)
        value = (await read_body(request)).get("amount", payment.value)
        body = {
            "payment_id": payment.id,
            "amount": {"value": str(value), "currency": CURRENCY},
            "receipt": payment.receipt,
        }
        made = refusable(methods.create_refund, self._core, Question("", {}, body))
        return json_response({"ok": True, "refund": made})

    async def charge_back(self, request: web.Request) -> web.Response:
        refund = shop.charge_back(self._core, find_payment(self._core, request))
        return json_response({"ok": True, "refund": refund_view(refund)})

    async def refunds(self, _request: web.Request) -> web.Response:
        views = [refund_view(refund) for refund in self._core.refunds.newest_first()]
        return json_response({"ok": True, "refunds": views})

    async def finish_refund(self, request: web.Request) -> web.Response:
        """`{"status": "succeeded" | "canceled", "reason"}`: what became of a pending one."""
        refund = self._core.refunds.get(request.match_info["id"])
        if refund is None:
            raise ControlError("no such refund", 404)
        body = await read_body(request)
        if refund.status != PENDING or body["status"] not in {SUCCEEDED, CANCELED}:
            raise ControlError("a pending refund ends as succeeded or canceled", 409)
        shop.finish_refund(self._core, refund, body["status"], body.get("reason"))
        return json_response({"ok": True, "refund": refund_view(refund)})

    # --- the world --------------------------------------------------------------------------

    async def change_settings(self, request: web.Request) -> web.Response:
        options = self._core.options
        known = {"receipts": bool, "time_scale": float, "latency_seconds": float}
        for name, value in (await read_body(request)).items():
            if name not in known:
                raise ControlError(f"unknown setting {name!r}")
            setattr(options, name, known[name](value))
        return json_response({"ok": True})

    async def forge(self, request: web.Request) -> web.Response:
        """Anybody can send what YooKassa sends: nothing is signed.

        `event` is what it claims (payment.succeeded), `changes` overrides fields of the object.
        """
        body = await read_body(request)
        known = self._core.payments.get(str(body["object_id"]))
        view = {"id": body["object_id"]} if known is None else methods.show(self._core, known)
        payload = {**view, "status": SUCCEEDED, "paid": True, **body.get("changes", {})}
        event = str(body.get("event", "payment.succeeded"))
        forgery = Notification(id=0, subject=payload["id"], payload=payload, event=event)
        attempt = await self._core.webhooks.forge(forgery)
        return json_response({"ok": True, "attempt": asdict(attempt)})


def refusable(method: Callable[[Core, Question], Json], core: Core, asked: Question) -> Json:
    try:
        return method(core, asked)
    except ApiError as error:
        raise ControlError(error.description, error.status) from error


def find_payment(core: Core, request: web.Request) -> Payment:
    core.cancel_overdue()
    payment = core.payments.get(request.match_info["id"])
    if payment is None:
        raise ControlError("no such payment", 404)
    return payment
