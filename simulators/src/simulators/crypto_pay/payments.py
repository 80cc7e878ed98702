"""A person pays: what it costs in each asset, the fee, and what a wrong payment looks like."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.faults import Fault
from simulators.crypto_pay.invoices import Invoice
from simulators.crypto_pay.views import paid_payload
from simulators.provider.money import plain, round_up
from simulators.telegram.errors import ControlError


@dataclass(slots=True)
class Payment:
    asset: str | None = None
    amount: Decimal | None = None
    user: int | None = None
    comment: str | None = None
    anonymous: bool = False
    # Money that comes after the invoice has expired.
    force: bool = False


def accepted(core: Core, invoice: Invoice) -> list[str]:
    """The assets this invoice can be paid in; a fiat one only where a rate is known."""
    if invoice.currency_type == "crypto":
        return [str(invoice.asset)]
    return [asset for asset in invoice.accepted_assets if quote(core, invoice, asset) is not None]


def quote(core: Core, invoice: Invoice, asset: str) -> Decimal | None:
    """What the invoice costs in this asset now."""
    amount = Decimal(invoice.amount)
    if invoice.currency_type == "crypto":
        return amount
    rate = core.rates.usable(asset, str(invoice.fiat))
    return None if rate is None else round_up(amount / rate, core.assets[asset].decimals)


def pay(core: Core, invoice: Invoice, payment: Payment) -> None:
    """Change the invoice, the balance and the world's knowledge of it, or raise ControlError."""
    if invoice.status == "paid":
        raise ControlError("the invoice is paid already", 409)
    if invoice.status == "expired" and not payment.force:
        raise ControlError("the invoice has expired", 409)
    possible = accepted(core, invoice)
    asset = payment.asset or next(iter(possible), None)
    if asset is None or asset not in possible:
        raise ControlError(f"this invoice can be paid in {', '.join(possible) or 'nothing now'}")
    amount = payment.amount or quote(core, invoice, asset)
    assert amount is not None, "an asset that is accepted has a price"
    fault = core.faults.about("wrong_amount", invoice.invoice_id)
    if fault is not None:
        asset, amount = spoiled(core, fault, asset, amount)
    record(core, invoice, asset, amount)
    invoice.paid_by = payment.user
    invoice.comment = payment.comment if invoice.allow_comments else None
    invoice.paid_anonymously = payment.anonymous and invoice.allow_anonymous
    core.invoices.changed(invoice)
    core.webhooks.send(invoice.invoice_id, paid_payload(invoice, core.base_url))


def record(core: Core, invoice: Invoice, asset: str, amount: Decimal) -> None:
    decimals = core.assets[asset].decimals
    fee = round_up(amount * core.options.fee_percent / 100, decimals)
    usd = core.rates.usd(asset)
    invoice.status = "paid"
    invoice.paid_at = core.clock.now()
    invoice.paid_asset = asset
    invoice.paid_amount = plain(amount)
    invoice.paid_usd_rate = plain(usd)
    invoice.fee_asset = asset
    invoice.fee_amount = plain(fee)
    invoice.fee_in_usd = plain(round_up(fee * usd, 8))
    if invoice.fiat is not None and (rate := core.rates.rate(asset, invoice.fiat)) is not None:
        invoice.paid_fiat_rate = plain(rate)
    core.wallet.add(asset, amount - fee)


def spoiled(core: Core, fault: Fault, asset: str, amount: Decimal) -> tuple[str, Decimal]:
    """Half of what was asked for, unless the fault names an amount, a factor or an asset."""
    asset = fault.asset or asset
    if asset not in core.assets:
        raise ControlError(f"unknown asset {asset!r}")
    if fault.amount is not None:
        wrong = Decimal(str(fault.amount))
    elif fault.factor is None and fault.asset is not None:
        wrong = amount
    else:
        wrong = amount * Decimal(str(fault.factor or "0.5"))
    return asset, round_up(wrong, core.assets[asset].decimals)
