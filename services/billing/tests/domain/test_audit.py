"""The audit's report, and the hash chain it checks."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from billing.domain import chain
from billing.domain.audit import AuditReport, Check

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROW = (7, 1, 1, 20, "house:gifts", "available", "trial", None, "", NOW)


def test_whoever_breaks_several_relations_is_named_once_in_order():
    report = AuditReport((Check("a", (9, 2)), Check("b"), Check("c", (2, 5))), {})

    assert report.drift == (2, 5, 9)


@pytest.mark.parametrize(
    ("checks", "seals", "healthy"),
    [
        ((Check("a"),), (), True),
        ((Check("a", (1,)),), (), False),
        ((Check("a"),), (3,), False),
        ((), (), True),
    ],
)
def test_books_are_healthy_when_no_relation_and_no_seal_is_broken(checks, seals, healthy):
    assert AuditReport(checks, {}, seals).healthy is healthy


def test_a_healthy_report_is_a_table():
    report = AuditReport((Check("lots = balances"),), {"accounts": 1_234_567, "orders": 8})

    assert report.lines() == [
        "accounts          1,234,567",
        "orders                    8",
        "lots = balances          ok",
        "hash chain               ok",
    ]


def test_a_broken_report_names_the_first_five_of_each_kind():
    people = (11, 12, 13, 14, 15, 16)
    report = AuditReport((Check("balances = replay", people),), {"n": 1}, (0, 1, 2, 3, 4, 5))

    assert report.lines() == [
        "n                           1",
        "balances = replay    6 broken  11, 12, 13, 14, 15",
        "hash chain           6 broken  0, 1, 2, 3, 4",
    ]


def test_a_seal_is_the_digest_of_the_last_one_and_every_row():
    other = (7, 2, 1, 5, "available", "held", "hold", UUID(int=3), "x", NOW)
    packed = b"".join(msgspec.msgpack.encode(row) for row in (ROW, other))

    sealed = chain.extend(chain.GENESIS, [ROW, other])

    assert sealed == hashlib.sha256(bytes(32) + packed).digest()
    assert chain.extend(chain.extend(chain.GENESIS, [ROW]), [other]) != sealed, "other seals"
    assert chain.extend(chain.GENESIS, [other, ROW]) != sealed, "another order"
    assert chain.extend(sealed, [ROW, other]) != sealed, "another beginning"
    assert chain.Head() == chain.Head(0, bytes(32))


@pytest.mark.parametrize("place", range(len(ROW)))
def test_a_change_in_any_field_of_a_row_changes_the_seal(place):
    others = (8, 2, 2, 21, "house:sales", "held", "grant", UUID(int=1), "x", NOW.replace(hour=1))
    changed = (*ROW[:place], others[place], *ROW[place + 1 :])

    assert chain.extend(chain.GENESIS, [changed]) != chain.extend(chain.GENESIS, [ROW])
