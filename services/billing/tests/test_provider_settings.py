"""Which payment providers the settings switch on, and what they need for it."""

from pathlib import Path

import pytest

from billing.main import build
from billing.settings import Settings
from billing.testing import WORKFLOWS, FakeQueues, Tables, fake_books
from chassis.errors import ConfigurationError
from chassis.outbox import Outbox

CATALOGUE = Path(__file__).parents[3] / "catalogue"
YOOKASSA = {
    "yookassa_shop_id": "506751",
    "yookassa_secret": "test_key",
    "yookassa_return_url": "https://t.me/vitrine_bot",
}


def settings(**fields):
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    return Settings(database_url=dsn, **({"catalogue_dir": CATALOGUE} | fields))


def built(clock, **fields):
    outbox = Outbox(None, None, clock)
    return build(
        settings(**fields),
        outbox,
        workflows=WORKFLOWS,
        books=fake_books(Tables()),
        queues=FakeQueues(),
    )


def test_no_provider_is_on_by_itself(clock):
    assert built(clock).providers == {}


def test_each_provider_is_switched_on_by_its_own_settings(clock):
    both = built(clock, crypto_pay_token="1:AA", **YOOKASSA).providers

    assert set(both) == {"crypto_pay", "yookassa"}
    assert set(built(clock, **YOOKASSA).providers) == {"yookassa"}
    assert not both["yookassa"].capabilities.webhooks


def test_webhooks_are_taken_where_a_port_is_set(clock):
    path = {"webhook_port": 0, "webhook_secret": "nobody-guesses-this"}

    found = built(clock, **YOOKASSA, **path)

    assert found.providers["yookassa"].capabilities.webhooks


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"yookassa_secret": ""}, "yookassa_secret"),
        ({"yookassa_return_url": ""}, "yookassa_return_url"),
        ({"yookassa_receipts": True}, "yookassa_receipt_email"),
        ({"yookassa_vat_code": 13}, "yookassa_vat_code"),
    ],
)
def test_what_yookassa_lacks_is_named_at_start(wrong, field):
    with pytest.raises(ValueError, match=field):
        settings(**{**YOOKASSA, **wrong})


def test_a_provider_needs_its_line_in_the_shop_file(clock, tmp_path):
    with pytest.raises(ConfigurationError, match=r"methods\.yookassa"):
        built(clock, **YOOKASSA, catalogue_dir=tmp_path)
