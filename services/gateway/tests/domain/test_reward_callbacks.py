from datetime import date
from uuid import UUID

import pytest

from gateway.domain.callbacks import (
    CheckDraw,
    ChooseGift,
    ConfirmGift,
    DrawNow,
    pack,
    parse,
    parse_credits,
)

GIFT = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
DAY = date(2026, 11, 21)
EACH = [DrawNow(DAY), CheckDraw(DAY), ChooseGift(50), ConfirmGift(GIFT, 1_000_000_000)]


@pytest.mark.parametrize("callback", EACH, ids=lambda each: type(each).__name__)
def test_every_button_comes_back_as_it_was_packed(callback):
    assert parse(pack(callback)) == callback


def test_prefixes_are_the_published_ones():
    assert [pack(each).split(":")[:2] for each in EACH] == [
        ["dn", "1"],
        ["dc", "1"],
        ["ga", "1"],
        ["gm", "1"],
    ]


@pytest.mark.parametrize(
    "data",
    [
        "dn:1:",
        "dn:1:20261121",
        "dn:1:2026-W47-6",
        "dn:1:2026-13-01",
        "dn:2:2026-11-21",
        "dc:1:yesterday",
        "ga:1:0",
        "ga:1:-5",
        "ga:1:+5",
        "ga:1:05",
        "ga:1:5.0",
        "ga:1:٥",
        "ga:1:1000000001",
        "ga:1:99999999999999999999",
        "gm:1:50",
        "gm:1:AZN24Sttfj-KUS-dbBt-QA",
        "gm:1:AZN24Sttfj-KUS-dbBt-QA:",
        "gm:1:AZN24Sttfj-KUS-dbBt-QA:0",
        "gm:1:AZN24Sttfj-KUS-dbBt-QB:50",
        "gm:1:AZN24Sttfj-KUS-dbBt-QA:50:50",
    ],
)
def test_old_cut_and_forged_data_parse_to_nothing(data):
    assert parse(data) is None


def test_an_amount_is_a_positive_whole_number_within_the_limit():
    assert parse_credits("1") == 1
    assert parse_credits("1000000000") == 1_000_000_000
    assert parse_credits("") is None
