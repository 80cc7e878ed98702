"""What becomes of a payment: paid, declined, late, captured, canceled, given back."""

import pytest


def refund_of(payment, value="199.00", **more):
    return {
        "payment_id": payment["id"],
        "amount": {"value": value, "currency": "RUB"},
        **more,
    }


async def test_a_paid_payment_is_succeeded_and_can_be_refunded(stand):
    paid = await stand.sell()

    assert (paid["status"], paid["paid"], paid["refundable"]) == ("succeeded", True, True)
    assert paid["captured_at"] >= paid["created_at"]
    assert paid["refunded_amount"]["value"] == "0.00"
    assert "confirmation" not in paid
    with pytest.raises(AssertionError, match="the payment is succeeded"):
        await stand.control.pay(paid["id"])


async def test_without_capture_the_money_waits_for_the_shop(stand):
    held = await stand.sell(capture=False)
    assert (held["status"], held["paid"]) == ("waiting_for_capture", True)

    status, captured = await stand.api.post(
        f"/payments/{held['id']}/capture", {"amount": {"value": "100.00", "currency": "RUB"}}
    )

    assert (status, captured["status"]) == (200, "succeeded")
    assert captured["amount"]["value"] == "100.00"
    refused = await stand.refuse(f"/payments/{held['id']}/capture", {})
    assert refused == (400, "invalid_request", "status")


async def test_held_money_goes_back_after_a_week(stand):
    held = await stand.sell(capture=False)

    await stand.control.advance(7 * 86_400 + 1)

    _, gone = await stand.api.get(f"/payments/{held['id']}")
    assert gone["cancellation_details"] == {"party": "yoo_money", "reason": "expired_on_capture"}


async def test_the_shop_can_cancel_what_is_not_paid(stand):
    made = await stand.make()

    _, canceled = await stand.api.post(f"/payments/{made['id']}/cancel", {})

    assert canceled["cancellation_details"]["party"] == "merchant"
    paid = await stand.sell()
    refused = await stand.refuse(f"/payments/{paid['id']}/cancel", {})
    assert refused == (400, "invalid_request", "status")


async def test_a_decline_and_its_reason_are_told(stand):
    made = await stand.make()

    declined = await stand.control.decline(made["id"], reason="insufficient_funds")

    assert declined["status"] == "canceled"
    assert declined["cancellation_details"] == {
        "party": "payment_network",
        "reason": "insufficient_funds",
    }


async def test_nobody_waits_longer_than_an_hour_for_the_payer(stand):
    made = await stand.make()

    await stand.control.advance(3_601)

    (got,) = await stand.receiver.until(1)
    assert got.event == "payment.canceled"
    assert got.object["cancellation_details"]["reason"] == "expired_on_confirmation"
    with pytest.raises(AssertionError, match="the payment is canceled"):
        await stand.control.pay(made["id"])
    late = await stand.control.pay(made["id"], force=True)
    assert late["status"] == "succeeded"


async def test_a_payment_is_given_back_in_parts_and_no_more_than_was_paid(stand):
    paid = await stand.sell()

    _, part = await stand.api.post("/refunds", refund_of(paid, "99.00", description="sorry"))
    too_much = await stand.refuse("/refunds", refund_of(paid, "100.01"))
    _, rest = await stand.api.post("/refunds", refund_of(paid, "100.00"))

    assert (part["status"], part["description"]) == ("succeeded", "sorry")
    assert too_much == (400, "invalid_request", "amount")
    _, payment = await stand.api.get(f"/payments/{paid['id']}")
    assert (payment["refunded_amount"]["value"], payment["refundable"]) == ("199.00", False)
    _, listed = await stand.api.get("/refunds", payment_id=paid["id"])
    assert [item["id"] for item in listed["items"]] == [rest["id"], part["id"]]
    assert await stand.api.get(f"/refunds/{part['id']}") == (200, part)


async def test_what_is_not_paid_cannot_be_given_back(stand):
    made = await stand.make()

    assert await stand.refuse("/refunds", refund_of(made)) == (
        400,
        "invalid_request",
        "payment_id",
    )
    assert await stand.refuse("/refunds", refund_of({"id": "nobody"})) == (
        400,
        "invalid_request",
        "payment_id",
    )


async def test_a_part_of_a_receipted_payment_needs_a_receipt_of_its_own(start):
    stand = await start(receipts=True)
    item = {
        "description": "100 credits",
        "quantity": "1",
        "amount": {"value": "199.00", "currency": "RUB"},
        "vat_code": 1,
    }
    paid = await stand.sell(receipt={"customer": {"phone": "79000000000"}, "items": [item]})

    refused = await stand.refuse("/refunds", refund_of(paid, "99.00"))
    status, _ = await stand.api.post("/refunds", refund_of(paid))

    assert refused == (400, "invalid_request", "receipt")
    assert status == 200


@pytest.mark.parametrize(("end", "left"), [("succeeded", "199.00"), ("canceled", "0.00")])
async def test_a_pending_refund_ends_as_the_test_says(stand, end, left):
    paid = await stand.sell()
    await stand.control.fault("refund_pending", times=1)
    _, refund = await stand.api.post("/refunds", refund_of(paid))
    assert refund["status"] == "pending"

    await stand.control.finish_refund(refund["id"], end, "general_decline")

    assert (await stand.api.get(f"/refunds/{refund['id']}"))[1]["status"] == end
    assert (await stand.control.payment(paid["id"]))["refunded_amount"]["value"] == left


async def test_a_bank_takes_the_money_back_though_the_shop_asked_for_nothing(stand):
    paid = await stand.sell()
    await stand.control.refund(paid["id"], amount="50.00")

    back = await stand.control.charge_back(paid["id"])

    _, shown = await stand.api.get(f"/payments/{paid['id']}")
    assert (back["amount"]["value"], back["description"]) == ("149.00", "Chargeback")
    assert (shown["refunded_amount"], shown["refundable"]) == (shown["amount"], False)
    with pytest.raises(AssertionError, match=r"0\.00 of it can be taken back"):
        await stand.control.charge_back(paid["id"])


async def test_a_charge_back_can_be_ordered_before_anybody_pays(stand):
    await stand.control.fault("charge_back", times=1)

    first, second = await stand.sell(), await stand.sell()

    assert [each["payment_id"] for each in await stand.control.refunds()] == [first["id"]]
    _, kept = await stand.api.get(f"/payments/{second['id']}")
    assert kept["refunded_amount"]["value"] == "0.00"
