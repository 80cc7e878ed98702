from datetime import UTC, datetime, timedelta

import pytest

from billing.domain import promos, referrals
from billing.domain.promos import Asker, Promo
from billing.domain.reward_terms import PromoTerms, ReferralTerms
from contracts.errors import RefusalError
from contracts.rewards import SavePromo

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STRANGER = Asker(used_it=False, has_paid=False)


def command(**fields):
    return SavePromo(**{"code": "Autumn", "kind": "credits", "value": 5, "actor": "op", **fields})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": "ab"}, "code"),
        ({"code": "A B C"}, "code"),
        ({"code": "x" * 41}, "code"),
        ({"code": "осень"}, "code"),
        ({"kind": "money"}, "kind"),
        ({"value": 0}, "value"),
        ({"value": 100_001}, "value"),
        ({"kind": "discount", "value": 101}, "value"),
        ({"kind": "tier", "value": 3_651, "tier": "vip"}, "value"),
        ({"kind": "tier", "value": 30}, "tier"),
        ({"kind": "tier", "value": 30, "tier": "none"}, "tier"),
        ({"tier": "vip"}, "tier"),
        ({"uses_max": -1}, "uses_max"),
        ({"uses_max": 2}, "uses_max"),
        ({"lot_days": -1}, "lot_days"),
        ({"starts_at": NOW, "ends_at": NOW}, "ends_at"),
        ({"ends_at": NOW.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_a_senseless_code_is_refused_with_the_field(fields, field):
    with pytest.raises(RefusalError, match=field):
        promos.promo_of(command(**fields), Promo("AUTUMN", "credits", 1, used=3))


def test_a_code_keeps_its_uses_when_it_is_saved_again():
    saved = promos.promo_of(command(uses_max=3), Promo("AUTUMN", "discount", 1, used=3))

    assert (saved.code, saved.kind, saved.used, saved.uses_max) == ("AUTUMN", "credits", 3, 3)


@pytest.mark.parametrize(
    ("fields", "asker", "code"),
    [
        ({"starts_at": NOW + HOUR}, STRANGER, "promo_not_yet"),
        ({"ends_at": NOW}, STRANGER, "promo_over"),
        ({"uses_max": 2, "used": 2}, STRANGER, "promo_used_up"),
        ({}, Asker(used_it=True, has_paid=False), "promo_used"),
        ({"ends_at": NOW}, Asker(used_it=True, has_paid=False), "promo_used"),
        ({"newcomers_only": True}, Asker(used_it=False, has_paid=True), "promo_newcomers_only"),
    ],
)
def test_who_may_not_redeem_is_told_why(fields, asker, code):
    with pytest.raises(RefusalError) as refused:
        promos.check(Promo("AUTUMN", "credits", 5, **fields), asker, NOW)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("fields", "asker"),
    [
        ({"starts_at": NOW, "ends_at": NOW + HOUR}, STRANGER),
        ({"uses_max": 2, "used": 1}, STRANGER),
        ({"newcomers_only": True}, STRANGER),
        ({}, Asker(used_it=False, has_paid=True)),
    ],
)
def test_who_may_redeem_may(fields, asker):
    promo = Promo("AUTUMN", "credits", 5, **fields)

    assert promos.check(promo, asker, NOW) is promo


def test_ten_wrong_codes_an_hour_are_the_most_and_the_hour_slides():
    terms = PromoTerms()
    misses = [NOW - HOUR + timedelta(minutes=each) for each in range(1, 11)]

    with pytest.raises(RefusalError) as refused:
        promos.check_guesses(misses, NOW, terms)
    promos.check_guesses(misses, NOW + timedelta(minutes=1), terms)
    promos.check_guesses(misses[1:], NOW, terms)

    assert refused.value.code == "promo_too_many"


def test_a_discount_ends_with_its_code_or_after_thirty_days():
    terms = PromoTerms()
    plain, ending = Promo("A", "discount", 5), Promo("A", "discount", 5, ends_at=NOW + HOUR)

    assert plain.discount_until(NOW, terms) == NOW + timedelta(days=30)
    assert ending.discount_until(NOW, terms) == NOW + HOUR


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("ref_ABCDEFG2", "ABCDEFG2"),
        ("ref_abcdefg2", "ABCDEFG2"),
        ("ref_ABCDEFG1", ""),
        ("ref_ABCDEFG", ""),
        ("xref_ABCDEFG2", ""),
        ("promo_ABCDEFG2", ""),
        ("", ""),
    ],
)
def test_a_referral_code_is_read_from_its_link_alone(link, code):
    assert referrals.code_in(link) == code
    assert referrals.code_in(f"ref_{referrals.code_of(bytes(5))}") == "AAAAAAAA"


def test_a_referrers_part_is_rounded_down_and_capped():
    terms = ReferralTerms(percent=10, cap_credits=50)

    assert [referrals.part_of(paid, terms) for paid in (9, 10, 199)] == [0, 1, 19]
    assert [referrals.within_cap(20, before, terms) for before in (0, 30, 40, 50, 60)] == [
        *(20, 20, 10, 0, 0)
    ]
