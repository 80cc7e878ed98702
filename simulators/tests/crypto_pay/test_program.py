"""The program: settings from the environment, its address, a signal, what survives a restart."""

import signal
from contextlib import asynccontextmanager

import pytest

from simulators.crypto_pay.testing import ControlClient
from simulators.provider.testing import program

TOKEN = "777:AA-token-of-a-test"
USDT = {"asset": "USDT", "amount": "5"}
REFUND = {"user_id": 1, "asset": "USDT", "amount": "2", "spend_id": "r-1"}


@asynccontextmanager
async def running(number: int = signal.SIGTERM, *arguments: str, **settings: str):
    environment = {f"CRYPTO_PAY_SIMULATOR_{name}": value for name, value in settings.items()}
    running = program("simulators.crypto_pay", environment, *arguments, stop_with=number)
    async with running as url, ControlClient(url) as control:
        yield control


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_reads_the_environment_and_stops_on_a_signal(number):
    settings = {
        "TOKEN": TOKEN,
        "TESTNET": "yes",
        "BALANCE": "TON=5",
        "TRANSFERS": "no",
        "WEBHOOK_URL": "http://127.0.0.1:9/hook",
        "PUBLIC_URL": "http://pay.localhost:8080/",
    }
    async with running(number, "--app-name", "Shop", **settings) as control:
        _, me = await control.api(TOKEN, "getMe")
        _, made = await control.api(TOKEN, "createInvoice", asset="JET", amount="1")
        status, _ = await control.api(TOKEN, "transfer", **REFUND)
        balance = await control.balance()
        webhook = (await control.call("GET", "/webhook"))["webhook"]

    assert (me["result"]["name"], me["result"]["app_id"]) == ("Shop", 777)
    assert made["result"]["bot_invoice_url"].startswith("http://pay.localhost:8080/pay/IV")
    assert status == 403
    assert (balance["TON"], balance["USDT"]) == ("5", "0")
    assert (webhook["url"], webhook["enabled"]) == ("http://127.0.0.1:9/hook", True)


async def test_invoices_transfers_and_the_balance_survive_a_restart(tmp_path):
    settings = {"TOKEN": TOKEN, "STATE": str(tmp_path / "state.db")}
    async with running(**settings) as control:
        ids = [
            (await control.api(TOKEN, "createInvoice", **USDT))[1]["result"]["invoice_id"]
            for _ in range(3)
        ]
        await control.pay(ids[0], user=1)
        await control.api(TOKEN, "deleteInvoice", invoice_id=ids[1])
        await control.api(TOKEN, "transfer", **REFUND)
        before = await control.invoices(), await control.balance()

    async with running(**settings) as control:
        after = await control.invoices(), await control.balance()
        _, again = await control.api(TOKEN, "transfer", **REFUND)
        made = (await control.api(TOKEN, "createInvoice", **USDT))[1]["result"]

    assert [invoice["invoice_id"] for invoice in after[0]] == [ids[2], ids[0]]
    assert [invoice["status"] for invoice in after[0]] == ["active", "paid"]
    assert [i["hash"] for i in before[0]] == [i["hash"] for i in after[0]]
    assert before[1] == after[1]
    assert again["error"]["name"] == "SPEND_ID_ALREADY_USED"
    assert made["invoice_id"] > ids[2]
