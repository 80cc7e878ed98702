"""The methods of the Crypto Pay API: each takes the parameters of a call and gives its result."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.currencies import FIATS, SWAPS
from simulators.crypto_pay.errors import ApiError, invalid, method_disabled, required
from simulators.crypto_pay.params import Params
from simulators.crypto_pay.views import invoice_view, transfer_view
from simulators.provider.moments import iso
from simulators.provider.money import plain

Json = dict[str, Any]

DESCRIPTION_CHARACTERS_MAX = 1_024
HIDDEN_MESSAGE_CHARACTERS_MAX = 2_048
COMMENT_CHARACTERS_MAX = 1_024
SPEND_ID_CHARACTERS_MAX = 64
PAYLOAD_BYTES_MAX = 4_096
EXPIRES_IN_MAX = 2_678_400
COUNT_DEFAULT, COUNT_MAX = 100, 1_000
ID_MAX = 2**63 - 1
TRANSFER_USD_MIN, TRANSFER_USD_MAX = Decimal(1), Decimal(25_000)
STATUSES = ("active", "paid")
BUTTONS = ("viewItem", "openChannel", "openBot", "callback")
DAY_SECONDS = 86_400


def get_me(core: Core, _params: Params) -> Json:
    bot = "CryptoTestnetBot" if core.options.testnet else "CryptoBot"
    return {
        "app_id": core.app_id,
        "name": core.options.app_name,
        "payment_processing_bot_username": bot,
    }


# --- invoices -------------------------------------------------------------------------------


def create_invoice(core: Core, params: Params) -> Json:
    """Two equal calls make two invoices: there is no key against it."""
    expires_in = params.integer("expires_in", least=1, most=EXPIRES_IN_MAX)
    invoice = core.invoices.make(
        **_price(core, params),
        **_button(params),
        description=params.text("description", characters_max=DESCRIPTION_CHARACTERS_MAX),
        hidden_message=params.text("hidden_message", characters_max=HIDDEN_MESSAGE_CHARACTERS_MAX),
        payload=_payload(params),
        swap_to=params.one_of("swap_to", SWAPS),
        allow_comments=params.flag("allow_comments", default=True),
        allow_anonymous=params.flag("allow_anonymous", default=True),
        expires_at=None if expires_in is None else core.clock.now() + expires_in,
    )
    return invoice_view(invoice, core.base_url)


def _price(core: Core, params: Params) -> Json:
    kind = params.one_of("currency_type", ("crypto", "fiat")) or "crypto"
    amount = plain(params.amount("amount"))
    if kind == "crypto":
        return {"currency_type": kind, "asset": _asset(core, params), "amount": amount}
    fiat = params.one_of("fiat", FIATS, supported_fiats=list(FIATS))
    if fiat is None:
        raise required("fiat")
    wanted = params.list("accepted_assets") or list(core.assets)
    if not all(asset in core.assets for asset in wanted):
        raise invalid("accepted_assets", supported_assets=list(core.assets))
    return {"currency_type": kind, "fiat": fiat, "amount": amount, "accepted_assets": wanted}


def _asset(core: Core, params: Params) -> str:
    asset = params.one_of("asset", core.assets, supported_assets=list(core.assets))
    if asset is None:
        raise required("asset")
    return asset


def _button(params: Params) -> Json:
    name = params.one_of("paid_btn_name", BUTTONS)
    url = params.text("paid_btn_url")
    if name is None:
        return {}
    if url is None:
        raise required("paid_btn_url")
    if not url.startswith(("http://", "https://")):
        raise invalid("paid_btn_url")
    return {"paid_btn_name": name, "paid_btn_url": url}


def _payload(params: Params) -> str | None:
    payload = params.text("payload")
    if payload is not None and len(payload.encode()) > PAYLOAD_BYTES_MAX:
        raise invalid("payload")
    return payload


def delete_invoice(core: Core, params: Params) -> bool:
    invoice_id = params.integer("invoice_id", least=1, most=ID_MAX)
    if invoice_id is None:
        raise required("invoice_id")
    invoice = core.invoices.get(invoice_id)
    if invoice is None:
        raise ApiError("INVOICE_NOT_FOUND")
    if invoice.status == "paid":
        raise ApiError("INVOICE_ALREADY_PAID")
    core.invoices.delete(invoice)
    return True


def get_invoices(core: Core, params: Params) -> Json:
    """The newest first; expired ones only among all, there is no status to ask for them."""
    asset = params.one_of("asset", core.assets, supported_assets=list(core.assets))
    fiat = params.one_of("fiat", FIATS)
    status = params.one_of("status", STATUSES, allowed_statuses=list(STATUSES))
    ids = params.ids("invoice_ids")
    found = (
        invoice_view(invoice, core.base_url)
        for invoice in core.invoices.newest_first()
        if (asset is None or invoice.asset == asset)
        and (fiat is None or invoice.fiat == fiat)
        and (status is None or invoice.status == status)
        and (ids is None or invoice.invoice_id in ids)
    )
    return {"items": _page(params, found)}


def _page(params: Params, found: Iterable[Json]) -> list[Json]:
    offset = params.integer("offset", least=0, most=ID_MAX) or 0
    count = params.integer("count", least=1, most=COUNT_MAX) or COUNT_DEFAULT
    return list(islice(found, offset, offset + count))


# --- money that goes out --------------------------------------------------------------------


def transfer(core: Core, params: Params) -> Json:
    """A spend_id is accepted once; its second use is refused, not answered with the first."""
    if not core.transfers_enabled:
        raise method_disabled()
    user_id = params.integer("user_id", least=1, most=ID_MAX)
    if user_id is None:
        raise required("user_id")
    asset = _asset(core, params)
    amount = params.amount("amount")
    spend_id = params.text("spend_id", characters_max=SPEND_ID_CHARACTERS_MAX)
    if spend_id is None:
        raise required("spend_id")
    comment = params.text("comment", characters_max=COMMENT_CHARACTERS_MAX)
    params.flag("disable_send_notification", default=False)
    if core.wallet.sent_with(spend_id) is not None:
        raise ApiError("SPEND_ID_ALREADY_USED")
    if user_id in core.wallet.strangers:
        raise ApiError("USER_NOT_FOUND")
    usd = amount * core.rates.usd(asset)
    if usd < TRANSFER_USD_MIN:
        raise ApiError("AMOUNT_TOO_SMALL")
    if usd > TRANSFER_USD_MAX:
        raise ApiError("AMOUNT_TOO_BIG")
    if core.wallet.held(asset) < amount:
        raise ApiError("INSUFFICIENT_FUNDS")
    sent = core.wallet.send(
        spend_id=spend_id,
        user_id=user_id,
        asset=asset,
        amount=amount,
        at=core.clock.now(),
        comment=comment,
    )
    return transfer_view(sent)


def get_transfers(core: Core, params: Params) -> Json:
    asset = params.one_of("asset", core.assets, supported_assets=list(core.assets))
    ids = params.ids("transfer_ids")
    spend_id = params.text("spend_id")
    found = (
        transfer_view(sent)
        for sent in reversed(core.wallet.transfers.values())
        if (asset is None or sent.asset == asset)
        and (ids is None or sent.transfer_id in ids)
        and (spend_id is None or sent.spend_id == spend_id)
    )
    return {"items": _page(params, found)}


def checks_are_off(_core: Core, _params: Params) -> Json:
    """The shop has no use for checks; an app must enable them first, and this one has not."""
    raise method_disabled()


def get_checks(_core: Core, _params: Params) -> Json:
    return {"items": []}


# --- figures --------------------------------------------------------------------------------


def get_balance(core: Core, _params: Params) -> list[Json]:
    return [
        {"currency_code": asset, "available": amount, "onhold": "0"}
        for asset, amount in core.wallet.view().items()
    ]


def get_exchange_rates(core: Core, _params: Params) -> list[Json]:
    return core.rates.view()


def get_currencies(core: Core, _params: Params) -> list[Json]:
    return core.rates.currencies()


def get_stats(core: Core, params: Params) -> Json:
    end = _moment(params, "end_at", core.clock.now())
    start = _moment(params, "start_at", end - DAY_SECONDS)
    made = [
        invoice for invoice in core.invoices.newest_first() if start <= invoice.created_at <= end
    ]
    paid = [invoice for invoice in made if invoice.status == "paid"]
    volume = sum(
        Decimal(str(invoice.paid_amount)) * Decimal(str(invoice.paid_usd_rate)) for invoice in paid
    )
    return {
        "volume": float(volume),
        "conversion": len(paid) / len(made) if made else 0,
        "unique_users_count": len({invoice.paid_by for invoice in paid}),
        "created_invoice_count": len(made),
        "paid_invoice_count": len(paid),
        "start_at": iso(start),
        "end_at": iso(end),
    }


def _moment(params: Params, name: str, default: float) -> float:
    text = params.text(name)
    if text is None:
        return default
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise invalid(name) from None


METHODS: dict[str, Callable[[Core, Params], Any]] = {
    "getme": get_me,
    "createinvoice": create_invoice,
    "deleteinvoice": delete_invoice,
    "getinvoices": get_invoices,
    "transfer": transfer,
    "gettransfers": get_transfers,
    "createcheck": checks_are_off,
    "deletecheck": checks_are_off,
    "getchecks": get_checks,
    "getbalance": get_balance,
    "getexchangerates": get_exchange_rates,
    "getcurrencies": get_currencies,
    "getstats": get_stats,
}
