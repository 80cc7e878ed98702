"""Every fault that can be ordered, and how often it strikes."""

import asyncio
import json

import aiohttp
import pytest

from simulators.crypto_pay.testing import eventually

TOKEN = "777:AA-token-of-a-test"
USDT = {"asset": "USDT", "amount": "5"}
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@pytest.fixture
def invoice(call):
    async def make() -> int:
        return int((await call("createInvoice", **USDT))["invoice_id"])

    return make


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("400", "BAD_REQUEST"),
        ("401", "UNAUTHORIZED"),
        ("429", "TOO_MANY_REQUESTS"),
        ("500", "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_an_error_answer_strikes_as_often_as_ordered(control, refused, call, kind, name):
    await control.fault(kind, times=2)

    assert await refused("getMe") == (int(kind), name)
    assert await refused("getBalance") == (int(kind), name)
    await call("getMe")


@pytest.mark.parametrize("kind", ["502", "503"])
async def test_a_gateway_answers_with_a_page(control, sim, kind):
    await control.fault(kind, times=1)
    headers = {"Crypto-Pay-API-Token": TOKEN}

    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{sim.api_url}/getMe") as response:
            text = await response.text()

    assert (response.status, response.content_type) == (int(kind), "text/html")
    assert text.startswith("<html>")


async def test_a_fault_can_be_for_one_method(control, refused, call):
    await control.fault("500", times=1, method="getInvoices", name="TRY_LATER")

    await call("getMe")
    assert await refused("getInvoices") == (500, "TRY_LATER")


async def test_a_fault_can_strike_by_chance_and_spare_a_method(control, call):
    await control.fault("500", probability=0.5, exclude=["getBalance"])

    statuses = [(await control.api(TOKEN, "getMe"))[0] for _ in range(40)]

    assert {200, 500} == set(statuses)
    for _ in range(5):
        await call("getBalance")


async def test_the_answer_about_a_new_invoice_can_get_lost(control, call):
    await control.fault("lost_answer", times=1)

    with pytest.raises(LOST):
        await control.api(TOKEN, "createInvoice", **USDT, payload="p-1")

    found = (await call("getInvoices", status="active"))["items"]
    assert [item["payload"] for item in found] == ["p-1"]
    assert (await control.calls("createInvoice"))[0]["status"] == 0


async def test_a_method_can_be_carried_out_and_answered_with_500(control, refused, call):
    await control.fault("500", times=1, method="createInvoice", after=True)

    assert await refused("createInvoice", **USDT) == (500, "INTERNAL_SERVER_ERROR")
    assert len((await call("getInvoices"))["items"]) == 1


async def test_a_reset_call_is_not_carried_out(control, call):
    await control.fault("reset", times=1)

    with pytest.raises(LOST):
        await control.api(TOKEN, "createInvoice", **USDT)

    assert (await call("getInvoices"))["items"] == []


async def test_a_hanging_call_ends_when_its_time_is_over_or_the_simulator_stops(control, sim):
    await control.fault("hang", times=1, seconds=0.05)
    with pytest.raises(LOST):
        await control.api(TOKEN, "getMe")

    await control.fault("hang", times=1)
    hanging = asyncio.create_task(control.api(TOKEN, "getMe"))
    await eventually(
        control.calls, lambda calls: [call["fault"] for call in calls] == ["hang", "hang"]
    )

    async with asyncio.timeout(5):
        await sim.stop()
        with pytest.raises(LOST):
            await hanging


async def test_a_call_can_be_carried_out_after_whoever_made_it_has_gone(control, call):
    await control.fault("late_call", times=1, method="createInvoice", seconds=3600)

    with pytest.raises(LOST):
        await control.api(TOKEN, "createInvoice", **USDT, payload="p-1")

    assert (await call("getInvoices"))["items"] == []
    await control.advance(3600)
    await control.wait_invoice("p-1")


async def test_latency_delays_the_answer(control, call):
    await control.fault("latency", times=1, seconds=0.05)

    await call("getMe")

    assert (await control.calls("getMe"))[0]["duration_ms"] >= 50


# --- payments and webhooks --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "asset", "amount"),
    [
        ({}, "USDT", "2.5"),
        ({"factor": "1.1"}, "USDT", "5.5"),
        ({"amount": "4.999999"}, "USDT", "4.999999"),
        ({"asset": "TON"}, "TON", "5"),
    ],
)
async def test_something_else_than_asked_for_is_paid(
    control, invoice, receiver, wish, asset, amount
):
    await control.fault("wrong_amount", times=1, **wish)
    wrong, right = await invoice(), await invoice()

    await control.pay(wrong)
    await control.pay(right)

    paid = {got.invoice_id: got.update["payload"] for got in await receiver.until(2)}
    assert (paid[wrong]["paid_asset"], paid[wrong]["paid_amount"]) == (asset, amount)
    assert (paid[wrong]["asset"], paid[wrong]["amount"]) == ("USDT", "5")
    assert (paid[right]["paid_asset"], paid[right]["paid_amount"]) == ("USDT", "5")


async def test_a_webhook_can_come_several_times(control, invoice, receiver):
    await control.fault("duplicate", times=1, copies=3)
    invoice_id = await invoice()

    await control.pay(invoice_id)

    received = await receiver.until(4)
    assert len({got.body for got in received}) == 1
    assert (await control.wait_webhook(invoice_id))["state"] == "delivered"
    assert len(receiver.received) == 4


async def test_webhooks_can_change_places(control, invoice, receiver):
    first, second = await invoice(), await invoice()
    await control.fault("reorder", times=1, invoice_id=first)

    await control.pay(first)
    await control.pay(second)

    await receiver.until(2)
    assert receiver.invoice_ids == [second, first]


async def test_a_webhook_that_nobody_overtakes_comes_in_the_end(control, invoice, receiver):
    await control.fault("reorder", times=1, seconds=0.05)

    await control.pay(await invoice())

    await receiver.until(1)


async def test_a_webhook_can_be_late_by_the_clock(control, invoice, receiver):
    late, punctual = await invoice(), await invoice()
    await control.fault("late", times=1, invoice_id=late, seconds=3600)

    await control.pay(late)
    await control.pay(punctual)
    await control.wait_webhook(punctual)
    assert receiver.invoice_ids == [punctual]
    await control.advance(3600)

    await receiver.until(2)
    assert receiver.invoice_ids == [punctual, late]


async def test_a_forged_webhook_comes_before_the_genuine_one(control, invoice, receiver):
    await control.fault("forged", times=1)
    invoice_id = await invoice()

    await control.pay(invoice_id)

    sent = await control.wait_webhook(invoice_id)
    assert [got.genuine for got in receiver.received] == [False, True]
    assert [attempt["kind"] for attempt in sent["attempts"]] == ["forged", "normal"]


async def test_an_old_webhook_comes_again_before_a_new_one(control, invoice, receiver):
    old, new = await invoice(), await invoice()
    await control.pay(old)
    await control.wait_webhook(old)
    await control.fault("replay", times=1)

    await control.pay(new)

    await control.wait_webhook(new)
    assert receiver.invoice_ids == [old, old, new]
    assert receiver.received[0] == receiver.received[1]


async def test_a_webhook_can_be_lost_for_ever(control, invoice, receiver):
    await control.fault("lost", times=1)
    lost, told = await invoice(), await invoice()

    await control.pay(lost)
    await control.pay(told)

    await control.wait_webhook(told)
    assert receiver.invoice_ids == [told]
    assert (await control.webhooks(lost))[0]["state"] == "lost"


async def test_two_updates_can_have_one_number(control, invoice, receiver):
    first, second = await invoice(), await invoice()
    await control.pay(first)
    await control.wait_webhook(first)
    await control.fault("same_update_id", times=1)

    await control.pay(second)

    got = [json.loads(each.body)["update_id"] for each in await receiver.until(2)]
    assert got[0] == got[1]
    assert receiver.invoice_ids == [first, second]


async def test_faults_are_listed_counted_and_removed(control, call):
    order = await control.fault("400", method="getStats", times=3)
    await control.fault("hang")
    await control.api(TOKEN, "getStats")

    listed = (await control.call("GET", "/faults"))["faults"]
    assert [(fault["kind"], fault["times"], fault["fired"]) for fault in listed] == [
        ("400", 2, 1),
        ("hang", None, 0),
    ]
    await control.call("DELETE", f"/faults/{order['fault_id']}")
    await control.clear_faults()
    await call("getStats")


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "earthquake"},
        {"kind": "500", "color": "red"},
        {"kind": "wrong_amount", "amount": 0},
    ],
)
async def test_an_impossible_fault_is_refused(control, wish):
    with pytest.raises(AssertionError):
        await control.call("POST", "/faults", json=wish)


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/invoices/1", None),
        ("POST", "/invoices/x/pay", None),
        ("POST", "/rates", {"USDT/XTR": "1"}),
        ("POST", "/rates", {"USDT/RUB": "-1"}),
        ("POST", "/clock", {}),
        ("POST", "/balance", {"DOGE": "1"}),
        ("POST", "/webhook", {"colour": "red"}),
        ("POST", "/webhooks/1/resend", {}),
        ("POST", "/settings", {"colour": "red"}),
    ],
)
async def test_an_impossible_order_is_refused_in_words(control, verb, path, body):
    with pytest.raises(AssertionError, match="'ok': False"):
        await control.call(verb, path, json=body)
