import hashlib
import hmac
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from billing.domain import draws

DAY = date(2026, 11, 20)
SEED = bytes(range(32))
GUIDE = Path(__file__).parents[4] / "docs" / "verify-draw.md"
CHI_SQUARE_99_999 = 181.99
"""99 degrees of freedom: exceeded by chance once in a million times; the seeds here are fixed."""


def test_the_odds_are_exact():
    counted = Counter(draws.prize_of(number) for number in range(100))

    assert counted == {"SSR": 5, "SR": 15, "R": 30, "C": 50}
    assert [draws.prize_of(each) for each in (0, 4, 5, 19, 20, 49, 50, 99)] == [
        *("SSR", "SSR", "SR", "SR", "R", "R", "C", "C")
    ]


def test_a_million_draws_are_uniform():
    counted = Counter()
    for series in range(100):
        seed = hashlib.sha256(f"series {series}".encode()).digest()
        counted.update(draws.number_of(seed, user, DAY) for user in range(1, 10_001))

    expected = 1_000_000 / 100
    assert set(counted) == set(range(100))
    assert sum((seen - expected) ** 2 / expected for seen in counted.values()) < CHI_SQUARE_99_999


def test_a_word_that_would_favour_low_numbers_is_drawn_again(monkeypatch):
    high = (2**64 - 1).to_bytes(8, "big")
    blocks = {b"7:2026-11-20": high * 4, b"7:2026-11-20:1": high + (142).to_bytes(8, "big") * 3}
    monkeypatch.setattr(hmac, "digest", lambda _seed, message, _name: blocks[message])

    assert draws.number_of(SEED, 7, DAY) == 42


def test_the_first_word_too_many_is_drawn_again_and_the_last_one_is_not(monkeypatch):
    first = 2**64 // 100 * 100
    words = [first, first - 1, 7, 7]
    digest = b"".join(word.to_bytes(8, "big") for word in words)
    monkeypatch.setattr(hmac, "digest", lambda *_: digest)

    assert draws.number_of(SEED, 7, DAY) == 99


def test_the_draw_depends_on_the_seed_the_person_and_the_day():
    numbers = [
        tuple(draws.number_of(seed, user, day) for user in range(1, 50))
        for seed, day in ((SEED, DAY), (SEED, date(2026, 11, 21)), (SEED[::-1], DAY))
    ]

    assert len(set(numbers)) == 3
    assert draws.number_of(SEED, 7, DAY) == draws.number_of(SEED, 7, DAY)


@pytest.mark.parametrize(
    ("zone", "day", "until"),
    [
        ("UTC", DAY, "2026-11-21T00:00:00+00:00"),
        ("Europe/Moscow", DAY, "2026-11-20T21:00:00+00:00"),
        # A day of 23 hours, one of 25, and one whose next midnight does not exist.
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T22:00:00+00:00"),
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-25T23:00:00+00:00"),
        ("Africa/Cairo", date(2026, 4, 23), "2026-04-23T22:00:00+00:00"),
    ],
)
def test_a_prize_is_valid_until_the_shops_midnight(zone, day, until):
    assert draws.valid_until(day, ZoneInfo(zone)) == datetime.fromisoformat(until)
    assert draws.valid_until(day, ZoneInfo(zone)).tzinfo is UTC


def test_the_guide_lets_anybody_check_a_draw_with_plain_python():
    (snippet,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    told: dict = {}
    exec(snippet, told)
    commitment = draws.commitment_of(SEED)

    for user in range(1, 500):
        expected = draws.prize_of(draws.number_of(SEED, user, DAY))
        assert told["verify"](SEED.hex(), commitment, user, DAY.isoformat()) == expected
    with pytest.raises(ValueError, match="not the seed"):
        told["verify"](SEED[::-1].hex(), commitment, 1, DAY.isoformat())
