"""The shop's terms and offers: every limit at its edge, every mistake named."""

from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.domain import offers, reward_terms
from billing.domain.currencies import MINOR_MAX
from billing.domain.offers import Tender
from billing.domain.promos import Promo
from billing.domain.reward_terms import (
    DRAW_PERCENT,
    GiftTerms,
    PromoTerms,
    ReferralTerms,
    RewardTerms,
)
from billing.domain.terms import Terms
from billing.testing import ORBIT
from contracts.money import CREDITS_MAX
from contracts.payments import Pack, Plan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZERO = timedelta(0)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
USUAL = RewardTerms()


def terms(part, **fields):
    return replace(USUAL, **{part: replace(getattr(USUAL, part), **fields)})


def percents(**changed):
    return terms("draw", percent={**DRAW_PERCENT, **changed})


def test_the_usual_terms_make_sense():
    assert reward_terms.problems(USUAL) == []


def test_the_usual_terms_are_those_of_the_design():
    shop = Terms(zone=ZoneInfo("UTC"))

    assert (shop.price_valid, shop.in_flight_max) == (timedelta(minutes=15), 10)
    assert (shop.start_within, shop.attempts_max) == (timedelta(minutes=30), 3)
    assert shop.hold_margin == shop.delivery_within == timedelta(minutes=10)
    assert (shop.trial_credits, shop.trial_period) == (20, timedelta(days=2))
    assert (shop.expired_lots_kept, shop.delivery_spacing_max) == (HOUR, 6 * HOUR)
    assert (shop.rows_max, shop.rewards) == (500, USUAL)
    assert shop.access_hold == 6 * HOUR


def test_the_usual_rewards_are_those_of_the_shop():
    assert PromoTerms() == PromoTerms(timedelta(days=30), 10, HOUR)
    assert dict(USUAL.draw.percent) == {"SSR": 50, "SR": 30, "R": 15, "C": 5}
    assert GiftTerms() == GiftTerms(timedelta(days=30), 1, 10_000)
    assert ReferralTerms() == ReferralTerms(10, 3, 5_000, timedelta(days=21), 10, 90)
    assert USUAL.warn_before == timedelta(days=3)


def test_terms_do_not_change_while_the_shop_is_open():
    for part in (USUAL, USUAL.promo, USUAL.draw, USUAL.gift, USUAL.referral):
        with pytest.raises(FrozenInstanceError):
            setattr(part, fields(part)[0].name, None)
    with pytest.raises(TypeError):
        DRAW_PERCENT["C"] = 100


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (terms("promo", discount_valid=ZERO), "promo.discount_valid: must be above 0"),
        (terms("promo", wrong_max=0), "promo.wrong_max, wrong_within: must be above 0"),
        (terms("promo", wrong_within=ZERO), "promo.wrong_max, wrong_within: must be above 0"),
        (terms("draw", percent={"SSR": 50}), "draw.percent: one each for SSR, SR, R, C"),
        (percents(X=1), "draw.percent: one each for SSR, SR, R, C"),
        (percents(C=0), "draw.percent: 1 to 100"),
        (percents(SSR=101), "draw.percent: 1 to 100"),
        (terms("referral", percent=-1), "referral.percent: 0 to 100"),
        (terms("referral", percent=101), "referral.percent: 0 to 100"),
        (terms("gift", valid=ZERO), "gift.valid: must be above 0"),
        (terms("gift", least_credits=0), "gift.least_credits: 1 to most_credits"),
        (
            terms("gift", least_credits=9, most_credits=8),
            "gift.least_credits: 1 to most_credits",
        ),
        (terms("gift", most_credits=CREDITS_MAX + 1), "gift.most_credits: too many"),
        (terms("referral", payments_max=-1), "referral.payments_max, lot_days: at least 0"),
        (terms("referral", lot_days=-1), "referral.payments_max, lot_days: at least 0"),
        *(
            (
                terms("referral", **{name: amount}),
                "referral.cap_credits, newcomer_credits: at least 0, not too many",
            )
            for name in ("cap_credits", "newcomer_credits")
            for amount in (-1, CREDITS_MAX + 1)
        ),
        (terms("referral", hold=-TICK), "referral.hold: must not be negative"),
        (replace(USUAL, warn_before=ZERO), "warn_before: must be above 0"),
    ],
)
def test_a_senseless_term_is_named_in_one_sentence(wrong, problem):
    assert reward_terms.problems(wrong) == [problem]


@pytest.mark.parametrize(
    "edge",
    [
        terms("promo", discount_valid=TICK, wrong_max=1, wrong_within=TICK),
        percents(C=1, SSR=100),
        terms("referral", percent=0, payments_max=0, lot_days=0, hold=ZERO),
        terms("referral", percent=100, cap_credits=0, newcomer_credits=0),
        terms("referral", cap_credits=CREDITS_MAX, newcomer_credits=CREDITS_MAX),
        terms("gift", valid=TICK, least_credits=1, most_credits=1),
        terms("gift", least_credits=CREDITS_MAX, most_credits=CREDITS_MAX),
        replace(USUAL, warn_before=TICK),
    ],
)
def test_each_limit_itself_is_allowed(edge):
    assert reward_terms.problems(edge) == []


def test_credits_that_are_given_expire_after_their_days_or_never():
    days, never = ReferralTerms(lot_days=90), ReferralTerms(lot_days=0)

    assert days.lot_expiry(NOW) == NOW + timedelta(days=90)
    assert never.lot_expiry(NOW) is None
    assert Promo("A", "credits", 5, lot_days=2).lot_expiry(NOW) == NOW + timedelta(days=2)
    assert Promo("A", "credits", 5).lot_expiry(NOW) is None


def test_a_hold_lives_until_no_answer_can_come_any_more():
    shop = Terms(
        zone=ZoneInfo("UTC"),
        start_within=timedelta(minutes=30),
        attempts_max=3,
        hold_margin=timedelta(minutes=10),
    )

    assert shop.hold_expiry(ORBIT, NOW) == NOW + timedelta(minutes=30 + 3 * 5 + 10)


# --- offers ------------------------------------------------------------------------------------


def pack(**fields):
    return Pack(**{"id": "p", "credits": 1, **fields})


def plan(**fields):
    return Plan(**{"id": "p", "tier": "vip", "days": 30, "price_credits": 1, **fields})


def test_an_offer_at_its_limits_is_sound():
    packs = [
        pack(id="least", bonus_credits=0, prices={"USD": 1}),
        pack(
            id="m" * 32,
            credits=CREDITS_MAX,
            bonus_credits=CREDITS_MAX,
            prices={"XTR": MINOR_MAX, "BTC": 2},
        ),
    ]
    plans = [
        plan(id="a", days=1),
        plan(id="b", tier="black_gold", price_credits=CREDITS_MAX, stars=10_000),
        plan(id="c", stars=1),
    ]
    tenders = {"stars": Tender("XTR"), "crypto_pay": Tender("USD", ("TON",))}

    assert offers.problems(packs, plans, tenders) == []


NAME = "id: lower case letters, digits and _, at most 32"
CREDITS = "p: credits: at least 1; bonus_credits: at least 0"
DAYS = "p: days, price_credits: at least 1"


@pytest.mark.parametrize(
    ("packs", "plans", "found"),
    [
        ([pack(id="")], [], [f": {NAME}"]),
        ([pack(id="x" * 33)], [], [f"{'x' * 33}: {NAME}"]),
        ([], [plan(id="a.b")], [f"a.b: {NAME}"]),
        ([pack()], [plan()], ["p: id: stands twice"]),
        ([pack(credits=0)], [], [CREDITS]),
        ([pack(credits=CREDITS_MAX + 1)], [], [CREDITS]),
        ([pack(bonus_credits=-1)], [], [CREDITS]),
        ([pack(bonus_credits=CREDITS_MAX + 1)], [], [CREDITS]),
        ([pack(prices={"GBP": 1})], [], ["p: prices: GBP is not known"]),
        ([pack(prices={"USD": 0})], [], ["p: prices.USD: must be above 0"]),
        ([pack(prices={"USD": MINOR_MAX + 1})], [], ["p: prices.USD: must be above 0"]),
        ([], [plan(tier="gold")], ["p: tier: gold cannot be sold"]),
        ([], [plan(tier="none")], ["p: tier: none cannot be sold"]),
        ([], [plan(days=0)], [DAYS]),
        ([], [plan(price_credits=0)], [DAYS]),
        ([], [plan(price_credits=CREDITS_MAX + 1)], [DAYS]),
        ([], [plan(stars=10_001)], ["p: stars: 0 to 10000"]),
        ([], [plan(stars=1, days=31)], ["p: stars: Telegram renews every 30 days only"]),
        ([pack(credits=0), pack(id="q", credits=0)], [], [CREDITS, "q" + CREDITS[1:]]),
    ],
)
def test_a_wrong_offer_is_named_with_its_field(packs, plans, found):
    assert offers.problems(packs, plans, {}) == found


@pytest.mark.parametrize(
    ("provider", "currency", "found"),
    [
        ("crypto_pay", "GBP", ["methods.crypto_pay: currency: GBP is not known"]),
        ("stars", "USD", ["methods.stars: currency: XTR is for stars and nobody else"]),
        ("crypto_pay", "XTR", ["methods.crypto_pay: currency: XTR is for stars and nobody else"]),
    ],
)
def test_a_provider_asks_in_a_currency_of_its_own(provider, currency, found):
    assert offers.problems([], [], {provider: Tender(currency)}) == found
