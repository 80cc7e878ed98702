"""The methods of the API: envelope, encodings, limits, filters, figures."""

from decimal import Decimal

import aiohttp
import pytest

from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator

TOKEN = "777:AA-token-of-a-test"
HEADERS = {"Crypto-Pay-API-Token": TOKEN}


async def test_get_me_names_the_app(call):
    assert await call("getMe") == {
        "app_id": 777,
        "name": "Vitrine",
        "payment_processing_bot_username": "CryptoBot",
    }


@pytest.mark.parametrize("headers", [{}, {"Crypto-Pay-API-Token": "777:wrong"}])
async def test_without_the_token_nothing_is_answered(sim, headers):
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{sim.api_url}/getMe") as response:
            body = await response.json()

    assert response.status == 401
    assert body == {"ok": False, "error": {"code": 401, "name": "UNAUTHORIZED"}}


async def test_an_unknown_method_is_405(refused):
    assert await refused("getRich") == (405, "METHOD_NOT_FOUND")


@pytest.mark.parametrize("way", ["query", "form", "multipart", "json"])
async def test_parameters_come_in_four_encodings(sim, way):
    params = {"asset": "USDT", "amount": "1.50", "allow_comments": "false"}
    multipart = aiohttp.FormData(params, default_to_multipart=True)
    request = {
        "query": {"method": "GET", "params": params},
        "form": {"method": "POST", "data": params},
        "multipart": {"method": "POST", "data": multipart},
        "json": {"method": "POST", "json": {**params, "amount": 1.50, "allow_comments": False}},
    }[way]
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.request(url=f"{sim.api_url}/createInvoice", **request) as response:
            invoice = (await response.json())["result"]

    assert (invoice["amount"], invoice["asset"]) == ("1.5", "USDT")
    assert invoice["allow_comments"] is False


async def test_broken_json_is_refused(sim):
    headers = {**HEADERS, "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{sim.api_url}/getMe", data=b"{not json") as response:
            body = await response.json()

    assert (response.status, body["error"]["name"]) == (400, "JSON_INVALID")


async def test_a_crypto_invoice_has_the_fields_of_the_documentation(call, sim):
    invoice = await call(
        "createInvoice",
        asset="TON",
        amount="10.5",
        description="100 credits",
        hidden_message="Thank you",
        payload='{"payment":"p-1"}',
        paid_btn_name="openBot",
        paid_btn_url="https://t.me/vitrine_bot",
        swap_to="USDT",
        expires_in=60,
    )

    link = f"{sim.url}/pay/{invoice['hash']}"
    assert invoice.pop("created_at").endswith("Z")
    assert invoice.pop("expiration_date").endswith("Z")
    assert isinstance(invoice.pop("invoice_id"), int)
    assert invoice.pop("hash").startswith("IV")
    assert invoice == {
        "currency_type": "crypto",
        "asset": "TON",
        "amount": "10.5",
        "pay_url": link,
        "bot_invoice_url": link,
        "mini_app_invoice_url": link,
        "web_app_invoice_url": link,
        "status": "active",
        "description": "100 credits",
        "hidden_message": "Thank you",
        "payload": '{"payment":"p-1"}',
        "paid_btn_name": "openBot",
        "paid_btn_url": "https://t.me/vitrine_bot",
        "swap_to": "USDT",
        "allow_comments": True,
        "allow_anonymous": True,
    }


async def test_a_fiat_invoice_names_what_it_can_be_paid_in(call):
    every = await call("createInvoice", currency_type="fiat", fiat="RUB", amount="500")
    some = await call(
        "createInvoice", currency_type="fiat", fiat="RUB", amount="500", accepted_assets="TON,USDT"
    )

    assert every["accepted_assets"] == ["USDT", "TON", "BTC", "ETH", "LTC", "BNB", "TRX", "USDC"]
    assert some["accepted_assets"] == ["TON", "USDT"]
    assert "asset" not in some


CRYPTO = {"asset": "USDT", "amount": "1"}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"amount": "1"}, "ASSET_REQUIRED"),
        ({"asset": "USDT"}, "AMOUNT_REQUIRED"),
        ({"asset": "DOGE", "amount": "1"}, "ASSET_INVALID"),
        ({"asset": "JET", "amount": "1"}, "ASSET_INVALID"),
        ({"asset": "USDT", "amount": "0"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": "-1"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": "NaN"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": "1,5"}, "AMOUNT_INVALID"),
        ({"asset": "USDT", "amount": True}, "AMOUNT_INVALID"),
        ({**CRYPTO, "currency_type": "gold"}, "CURRENCY_TYPE_INVALID"),
        ({"currency_type": "fiat", "amount": "1"}, "FIAT_REQUIRED"),
        ({"currency_type": "fiat", "amount": "1", "fiat": "XTR"}, "FIAT_INVALID"),
        (
            {"currency_type": "fiat", "amount": "1", "fiat": "USD", "accepted_assets": "DOGE"},
            "ACCEPTED_ASSETS_INVALID",
        ),
        ({**CRYPTO, "description": "x" * 1025}, "DESCRIPTION_INVALID"),
        ({**CRYPTO, "hidden_message": "x" * 2049}, "HIDDEN_MESSAGE_INVALID"),
        ({**CRYPTO, "payload": "ы" * 2048 + "x"}, "PAYLOAD_INVALID"),
        ({**CRYPTO, "expires_in": 0}, "EXPIRES_IN_INVALID"),
        ({**CRYPTO, "expires_in": 2_678_401}, "EXPIRES_IN_INVALID"),
        ({**CRYPTO, "expires_in": "soon"}, "EXPIRES_IN_INVALID"),
        ({**CRYPTO, "paid_btn_name": "buyMore"}, "PAID_BTN_NAME_INVALID"),
        ({**CRYPTO, "paid_btn_name": "callback"}, "PAID_BTN_URL_REQUIRED"),
        (
            {**CRYPTO, "paid_btn_name": "callback", "paid_btn_url": "javascript:alert(1)"},
            "PAID_BTN_URL_INVALID",
        ),
        ({**CRYPTO, "swap_to": "USDC"}, "SWAP_TO_INVALID"),
        ({**CRYPTO, "allow_comments": "perhaps"}, "ALLOW_COMMENTS_INVALID"),
    ],
)
async def test_a_wrong_invoice_is_refused_by_name(refused, call, params, name):
    assert await refused("createInvoice", **params) == (400, name)
    assert (await call("getInvoices"))["items"] == []


async def test_the_largest_values_are_taken(call):
    invoice = await call(
        "createInvoice",
        **CRYPTO,
        description="x" * 1024,
        hidden_message="x" * 2048,
        payload="ы" * 2048,
        expires_in=2_678_400,
    )

    assert len(invoice["payload"].encode()) == 4096


async def test_a_refused_asset_tells_the_supported_ones(control):
    _, body = await control.api(TOKEN, "createInvoice", asset="DOGE", amount="1")

    assert "USDT" in body["error"]["supported_assets"]


async def test_a_repeated_call_makes_a_second_invoice(call):
    first = await call("createInvoice", **CRYPTO, payload="p-1")
    second = await call("createInvoice", **CRYPTO, payload="p-1")

    assert first["invoice_id"] != second["invoice_id"]
    assert first["hash"] != second["hash"]


async def test_invoices_are_found_by_every_filter(call, control):
    ton = await call("createInvoice", asset="TON", amount="1")
    usdt = await call("createInvoice", **CRYPTO)
    rub = await call("createInvoice", currency_type="fiat", fiat="RUB", amount="100")
    await control.pay(usdt["invoice_id"])

    async def found(**query):
        items = (await call("getInvoices", **query))["items"]
        return [item["invoice_id"] for item in items]

    ids = [ton["invoice_id"], usdt["invoice_id"], rub["invoice_id"]]
    assert await found() == ids[::-1]
    assert await found(asset="TON") == ids[:1]
    assert await found(fiat="RUB") == ids[2:]
    assert await found(status="paid") == ids[1:2]
    assert await found(status="active") == [ids[2], ids[0]]
    assert await found(invoice_ids=f"{ids[0]},{ids[2]}") == [ids[2], ids[0]]
    assert await found(invoice_ids=[ids[1]]) == ids[1:2]
    assert await found(offset=1, count=1) == ids[1:2]
    assert await found(invoice_ids="1") == []


async def test_a_hundred_invoices_come_unless_more_are_asked_for(call):
    for _ in range(101):
        await call("createInvoice", **CRYPTO)

    assert len((await call("getInvoices"))["items"]) == 100
    assert len((await call("getInvoices", count=1000))["items"]) == 101


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"count": 0}, "COUNT_INVALID"),
        ({"count": 1001}, "COUNT_INVALID"),
        ({"offset": -1}, "OFFSET_INVALID"),
        ({"status": "expired"}, "STATUS_INVALID"),
        ({"invoice_ids": "one"}, "INVOICE_IDS_INVALID"),
        ({"asset": "DOGE"}, "ASSET_INVALID"),
        ({"fiat": "XTR"}, "FIAT_INVALID"),
    ],
)
async def test_a_wrong_filter_is_refused_by_name(refused, query, name):
    assert await refused("getInvoices", **query) == (400, name)


async def test_a_deleted_invoice_is_gone_and_a_paid_one_stays(call, refused, control):
    gone = (await call("createInvoice", **CRYPTO))["invoice_id"]
    paid = (await call("createInvoice", **CRYPTO))["invoice_id"]
    await control.pay(paid)

    assert await call("deleteInvoice", invoice_id=gone) is True
    assert await refused("deleteInvoice", invoice_id=gone) == (400, "INVOICE_NOT_FOUND")
    assert await refused("deleteInvoice", invoice_id=paid) == (400, "INVOICE_ALREADY_PAID")
    assert await refused("deleteInvoice") == (400, "INVOICE_ID_REQUIRED")
    assert [i["invoice_id"] for i in (await call("getInvoices"))["items"]] == [paid]


async def test_rates_are_strings_and_follow_the_control(call, control):
    await control.rates({"USDT/RUB": "97.5", "TON/RUB": None})
    await control.rates({"BTC/USD": {"is_valid": False}})

    rates = {(r["source"], r["target"]): r for r in await call("getExchangeRates")}

    assert rates["USDT", "RUB"] == {
        "is_valid": True,
        "is_crypto": True,
        "is_fiat": False,
        "source": "USDT",
        "target": "RUB",
        "rate": "97.5",
    }
    assert ("TON", "RUB") not in rates
    assert rates["BTC", "USD"]["is_valid"] is False
    assert Decimal(rates["TRX", "USD"]["rate"]) == Decimal("0.3")


async def test_currencies_are_listed(call):
    codes = {each["code"]: each for each in await call("getCurrencies")}

    assert codes["USDT"]["is_stablecoin"] is True
    assert codes["BTC"]["decimals"] == 8
    assert codes["UZS"]["is_fiat"] is True


async def test_stats_count_what_was_made_and_paid(call, control):
    first = await call("createInvoice", asset="TON", amount="4")
    await call("createInvoice", **CRYPTO)
    await control.pay(first["invoice_id"], user=1)

    stats = await call("getStats")

    assert (stats["created_invoice_count"], stats["paid_invoice_count"]) == (2, 1)
    assert (stats["volume"], stats["conversion"], stats["unique_users_count"]) == (10, 0.5, 1)


async def test_checks_are_not_enabled(refused, call):
    assert await refused("createCheck", asset="USDT", amount="1") == (403, "METHOD_DISABLED")
    assert await refused("deleteCheck", check_id=1) == (403, "METHOD_DISABLED")
    assert await call("getChecks") == {"items": []}


async def test_the_test_network_has_its_own_asset_and_bot():
    async with CryptoPaySimulator(testnet=True, token=TOKEN) as sim, ControlClient(sim.url) as net:
        _, me = await net.api(TOKEN, "getMe")
        status, _ = await net.api(TOKEN, "createInvoice", asset="JET", amount="1")

    assert me["result"]["payment_processing_bot_username"] == "CryptoTestnetBot"
    assert status == 200
