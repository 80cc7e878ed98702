"""The screens of draw, promo codes, gifts and invitations, in every language."""

import hashlib
import hmac
import subprocess
import sys
from datetime import UTC, date, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from contracts import billing, errors, rewards
from gateway.bot import texts
from gateway.domain import deep_links
from gateway.domain.screen import TEXT_MAX
from gateway.domain.screens import draw, gifts
from gateway.domain.screens import rewards as shown
from simulators.telegram.html_markup import parse_html

TEXTS = texts.load()
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = date(2026, 11, 21)
ZONE = ZoneInfo("Asia/Yekaterinburg")
GIFT = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
SEED = "07" * 32
SEAL = hashlib.sha256(bytes.fromhex(SEED)).hexdigest()
LINK = "https://t.me/vitrine_bot?start=gift_AbC-12_x"
PROMO_CODES = [getattr(errors, name) for name in dir(errors) if name.startswith("PROMO_")]
GIFT_CODES = [getattr(errors, name) for name in dir(errors) if name.startswith("GIFT_")]


@pytest.fixture(params=["en", "ru"])
def say(request):
    return TEXTS.say(request.param)


def open_draw(**changes):
    fields = {"referral_code": "abc", "draw_day": DAY, "draw_commitment": SEAL}
    return rewards.Rewards(**{**fields, **changes})


def taken(**changes):
    fields = {"prize": "SR", "percent": 30, "valid_until": NOW, "commitment": SEAL}
    return rewards.DrawTaken(**{"user_id": 7, "day": DAY, **fields, **changes})


def gift_made(amount):
    return rewards.GiftMade(
        gift_id=GIFT, user_id=7, credits=amount, code="AbC-12_x", expires_at=NOW
    )


def promo_refused(reason):
    return rewards.PromoRefused(user_id=7, code="<I>", reason=reason)


def gift_refused(reason):
    return rewards.GiftRefused(user_id=7, reason=reason)


def every_screen(say):
    drawn = open_draw(draw_prize="C", draw_percent=5)
    used = open_draw(draw_prize="C", draw_percent=5, draw_used=True, next_commitment=SEAL)
    for known in (rewards.Rewards(referral_code=""), open_draw(), drawn, used):
        yield draw.today(say, known, ZONE, midnight=NOW)
    yield draw.drawing(say)
    yield draw.taken(say, taken(), ZONE)
    yield draw.taken(say, taken(repeated=True, prize="<b>"), ZONE)
    for seal, seed, prize in (("", "", ""), (SEAL, "", ""), (SEAL, SEED, ""), (SEAL, SEED, "R")):
        proof = rewards.DrawProof(day=DAY, commitment=seal, seed=seed, prize=prize, percent=15)
        yield draw.proof(say, proof, 7)
    yield shown.promo_ask(say)
    yield shown.promo_ask(say, mistyped=True)
    yield shown.promo_checking(say, "SPRING")
    for kind in ("credits", "discount", "tier", "a_new_kind"):
        for value in (1, 3, 30):
            redeemed = rewards.PromoRedeemed(
                user_id=7, code="A<B", kind=kind, value=value, tier="vip"
            )
            yield shown.promo_redeemed(say, redeemed)
    for reason in (*PROMO_CODES, errors.HIGHER_TIER_ACTIVE, errors.NO_ACCOUNT, "a_new_reason"):
        yield shown.promo_refused(say, promo_refused(reason))
    yield shown.invite(say, open_draw(), LINK)
    busy = open_draw(invited=3, earned_credits=21, pending_credits=2)
    yield shown.invite(say, busy, LINK)
    yield shown.referral_joined(say)
    yield shown.referral_welcome(say, 5)
    yield shown.referral_earned(say, rewards.ReferralEarned(user_id=7, newcomer_id=8, credits=4))
    for lot in ("trial", "bonus", "paid", "<a_new_lot>"):
        expiring = rewards.LotExpiring(user_id=7, lot=lot, credits=21, expires_at=NOW)
        yield shown.expiring(say, expiring, ZONE)
    yield from _gift_screens(say)


def _gift_screens(say):
    for most in (0, 5, 60, 1_000_000_000):
        yield gifts.choose(say, most)
    yield gifts.own_amount(say, 5)
    yield gifts.own_amount(say, 5, mistyped=True)
    for amount in (1, 2, 5):
        yield gifts.confirm(say, GIFT, amount)
        yield gifts.making(say, amount)
        yield gifts.made(say, gift_made(amount), LINK, ZONE)
        opened = rewards.GiftOpened(gift_id=GIFT, user_id=8, giver_id=7, credits=amount)
        yield gifts.received(say, opened)
        yield gifts.taken(say, opened)
        back = rewards.GiftReturned(gift_id=GIFT, user_id=7, credits=amount)
        yield gifts.returned(say, back)
        yield gifts.returned(say, msgspec.structs.replace(back, withdrawn=True))
    yield gifts.opening(say)
    for reason in (*GIFT_CODES, errors.INSUFFICIENT_CREDITS, errors.IN_DEBT, "a_new_reason"):
        yield gifts.refused(say, gift_refused(reason))


def test_every_screen_is_markup_within_telegrams_limits(say):
    for screen in every_screen(say):
        assert 0 < len(screen.text.encode("utf-16-le")) // 2 <= TEXT_MAX
        parse_html(screen.text)
        assert "{" not in screen.text
        assert all(screen.buttons), f"an empty row under: {screen.text}"
        for button in [button for row in screen.buttons for button in row]:
            assert button.text
            assert button.url or 0 < len(button.data.encode()) <= 64


def test_the_shown_odds_are_the_promised_ones(say):
    text = draw.today(say, open_draw(next_commitment="b7" * 32), ZONE, midnight=NOW).text

    assert draw.PRIZES == (("SSR", 5, 50), ("SR", 15, 30), ("R", 30, 15), ("C", 50, 5))
    assert sum(chance for _, chance, _ in draw.PRIZES) == 100
    for prize, _, _ in draw.PRIZES:
        assert f"<b>{prize}</b>" in text
    assert SEAL[:16] in text
    assert "b7" * 8 in text
    assert "Asia/Yekaterinburg" in text


def test_the_seed_is_not_shown_before_the_day_is_over():
    proof = rewards.DrawProof(day=DAY, commitment=SEAL, prize="R", percent=15)

    text = draw.proof(TEXTS.say("en"), proof, 7).text

    assert SEAL in text
    assert "when the day is over" in text
    assert "<pre>" not in text


def test_the_shown_program_draws_the_same_lot_again():
    proof = rewards.DrawProof(day=DAY, commitment=SEAL, seed=SEED, prize="R", percent=15)

    text = parse_html(draw.proof(TEXTS.say("en"), proof, 7).text)[0]
    program = text[text.index("import hashlib") :]
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    ).stdout.split()

    lot = hmac.digest(bytes.fromhex(SEED), b"7:2026-11-21", "sha256")
    assert printed == [SEAL, str(int.from_bytes(lot[:8], "big") % 100)]


def test_every_refusal_of_a_promo_code_has_words_of_its_own(say):
    told = {shown.promo_refused(say, promo_refused(reason)).text for reason in PROMO_CODES}
    other = shown.promo_refused(say, promo_refused("a_new_reason")).text

    assert len(told) == len(PROMO_CODES)
    assert other not in told


def test_every_refusal_of_a_gift_has_words_of_its_own(say):
    codes = [*GIFT_CODES, errors.INSUFFICIENT_CREDITS, errors.IN_DEBT, errors.INVALID]

    told = {gifts.refused(say, gift_refused(reason)).text for reason in codes}

    assert len(told) == len(codes)
    assert gifts.refused(say, gift_refused("a_new_reason")).text not in told


def test_only_bought_credits_can_be_given_and_none_that_are_reserved():
    lots = (
        billing.LotBalance(lot="trial", remaining_credits=20),
        billing.LotBalance(lot="paid", remaining_credits=100),
        billing.LotBalance(lot="paid", remaining_credits=7),
    )

    assert gifts.may_give(billing.Balance(user_id=7, available_credits=127, lots=lots)) == 107
    assert gifts.may_give(billing.Balance(user_id=7, available_credits=50, lots=lots)) == 50
    assert gifts.may_give(billing.Balance(user_id=7, available_credits=20)) == 0


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        *[("25", 25), (" 25 ", 25), ("0025", 25), ("1 000", 1000)],
        *((wrong, None) for wrong in ("0", "-5", "1001", "12.5", "ten", "٥", "", "9" * 50)),
    ],
)
def test_a_typed_amount_is_a_whole_number_that_may_be_given(typed, amount):
    assert gifts.typed_amount(typed, 1000) == amount


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        *[(" spring-26 ", "SPRING-26"), ("summer_26", "SUMMER_26")],
        *(
            (wrong, None)
            for wrong in ("лето26", "ab", "x" * 41, "two words", "<b>x</b>", "---", "")
        ),
    ],
)
def test_a_typed_code_is_brought_into_billings_form(typed, code):
    assert shown.promo_code(typed) == code


def test_the_share_button_carries_link_and_words_unchanged(say):
    screen = gifts.made(say, gift_made(50), LINK, ZONE)

    query = parse_qs(urlsplit(screen.buttons[0][0].url).query)

    assert query["url"] == [LINK]
    assert query["text"] == [say("gift-share", credits=50)]


@pytest.mark.parametrize(
    ("days", "words"), [(1, "1 день"), (3, "3 дня"), (30, "30 дней"), (21, "21 день")]
)
def test_russian_counts_days(days, words):
    event = rewards.PromoRedeemed(user_id=7, code="VIP", kind="tier", value=days, tier="vip")

    assert f"{words} VIP" in shown.promo_redeemed(TEXTS.say("ru"), event).text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "никто не пришёл"),
        (1, "пришёл 1 человек"),
        (3, "пришли 3 человека"),
        (5, "пришло 5 человек"),
        (21, "пришёл 21 человек"),
    ],
)
def test_russian_counts_people(count, words):
    assert words in shown.invite(TEXTS.say("ru"), open_draw(invited=count), LINK).text


def test_deep_links_fit_into_a_start_parameter():
    for prefix in (deep_links.REFERRAL, deep_links.PROMO, deep_links.GIFT):
        assert prefix.replace("_", "").isalpha()
        assert len(prefix) + shown.CODE_MAX <= 64
