"""Gifts: what can be given, opened and comes back."""

import base64
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain import gifts
from billing.domain.accounts import Account
from billing.domain.errors import (
    GiftOverError,
    GiftOwnError,
    GiftUnknownError,
    InDebtError,
    InsufficientCreditsError,
    InvalidError,
)
from billing.domain.gifts import Gift
from billing.domain.ledger import Ledger
from billing.domain.reward_terms import GiftTerms
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = GiftTerms(valid=10 * HOUR, least_credits=5, most_credits=60)
ID = UUID(int=9)
REASON = f"gift:{ID}"


@pytest.fixture
def ledger():
    return Ledger(NOW)


@pytest.fixture
def giver(ledger):
    """20 trial, 30 bonus, 50 paid that end, 50 paid that do not."""
    account = Account(1)
    ledger.open_trial(account, 20, 48 * HOUR)
    ledger.grant(account, "bonus", 30)
    ledger.grant(account, "paid", 50, expires_at=NOW + HOUR)
    ledger.grant(account, "paid", 50)
    ledger.transfers.clear()
    return account


def made(ledger, giver, amount=60):
    return gifts.make(ledger, giver, ID, amount, "CODE", TERMS)


def routes(ledger):
    return [(*each[2:7], each.order_id, each.reason) for each in ledger.transfers]


def test_a_code_travels_in_a_link_and_is_read_in_any_case():
    code = gifts.code_of(bytes(range(16)))

    assert code == base64.b32encode(bytes(range(16))).decode().replace("=", "")
    assert re.fullmatch(r"[A-Z2-7]{26}", code)
    assert gifts.normal(f" {code.lower()}\n") == code


@pytest.mark.parametrize("text", ["", "A" * 25, "A" * 27, "A" * 25 + "1", "Я" * 26])
def test_what_can_be_no_code_is_none(text):
    assert gifts.normal(text) == ""


def test_a_gift_is_made_of_paid_credits_alone(ledger, giver):
    gift = made(ledger, giver)

    assert gift == Gift(ID, "CODE", 1, 60, ((3, 50), (4, 10)), NOW, NOW + 10 * HOUR)
    assert (gift.state, gift.opened_by) == ("waiting", None)
    assert giver.available == 90
    assert routes(ledger) == [
        (3, "available", "house:gifts_waiting", 50, "gift", None, REASON),
        (4, "available", "house:gifts_waiting", 10, "gift", None, REASON),
    ]
    assert ledger.accounts == {1: giver}


@pytest.mark.parametrize("amount", [5, 60])
def test_a_gift_at_the_limits_is_made(ledger, giver, amount):
    assert made(ledger, giver, amount).credits == amount


@pytest.mark.parametrize("amount", [4, 61])
def test_a_gift_outside_the_limits_is_refused(ledger, giver, amount):
    with pytest.raises(InvalidError) as refused:
        made(ledger, giver, amount)

    assert str(refused.value) == "the amount is outside the limits"
    assert routes(ledger) == []


def test_a_gift_of_more_than_was_paid_is_refused_with_what_could_be_given(ledger, giver):
    ledger.give(giver, 50, "x")

    with pytest.raises(InsufficientCreditsError) as refused:
        made(ledger, giver, 51)
    assert refused.value.available_credits == 50
    assert made(ledger, giver, 50).parts == ((4, 50),)


def test_expired_credits_cannot_be_given(giver):
    later = Ledger(NOW + HOUR)

    with pytest.raises(InsufficientCreditsError) as refused:
        made(later, giver, 51)

    assert refused.value.available_credits == 50


def test_whoever_is_in_debt_gives_nothing(ledger, giver):
    ledger.adjust(giver, -151, "wrong")

    with pytest.raises(InDebtError) as refused:
        made(ledger, giver, 5)

    assert refused.value.available_credits == 0


def test_an_opened_gift_is_paid_credits_that_do_not_end(ledger, giver):
    gift = made(ledger, giver)
    friend = Account(2)
    ledger.open_trial(friend, 20, HOUR)
    ledger.transfers.clear()

    assert gifts.open_(ledger, friend, gift) is gift

    assert (gift.state, gift.opened_by, friend.available) == ("opened", 2, 80)
    lot = friend.lots[2]
    assert (lot.kind, lot.granted, lot.remaining, lot.expires_at) == ("paid", 60, 60, None)
    assert routes(ledger) == [
        (2, "house:gifts_waiting", "available", 60, "gift", None, REASON),
    ]
    assert friend.trial_renews_at == NOW + HOUR, "a gift is no payment"
    assert ledger.opened == {(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2)}


def test_opening_a_gift_closes_what_has_expired(ledger, giver):
    gift = made(ledger, giver, 50)
    friend = Account(2)
    ledger.grant(friend, "bonus", 7, expires_at=NOW + HOUR)

    gifts.open_(Ledger(NOW + HOUR), friend, gift)

    assert (friend.available, friend.lots[1].state) == (50, "expired")


def test_a_gift_pays_debt_first(ledger, giver):
    friend = Account(2)
    ledger.adjust(friend, -15, "wrong")

    gifts.open_(ledger, friend, made(ledger, giver))

    assert (friend.debt, friend.available) == (0, 45)


def test_a_gift_that_would_make_somebody_too_rich_is_refused(ledger, giver):
    friend = Account(2)
    ledger.grant(friend, "paid", CREDITS_MAX - 60)
    ledger.hold(friend, None, 1, NOW + HOUR)
    poorer = Account(3, available=CREDITS_MAX - 60)

    gifts.open_(ledger, friend, made(ledger, giver))
    with pytest.raises(InvalidError) as refused:
        ledger.receive(friend, 1, "x")
    ledger.receive(poorer, 60, "x")

    assert str(refused.value) == "the amount is outside the limits"
    assert friend.available + friend.held == poorer.available == CREDITS_MAX


def test_nobody_opens_an_unknown_gift_or_their_own(ledger, giver):
    with pytest.raises(GiftUnknownError):
        gifts.open_(ledger, giver, None)
    with pytest.raises(GiftOwnError):
        gifts.open_(ledger, giver, made(ledger, giver))


def test_a_gift_is_opened_once_and_before_it_is_over(ledger, giver):
    gift = made(ledger, giver)

    with pytest.raises(GiftOverError):
        gifts.open_(Ledger(gift.expires_at), Account(2), gift)
    gifts.open_(Ledger(gift.expires_at - timedelta(microseconds=1)), Account(2), gift)
    with pytest.raises(GiftOverError):
        gifts.open_(ledger, Account(3), gift)


def test_a_gift_nobody_opened_returns_to_the_lots_it_came_from(ledger, giver):
    gift = made(ledger, giver)
    early = gifts.take_back(Ledger(gift.expires_at - timedelta(microseconds=1)), giver, gift)
    later = Ledger(gift.expires_at)

    assert (early, gift.state) == (False, "waiting")
    assert gifts.take_back(later, giver, gift)

    assert (gift.state, giver.available) == ("returned", 150)
    assert [giver.lots[number].remaining for number in (3, 4)] == [50, 50]
    assert giver.lots[3].expires_at == later.now + 24 * HOUR, "it had expired meanwhile"
    assert routes(later) == [
        (3, "house:gifts_waiting", "available", 50, "gift_back", None, REASON),
        (4, "house:gifts_waiting", "available", 10, "gift_back", None, REASON),
    ]
    assert (later.accounts, set(later.lots)) == ({1: giver}, {(1, 3), (1, 4)})
    assert not gifts.take_back(later, giver, gift), "once"


def test_what_had_expired_in_the_lot_does_not_come_back_with_the_gift(ledger, giver):
    gift = made(ledger, giver, 20)

    gifts.take_back(Ledger(gift.expires_at), giver, gift)

    assert giver.lots[3].remaining == 20


def test_a_gift_of_refunded_money_is_withdrawn_before_it_is_over(ledger, giver):
    gift = made(ledger, giver)
    ledger.transfers.clear()

    gifts.withdraw(ledger, giver, gift)

    assert (gift.state, giver.available) == ("returned", 150)
    assert {each.reason for each in ledger.transfers} == {REASON}
