"""What people are told about their VPN, and what only operators hear."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.access import AccessBought, AccessNotBought, AccessPlan, BuyAccess
from contracts.payments import GetOffers, Offers
from contracts.vpn import (
    Access,
    AccessChanged,
    AccessReminded,
    EverybodyExtended,
    GetAccess,
    KeyRotated,
    NodeAlarmed,
)
from gateway.domain.access_buttons import ChooseAccess
from gateway.domain.callbacks import pack
from gateway.testing import OPERATORS

UNTIL = datetime(2026, 12, 21, 12, tzinfo=UTC)
TRIAL = AccessPlan(id="vpn_trial", price_credits=0, kind="trial", days=3)
SUBSCRIPTION = uuid4()


@pytest.fixture
async def order(chat):
    """A trial somebody asked for."""
    chat.billing[GetAccess] = Access()
    chat.billing[GetOffers] = Offers(access=(TRIAL,), priced_at=UNTIL)
    await chat.send("/start")
    await chat.tap(pack(ChooseAccess(TRIAL.id)))
    (command,) = await chat.emitted(BuyAccess)
    return command


def bought(order, **changes):
    fields = {"kind": "trial", "charged_credits": 0, "available_credits": 20, **changes}
    return AccessBought(
        order_id=order.order_id,
        user_id=order.user_id,
        plan_id=order.plan_id,
        until=UNTIL,
        **fields,
    )


def not_bought(order, code, **fields):
    return AccessNotBought(
        order_id=order.order_id, user_id=order.user_id, plan_id=order.plan_id, code=code, **fields
    )


def changed(chat, cause, **fields):
    values = {"state": "suspended", "plan": "vpn_30", "until": UNTIL, **fields}
    return AccessChanged(user_id=chat.user_id, subscription_id=SUBSCRIPTION, cause=cause, **values)


def reminded(chat, kind, **fields):
    return AccessReminded(
        user_id=chat.user_id, subscription_id=SUBSCRIPTION, kind=kind, until=UNTIL, **fields
    )


async def told(chat):
    return [screen.text for _, screen in await chat.deliveries()]


async def test_what_was_bought_closes_its_screen(chat, order):
    await chat.receive(bought(order))

    assert "Your trial runs until Dec 21 2026" in (await told(chat))[-1]
    assert await chat.one(
        "SELECT state = 'paid' FROM checkouts WHERE checkout_id = $1", order.order_id
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "plan", "charged_credits": 200}, "works until"),
        ({"kind": "plan", "charged_credits": 200, "renewal": True}, "is renewed until"),
        ({"kind": "traffic", "charged_credits": 40}, "traffic is added"),
    ],
)
async def test_each_purchase_has_its_words_and_its_price(chat, order, changes, words):
    await chat.receive(bought(order, **changes))

    text = (await told(chat))[-1]
    assert words in text
    assert f"{changes['charged_credits']} credits" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("trial_used", "had your trial"),
        ("no_nodes", "No server can take you"),
        ("price_expired", "price"),
        ("some_new_code", "could not be bought"),
    ],
)
async def test_a_refusal_says_why_and_that_nothing_was_charged(chat, order, code, words):
    await chat.receive(not_bought(order, code))

    text = (await told(chat))[-1]
    assert words in text
    assert "not charged" in text


async def test_a_renewal_short_of_credits_is_vpns_to_tell(chat, order):
    before = await told(chat)

    await chat.receive(not_bought(order, "insufficient_credits", renewal=True))

    assert await told(chat) == before


@pytest.mark.parametrize(
    ("cause", "fields", "words"),
    [
        ("expired", {"state": "grace", "grace_until": UNTIL}, "still works until"),
        ("expired", {"delete_at": UNTIL}, "link is kept until"),
        ("expired", {}, "switched off"),
        ("extended", {"days": 2, "reason": "an <outage>"}, "an &lt;outage&gt;"),
        ("traffic_spent", {}, "used up"),
        ("revoked", {"auto_renew": True}, "went back"),
        ("revoked", {}, "Nothing is charged for it by itself now"),
        ("deleted", {}, "deleted"),
        ("plan", {}, "has changed"),
    ],
)
async def test_each_change_is_told(chat, cause, fields, words):
    await chat.send("/start")

    await chat.receive(changed(chat, cause, **fields))

    assert words in (await told(chat))[-1]


@pytest.mark.parametrize("cause", ["granted", "renewed", "options", "traffic_added", "invented"])
async def test_what_another_event_tells_is_not_told_twice(chat, cause):
    await chat.send("/start")
    before = await told(chat)

    await chat.receive(changed(chat, cause, state="active"))

    assert await told(chat) == before


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("before_end", {"days_left": 3}, "in 3 days"),
        ("before_end", {"days_left": 1, "auto_renew": True}, "renews by itself from"),
        ("before_end", {}, "ends today"),
        ("trial", {}, "trial ends on"),
        ("credits_short", {}, "not enough credits"),
        ("traffic", {"percent": 80}, "80%"),
        ("devices", {"limit": 3}, "than its 3"),
    ],
)
async def test_each_reminder_has_its_words(chat, kind, fields, words):
    await chat.send("/start")

    await chat.receive(reminded(chat, kind, **fields))

    assert words in (await told(chat))[-1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"confirmed": True}, "refused by every server"),
        ({"confirmed": False, "waiting_nodes": 2}, "2 servers cannot be reached"),
        ({"confirmed": True, "link_too": True}, "link is a new one"),
    ],
)
async def test_a_replaced_key_says_what_the_devices_need(chat, fields, words):
    await chat.send("/start")

    await chat.receive(KeyRotated(user_id=chat.user_id, subscription_id=SUBSCRIPTION, **fields))

    assert words in (await told(chat))[-1]


async def test_a_nodes_trouble_goes_to_the_operators(chat):
    before = await told(chat)

    await chat.receive(NodeAlarmed(node="nl-1", code="node_down", detail="<refused>"))

    assert await told(chat) == before
    assert await chat.one(
        "SELECT count(*) > 0 FROM deliveries WHERE user_id = $1 AND body::text LIKE '%nl-1%'",
        OPERATORS,
    )


async def test_operators_hear_how_many_people_were_given_days(chat):
    event = EverybodyExtended(action_id=uuid4(), days=2, subscriptions=417, actor="ann")

    await chat.receive(event)

    assert await chat.one(
        "SELECT count(*) > 0 FROM deliveries WHERE user_id = $1 AND body::text LIKE '%417%'",
        OPERATORS,
    )
