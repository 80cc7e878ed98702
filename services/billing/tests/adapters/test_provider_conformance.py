"""What every payment provider must do, each against its simulator over real sockets."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from billing.adapters.providers.crypto_pay import CryptoPay
from billing.adapters.providers.yookassa import Shop, YooKassa
from billing.domain.charges import REFUNDING, Charge
from billing.domain.offers import Tender
from billing.domain.payments import Payment
from billing.ports.payments import (
    EVENT_EXPIRED,
    EVENT_PAID,
    EVENT_REFUNDED,
    PaymentProvider,
    ProviderAwayError,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnclearError,
    Refunded,
    Refused,
    TokenRefusedError,
    WebhookRejectedError,
)
from chassis.clock import SystemClock
from contracts.ids import PaymentId, UserId
from contracts.money import Credits
from contracts.payments import PRODUCT_PACK
from simulators.crypto_pay.testing import SIGNATURE_HEADER, CryptoPaySimulator
from simulators.crypto_pay.testing import ControlClient as CryptoPayControl
from simulators.yookassa.testing import ControlClient as YooKassaControl
from simulators.yookassa.testing import YooKassaSimulator

BLACK_HOLE = "http://127.0.0.1:9/"


class Case(ABC):
    """One provider, and how its simulator is told to do what a test wants."""

    currency: str
    refund_method: str
    provider: PaymentProvider
    control: Any

    def payment(self, amount_minor: int = 500) -> Payment:
        now = datetime.now(UTC)
        return Payment(
            PaymentId(uuid4()),
            UserId(42),
            self.provider.name,
            PRODUCT_PACK,
            "credits_100",
            Credits(100),
            Credits(0),
            amount_minor,
            self.currency,
            now,
            expires_at=now + timedelta(hours=1),
        )

    def charge(self, event: ProviderEvent) -> Charge:
        return Charge(
            self.provider.name,
            event.charge_id,
            event.payment_id,
            UserId(42),
            "credits_100",
            event.amount_minor,
            event.currency,
            event.at,
            REFUNDING,
            refunding_minor=event.amount_minor,
        )

    def key(self, ref: str) -> Any:
        """The invoice's id as its simulator knows it."""
        return ref

    async def pay(self, ref: str) -> None:
        await self.control.pay(self.key(ref))

    async def webhook(self, ref: str) -> tuple[bytes, dict[str, str]]:
        """The first one about the invoice: its body and headers."""
        (sent,) = await self.control.webhooks(self.key(ref))
        attempt = sent["attempts"][0]
        return attempt["body"].encode(), {SIGNATURE_HEADER: attempt["signature"]}

    @abstractmethod
    async def given_back(self) -> int:
        """How many times money went back."""


class CryptoPayCase(Case):
    currency = "USD"
    refund_method = "transfer"

    def key(self, ref: str) -> int:
        return int(ref)

    async def given_back(self) -> int:
        _, answer = await self.control.api(self.token, "getTransfers")
        return len(answer["result"]["items"])

    def __init__(self, simulator: CryptoPaySimulator, control: CryptoPayControl) -> None:
        self.control = control
        self.token = simulator.token
        self.provider = CryptoPay(
            token=simulator.token,
            base_url=simulator.url,
            tender=Tender("USD", ("USDT",)),
            clock=SystemClock(),
            webhooks=True,
        )


class YooKassaCase(Case):
    currency = "RUB"
    refund_method = "create_refund"

    async def given_back(self) -> int:
        return len(await self.control.refunds())

    def __init__(self, simulator: YooKassaSimulator, control: YooKassaControl) -> None:
        self.control = control
        shop = Shop(
            simulator.shop_id, simulator.secret, "https://t.me/bot", base_url=simulator.api_url
        )
        self.provider = YooKassa(shop, clock=SystemClock(), webhooks=True)


@pytest.fixture(params=["crypto_pay", "yookassa"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    found: Case
    # Nobody listens there: an attempt is made and kept, and the test delivers it by hand.
    if request.param == "crypto_pay":
        async with (
            CryptoPaySimulator(webhook_url=BLACK_HOLE) as crypto_pay,
            CryptoPayControl(crypto_pay.url) as crypto_control,
        ):
            found = CryptoPayCase(crypto_pay, crypto_control)
            yield found
            await found.provider.close()
        return
    async with (
        YooKassaSimulator(webhook_url=BLACK_HOLE) as yookassa,
        YooKassaControl(yookassa.url) as yookassa_control,
    ):
        found = YooKassaCase(yookassa, yookassa_control)
        yield found
        await found.provider.close()


async def bought(case: Case) -> ProviderEvent:
    ref = (await case.provider.create(case.payment())).provider_ref
    await case.pay(ref)
    (event,) = await case.provider.fetch([ref])
    return event


async def test_an_invoice_is_made_with_a_page_to_pay_on_and_found_again(case):
    wanted = case.payment()

    created = await case.provider.create(wanted)

    assert created.provider_ref
    assert created.pay_url.startswith("http")
    assert created.raw
    found = await case.provider.find(wanted.payment_id)
    assert (found.provider_ref, found.pay_url) == (created.provider_ref, created.pay_url)
    assert await case.provider.find(PaymentId(uuid4())) is None


async def test_an_invoice_whose_answer_was_lost_is_found(case):
    wanted = case.payment()
    await case.control.fault("lost_answer", times=1)

    with pytest.raises(ProviderUnclearError):
        await case.provider.create(wanted)

    assert await case.provider.find(wanted.payment_id) is not None


async def test_nothing_is_told_of_an_open_invoice(case):
    created = await case.provider.create(case.payment())

    assert await case.provider.fetch([created.provider_ref]) == []
    assert (await case.provider.list_since(""))[0] == []


async def test_a_payment_is_the_same_fact_whatever_way_it_is_told(case):
    wanted = case.payment(1_234)
    ref = (await case.provider.create(wanted)).provider_ref
    await case.pay(ref)
    told = [*await case.provider.fetch([ref]), *(await case.provider.list_since(""))[0]]
    # The attempt is under way: it has a body as soon as the simulator took the payment.
    await case.control.wait_webhook(case.key(ref), "waiting")
    hints = case.provider.parse_webhook(*await case.webhook(ref), "127.0.0.1")
    if case.provider.capabilities.webhook_hints:
        hints = await case.provider.fetch([hint.provider_ref for hint in hints])
    told += hints

    facts = {
        (each.event_key, each.kind, each.provider_ref, each.charge_id, each.payment_id)
        for each in told
    }
    assert len(told) == 3
    assert len(facts) == 1
    assert {(each.kind, each.payment_id) for each in told} == {(EVENT_PAID, wanted.payment_id)}
    assert {(each.amount_minor, each.currency) for each in told} == {(1_234, case.currency)}


async def test_a_wrong_amount_is_told_as_it_came(case):
    await case.control.fault("wrong_amount", times=1)

    event = await bought(case)

    assert (event.amount_minor, event.currency) == (250, case.currency)


async def test_an_invoice_that_ends_unpaid_is_told(case):
    wanted = case.payment()
    ref = (await case.provider.create(wanted)).provider_ref

    await case.control.expire(case.key(ref))

    (event,) = await case.provider.fetch([ref])
    assert (event.kind, event.payment_id) == (EVENT_EXPIRED, wanted.payment_id)


async def test_the_statement_goes_on_from_its_cursor(case):
    first = await bought(case)
    _, cursor = await case.provider.list_since("")
    second = await bought(case)

    later, _ = await case.provider.list_since(cursor)

    assert second.event_key in {event.event_key for event in later}
    assert {event.event_key for event in later} <= {first.event_key, second.event_key}


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff\xfe", b'{"object": 5}', b"null"])
async def test_a_webhook_that_is_nothing_is_rejected(case, raw):
    with pytest.raises(WebhookRejectedError) as caught:
        case.provider.parse_webhook(raw, {}, "127.0.0.1")

    assert caught.value.status in {400, 401}


async def test_a_refund_is_made_once_however_often_it_is_asked_for(case):
    charge = case.charge(await bought(case))
    await case.control.fault("lost_answer", method=case.refund_method, times=1)

    with pytest.raises(ProviderUnclearError):
        await case.provider.refund(charge, "refund-1")
    answers = [await case.provider.refund(charge, "refund-1") for _ in range(3)]

    assert answers == [Refunded()] * 3
    assert await case.given_back() == 1


async def test_a_refund_that_is_refused_says_so(case):
    charge = case.charge(await bought(case))
    await case.control.fault("400", method=case.refund_method, times=1)

    answer = await case.provider.refund(charge, "refund-1")

    assert isinstance(answer, Refused)
    assert answer.code
    assert await case.given_back() == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("400", ProviderRefusedError),
        ("401", TokenRefusedError),
        ("429", ProviderUnclearError),
        ("500", ProviderUnclearError),
        ("502", ProviderUnclearError),
        ("503", ProviderUnclearError),
        ("reset", ProviderUnclearError),
    ],
)
async def test_every_call_says_in_the_same_way_why_it_failed(case, kind, error):
    provider = case.provider
    calls = (
        provider.check,
        lambda: provider.create(case.payment()),
        lambda: provider.find(PaymentId(uuid4())),
        lambda: provider.fetch(["1"]),
        lambda: provider.list_since(""),
    )
    for call in calls:
        # Until it is cleared: a GET whose connection is cut is asked once more by itself.
        await case.control.fault(kind)

        with pytest.raises(error):
            await call()
        await case.control.clear_faults()

    await provider.check()


async def test_an_invoice_asked_for_twice_is_one_where_that_is_promised(case):
    wanted = case.payment()

    refs = {(await case.provider.create(wanted)).provider_ref for _ in range(2)}

    assert (len(refs) == 1) == case.provider.capabilities.creates_once


async def test_money_that_is_called_back_is_in_the_statement_where_there_is_such_a_thing(case):
    capabilities = case.provider.capabilities
    event = await bought(case)
    if not capabilities.charge_backs:
        assert not hasattr(case.control, "charge_back"), "then the stand-in has none either"
        return

    await case.control.charge_back(event.provider_ref)
    events, _ = await case.provider.list_since("")

    assert capabilities.states_refunds
    assert [each.kind for each in events] == [EVENT_PAID, EVENT_REFUNDED]
    assert {each.charge_id for each in events} == {event.charge_id}


async def test_a_provider_that_cannot_be_reached_did_nothing(case):
    await case.provider.close()
    caller = getattr(case.provider, "_api", case.provider)
    caller._session, caller._base_url = None, "http://127.0.0.1:9"

    with pytest.raises(ProviderAwayError):
        await case.provider.create(case.payment())
