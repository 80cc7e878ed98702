"""Sealed payloads: their shape, their limit, and what is not ours."""

import base64
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from billing.domain.invoice_payload import Seal
from billing.domain.payments import Payment

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TELEGRAM_TAKES = 128


def payment(**fields):
    values = {"product_id": "vip_30", "user_id": 7, "amount_minor": 250, "currency": "XTR"}
    values.update(fields)
    return Payment(
        UUID(int=9),
        values["user_id"],
        "stars",
        "plan",
        values["product_id"],
        0,
        0,
        values["amount_minor"],
        values["currency"],
        NOW,
    )


def test_a_payload_is_seven_fields_without_padding():
    payload = Seal("secret").sign(payment())

    assert re.fullmatch(r"1\.[\w-]{22}\.7\.250\.XTR\.vip_30\.[\w-]{22}", payload, re.ASCII)
    assert payload.split(".")[1] == base64.urlsafe_b64encode(UUID(int=9).bytes).decode()[:22]


def test_a_payload_as_long_as_telegram_takes_is_opened_and_a_longer_one_not_signed():
    seal = Seal("secret", ("older", "oldest"))
    room = TELEGRAM_TAKES - len(seal.sign(payment(product_id="")))
    longest = payment(product_id="x" * room)
    payload = seal.sign(longest)

    assert len(payload) == TELEGRAM_TAKES
    assert seal.open(payload) == (UUID(int=9), 7, 250, "XTR", "x" * room)
    assert seal.open(payload + "x") is None
    with pytest.raises(AssertionError):
        seal.sign(payment(product_id="x" * (room + 1)))


def test_what_was_sealed_but_says_something_else_is_not_ours():
    """Sealed with our secret, as another program with it would: another version or shape."""
    seal = Seal("secret")

    class Other:
        user_id, amount_minor, currency = 7, 250, "XTR"
        payment_id = UUID(int=9)
        product_id = "vip.30"

    assert seal.open(seal.sign(Other())) is None, "eight fields"
    assert seal.open(seal.sign(payment(product_id="é"))) is None, "letters we never sign"


def test_each_former_secret_still_opens():
    payload = Seal("oldest").sign(payment())

    assert Seal("new", ("old", "oldest")).open(payload) is not None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_secret_signed_with_its_lines_end_once_still_opens_without_it(end):
    """It came in a variable as `echo` wrote it, and comes out of a file since."""
    payload = Seal(f"secret{end}").sign(payment())

    assert Seal("secret").open(payload) is not None
    assert Seal("new", ("old", "secret")).open(payload) is not None
    assert Seal("new", ("old",)).open(payload) is None
    assert Seal(f"secret{end}").open(Seal("secret").sign(payment())) is not None
    assert Seal("secret").sign(payment()) != payload, "nothing more is signed with it"


def test_a_former_secret_of_white_space_makes_no_empty_key():
    assert Seal("new", ("\n",)).open(Seal("").sign(payment())) is None
