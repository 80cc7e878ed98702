"""Paying, expiry by the clock, quotes, fees, and transfers as refunds."""

import pytest

FIAT = {"currency_type": "fiat", "fiat": "RUB", "amount": "500"}


async def test_a_paid_invoice_says_what_was_paid_and_charged(call, control):
    await control.rates({"USDT/RUB": "80"})
    invoice_id = (await call("createInvoice", **FIAT))["invoice_id"]

    await control.pay(invoice_id, asset="USDT", user=42, comment="thanks", anonymous=True)

    paid = (await call("getInvoices", invoice_ids=invoice_id))["items"][0]
    assert paid["paid_at"].endswith("Z")
    assert {name: paid[name] for name in paid if name.startswith(("paid_", "fee_", "comm"))} | {
        "paid_at": ""
    } == {
        "paid_asset": "USDT",
        "paid_amount": "6.25",
        "paid_usd_rate": "1",
        "paid_fiat_rate": "80",
        "paid_anonymously": True,
        "paid_at": "",
        "fee_asset": "USDT",
        "fee_amount": "0.1875",
        "fee_in_usd": "0.1875",
        "comment": "thanks",
    }
    assert paid["status"] == "paid"
    assert "paid_by" not in paid, "Crypto Pay does not tell who paid"
    assert (await control.invoice(invoice_id))["paid_by"] == 42
    assert (await control.balance())["USDT"] == "1006.0625"


async def test_a_price_is_rounded_up_to_what_the_asset_can_express(call, control):
    await control.rates({"USDT/RUB": "87"})
    invoice_id = (await call("createInvoice", **FIAT))["invoice_id"]

    assert (await control.invoice(invoice_id))["quotes"]["USDT"] == "5.747127"


async def test_without_a_rate_an_asset_is_not_accepted(call, control):
    await control.rates({"USDT/RUB": None, "TON/RUB": {"is_valid": False}})
    invoice_id = (await call("createInvoice", **FIAT, accepted_assets="USDT,TON"))["invoice_id"]

    assert (await control.invoice(invoice_id))["quotes"] == {}
    with pytest.raises(AssertionError, match="nothing now"):
        await control.pay(invoice_id)


async def test_an_invoice_expires_by_the_clock_and_is_not_paid_then(call, control):
    invoice_id = (await call("createInvoice", **FIAT, expires_in=60))["invoice_id"]
    await control.advance(59)
    assert (await control.invoice(invoice_id))["status"] == "active"

    await control.advance(2)

    assert (await call("getInvoices"))["items"][0]["status"] == "expired"
    assert (await call("getInvoices", status="active"))["items"] == []
    with pytest.raises(AssertionError, match="expired"):
        await control.pay(invoice_id)


async def test_money_can_come_after_the_invoice_has_expired(call, control, receiver):
    invoice_id = (await call("createInvoice", **FIAT))["invoice_id"]
    assert (await control.expire(invoice_id))["status"] == "expired"

    await control.pay(invoice_id, force=True)

    assert (await receiver.until(1))[0].update["payload"]["status"] == "paid"


async def test_an_invoice_is_paid_once(call, control):
    invoice_id = (await call("createInvoice", **FIAT))["invoice_id"]
    await control.pay(invoice_id)

    with pytest.raises(AssertionError, match="paid already"):
        await control.pay(invoice_id)
    with pytest.raises(AssertionError, match="paid already"):
        await control.expire(invoice_id)


async def test_an_asset_that_is_not_accepted_is_refused(call, control):
    invoice_id = (await call("createInvoice", asset="TON", amount="1"))["invoice_id"]

    with pytest.raises(AssertionError, match="can be paid in TON"):
        await control.pay(invoice_id, asset="USDT")


async def test_a_payment_can_be_of_any_amount(call, control):
    invoice_id = (await call("createInvoice", asset="TON", amount="3"))["invoice_id"]

    paid = await control.pay(invoice_id, amount="2.99")

    assert (paid["amount"], paid["paid_amount"]) == ("3", "2.99")


async def test_the_control_api_makes_invoices_without_a_token(call, control):
    made = (await control.call("POST", "/invoices", json=FIAT | {"payload": "p-9"}))["invoice"]

    assert (await call("getInvoices"))["items"][0]["invoice_id"] == made["invoice_id"]
    assert (await control.wait_invoice("p-9"))["invoice_id"] == made["invoice_id"]


# --- transfers --------------------------------------------------------------------------------

REFUND = {"user_id": 42, "asset": "USDT", "amount": "6.25", "spend_id": "refund-1"}


async def test_a_transfer_is_sent_once_per_spend_id(call, refused, control):
    sent = await call("transfer", **REFUND, comment="your refund")

    assert sent.pop("completed_at").endswith("Z")
    assert sent.pop("transfer_id") == 1
    assert sent == {**REFUND, "status": "completed", "comment": "your refund"}
    assert await refused("transfer", **REFUND) == (400, "SPEND_ID_ALREADY_USED")
    assert (await control.balance())["USDT"] == "993.75"


async def test_transfers_are_found_by_every_filter(call):
    await call("transfer", **REFUND)
    await call("transfer", **(REFUND | {"spend_id": "refund-2"}))

    async def found(**query):
        items = (await call("getTransfers", **query))["items"]
        return [item["spend_id"] for item in items]

    assert await found() == ["refund-2", "refund-1"]
    assert await found(spend_id="refund-1") == ["refund-1"]
    assert await found(transfer_ids="2") == ["refund-2"]
    assert await found(asset="TON") == []
    assert await found(count=1, offset=1) == ["refund-1"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"spend_id": "x" * 65}, "SPEND_ID_INVALID"),
        ({"spend_id": None}, "SPEND_ID_REQUIRED"),
        ({"user_id": None}, "USER_ID_REQUIRED"),
        ({"user_id": "somebody"}, "USER_ID_INVALID"),
        ({"amount": "0.99"}, "AMOUNT_TOO_SMALL"),
        ({"amount": "25001"}, "AMOUNT_TOO_BIG"),
        ({"amount": "1001"}, "INSUFFICIENT_FUNDS"),
        ({"comment": "x" * 1025}, "COMMENT_INVALID"),
        ({"user_id": 666}, "USER_NOT_FOUND"),
    ],
)
async def test_a_wrong_transfer_is_refused_and_its_spend_id_stays_free(
    refused, call, control, change, name
):
    await control.call("POST", "/users/666", json={"known": False})

    assert await refused("transfer", **(REFUND | change)) == (400, name)
    await call("transfer", **REFUND)


async def test_transfers_can_be_disabled(refused, control):
    await control.call("POST", "/settings", json={"transfers": False})

    assert await refused("transfer", **REFUND) == (403, "METHOD_DISABLED")


async def test_the_balance_can_be_set(call, control):
    await control.call("POST", "/balance", json={"TON": "7.5"})

    balance = {each["currency_code"]: each for each in await call("getBalance")}

    assert balance["TON"] == {"currency_code": "TON", "available": "7.5", "onhold": "0"}
