"""Junk under a right signature: whoever has the token, or a provider's mistake, stops nothing."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.adapters.providers.crypto_pay import CryptoPay, _paid
from billing.domain.currencies import MINOR_MAX
from billing.domain.errors import InvalidError
from contracts.payments import CRYPTO_PAY
from simulators.crypto_pay.testing import (
    SIGNATURE_HEADER,
    ControlClient,
    CryptoPaySimulator,
    sign,
)

TOKEN = "777:AA-token-of-a-test"
INVOICE = {
    "invoice_id": 5,
    "status": "paid",
    "currency_type": "fiat",
    "fiat": "USD",
    "amount": "5.49",
    "paid_asset": "USDT",
    "paid_amount": "5.49",
    "paid_fiat_rate": "1",
    "created_at": "2026-11-22T00:00:00Z",
    "paid_at": "2026-11-22T00:00:00Z",
    "payload": "1d8f1c3a-4a5e-7b1c-8d2e-3f4a5b6c7d8e",
}
CRYPTO = {**INVOICE, "currency_type": "crypto", "asset": "USDT"}
JUNK = [
    {**INVOICE, "paid_amount": "NaN"},
    {**INVOICE, "paid_amount": "sNaN"},
    {**INVOICE, "paid_amount": "1e999999999"},
    {**INVOICE, "paid_fiat_rate": "-1"},
    {**INVOICE, "paid_fiat_rate": "Infinity"},
    {**INVOICE, "amount": "NaN"},
    {**CRYPTO, "paid_amount": "0"},
    {**CRYPTO, "paid_amount": "NaN"},
    {**CRYPTO, "paid_asset": ["USDT"]},
    {**INVOICE, "invoice_id": "5\x00"},
    {**INVOICE, "invoice_id": ""},
    {**INVOICE, "invoice_id": "5" * 201},
    {**INVOICE, "paid_at": "9999-12-31T23:59:59-12:00"},
    {**INVOICE, "paid_at": "0001-01-01T00:00:00+12:00"},
    {**INVOICE, "paid_at": "2026-11-22T00:00:00"},
    {**INVOICE, "paid_at": None},
    {**INVOICE, "status": "expired", "expiration_date": "9999-12-31T23:59:59-12:00"},
    ["invoice"],
    "invoice",
    None,
]
PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()
THINGS = st.recursive(
    PLAIN, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3)
)
ODD = st.sampled_from(
    ["NaN", "-0", "1e400", "-1", "9" * 40, "0x1", "1_0", "\x00", "9999-12-31T23:59:59-12:00", "é"]
)


def body_of(invoice):
    return json.dumps({"update_type": "invoice_paid", "payload": invoice}).encode()


@pytest.fixture
async def teller(cashier, teller_of):
    async with CryptoPaySimulator(token=TOKEN, time_scale=0) as simulator:
        async with ControlClient(simulator.url) as control:
            provider = CryptoPay(
                token=TOKEN,
                base_url=simulator.url,
                tender=cashier.till.offers.tenders[CRYPTO_PAY],
                clock=cashier.desk.clock,
                webhooks=True,
            )
            price = (549, "USD")
            yield await teller_of(provider, control, price=price, find_made=control.wait_invoice)


async def stored(teller):
    return await teller.cashier.rows(
        "SELECT (SELECT count(*) FROM charges), (SELECT count(*) FROM provider_events)"
    )


async def test_signed_junk_is_refused_and_nothing_of_it_is_kept(teller):
    bodies = [body_of(each) for each in JUNK]
    bodies += [b'{"a":' * 40_000, b"[" * 100_000, b'"\xff"', b"[]", b"null", b""]

    for body in bodies:
        status = await teller.post(body, headers={SIGNATURE_HEADER: sign(TOKEN, body)})
        assert status == 400, body[:300]

    assert await stored(teller) == [(0, 0)]


async def test_whatever_is_signed_is_answered_without_an_error_of_ours(teller):
    """Fields of a real invoice, some of them replaced by anything: kept or refused, never a 500."""
    loop = asyncio.get_running_loop()
    statuses = set()

    async def post(invoice):
        body = body_of(invoice)
        return await teller.post(body, headers={SIGNATURE_HEADER: sign(TOKEN, body)})

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from([INVOICE, CRYPTO]),
        st.dictionaries(st.sampled_from(sorted(CRYPTO)), ODD | THINGS, min_size=1, max_size=3),
    )
    def anything(invoice, changes):
        sent = asyncio.run_coroutine_threadsafe(post({**invoice, **changes}), loop)
        statuses.add(sent.result(20))
        assert statuses <= {200, 400}

    await asyncio.to_thread(anything)

    assert statuses == {200, 400}


# --- what came for a price in a currency -------------------------------------------------------


def paid(amount, asset, came, rate, fiat="USD"):
    return _paid(
        {
            "currency_type": "fiat",
            "fiat": fiat,
            "amount": amount,
            "paid_asset": asset,
            "paid_amount": came,
            "paid_fiat_rate": rate,
        }
    )[0]


def test_a_fiat_price_is_met_up_to_the_rounding_of_the_asset_and_its_rate():
    assert paid("5.49", "USDT", "5.490713", "0.99987") == 549
    assert paid("500.00", "BTC", "0.00512821", "97499.99") == 50_000
    assert paid("10000.00", "BTC", "0.00123457", "8100000", "RUB") == 1_000_000


def test_what_is_short_by_more_than_rounding_is_not_what_was_asked_for():
    """By two cents of five dollars, or by one in a hundred of five hundred."""
    assert paid("5.49", "USDT", "5.47", "1") == 547
    assert paid("5.49", "USDT", "5.51", "1") == 551
    assert paid("500.00", "USDT", "495.01", "1") == 49_501
    assert paid("0.01", "USDT", "0.000001", "1") == 1


@pytest.mark.parametrize("amount", ["NaN", "-1", "0", "Infinity", str(MINOR_MAX)])
def test_no_amount_is_none(amount):
    with pytest.raises(InvalidError):
        paid("5.49", "USDT", amount, "1")
