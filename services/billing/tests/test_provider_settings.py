"""Which payment providers the settings switch on, and what they need for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from billing.domain.invoice_payload import Seal
from billing.domain.payments import Payment
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


# --- secrets as files ----------------------------------------------------------------------------

PAYMENT = Payment(
    uuid4(), 7, "stars", "pack", "credits_300", 300, 30, 275, "XTR", datetime.now(UTC)
)
SEALING, OTHER = "a secret of sixteen", "another one of sixteen"


def kept_by(clock, **fields):
    return settings(**fields).payment_secrets(clock)


def test_files_switch_on_what_values_do(clock, tmp_path):
    for name, text in (("token", "1:AA"), ("key", "live_x"), ("path", "nobody-guesses-this")):
        (tmp_path / name).write_text(text)
    (tmp_path / "seal").write_text(SEALING)
    given = {
        "crypto_pay_token_file": str(tmp_path / "token"),
        **YOOKASSA,
        "yookassa_secret": "",
        "yookassa_secret_file": str(tmp_path / "key"),
        "webhook_port": 0,
        "webhook_secret_file": str(tmp_path / "path"),
        "payload_secret_file": str(tmp_path / "seal"),
    }

    found = built(clock, **given)

    assert set(found.providers) == {"crypto_pay", "yookassa"}
    assert settings(**given).sells_for_stars
    assert found.webhooks is not None


async def test_a_path_that_was_replaced_ends_although_nobody_came(clock, tmp_path):
    path = tmp_path / "path"
    path.write_text("nobody-guesses-this")
    fields = {"webhook_port": 0, "webhook_secret_file": str(path), "secret_overlap": 60}
    _, look = built(clock, **YOOKASSA, **fields).sweeps["look-at-secrets"]
    kept = look.__self__

    path.write_text("nor-does-anybody-this")
    await look()
    clock.advance(timedelta(seconds=61))

    assert not kept.path.knows(b"nobody-guesses-this")
    assert kept.path.knows(b"nor-does-anybody-this")


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("crypto_pay_token", "", "is empty"),
        ("crypto_pay_token", "1:A A", "holds white space"),
        ("webhook_secret", "short", "is not 16 or more"),
        ("payload_secret", "short", "has fewer than 16"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(clock, tmp_path, field, text, sentence):
    file = tmp_path / "file"
    file.write_text(text)
    given = {f"{field}_file": str(file), "webhook_port": 0, **YOOKASSA}
    given.setdefault("webhook_secret_file", str(tmp_path / "path"))
    (tmp_path / "path").write_text("nobody-guesses-this")

    told = f"BILLING_{field.upper()}_FILE: {file} {sentence}"
    with pytest.raises(ConfigurationError, match=told):
        kept_by(clock, **given)


def test_another_apps_token_is_refused_and_the_one_before_kept(clock, tmp_path):
    file = tmp_path / "token"
    file.write_text("1:AA")
    kept = kept_by(clock, crypto_pay_token_file=str(file)).crypto_pay

    file.write_text("2:AA")
    assert kept.current() == "1:AA"
    file.write_text("1:BB")
    assert kept.known() == ("1:BB", "1:AA")


def test_a_new_seal_is_used_once_the_one_before_is_listed(clock, tmp_path):
    seal, listed = tmp_path / "seal", tmp_path / "listed"
    seal.write_text(SEALING)
    listed.write_text("one of long ago")
    found = kept_by(
        clock, payload_secret_file=str(seal), payload_secrets_previous_file=str(listed)
    ).seal
    before = found.sign(PAYMENT)

    seal.write_text(OTHER)
    assert found.sign(PAYMENT) == before
    # A Secret is swapped as a whole: both files are others then.
    listed.write_text(f"one of long ago,{SEALING}")
    seal.write_text(f"{OTHER}\n")

    assert found.sign(PAYMENT) != before
    assert found.open(before) is not None
    assert Seal(OTHER).open(found.sign(PAYMENT)) is not None


def test_a_seal_is_taken_when_the_one_before_is_listed_after_it(clock, tmp_path):
    seal, listed = tmp_path / "seal", tmp_path / "listed"
    seal.write_text(SEALING)
    listed.write_text("")
    files = {"payload_secret_file": str(seal), "payload_secrets_previous_file": str(listed)}
    found = kept_by(clock, **files).seal
    before = found.sign(PAYMENT)
    seal.write_text(OTHER)
    assert found.sign(PAYMENT) == before

    listed.write_text(f"{SEALING}\n,one of long ago")

    assert Seal(OTHER).open(found.sign(PAYMENT)) is not None
    assert found.open(before) is not None


def test_a_former_seal_that_leaked_is_known_no_longer_when_the_list_is_emptied(clock, tmp_path):
    seal, listed = tmp_path / "seal", tmp_path / "listed"
    seal.write_text(SEALING)
    listed.write_text(OTHER)
    files = {"payload_secret_file": str(seal), "payload_secrets_previous_file": str(listed)}
    found = kept_by(clock, **files).seal
    leaked = Seal(OTHER).sign(PAYMENT)
    assert found.open(leaked) is not None

    listed.write_text("")

    assert found.open(leaked) is None
    assert kept_by(clock, **files).seal.open(leaked) is None, "nor is the start refused"
    assert found.open(found.sign(PAYMENT)) is not None


class Replica:
    """One of several billings: the kubelet swaps its files some time after the Secret changed."""

    def __init__(self, clock, folder):
        folder.mkdir()
        self.files = folder / "seal", folder / "listed"
        self.get(SEALING, "")
        names = ("payload_secret_file", "payload_secrets_previous_file")
        self.seal = kept_by(clock, **dict(zip(names, map(str, self.files), strict=True))).seal

    def get(self, *texts):
        for file, text in zip(self.files, texts, strict=True):
            file.write_text(text)


def test_a_seal_listed_before_it_signs_is_known_to_every_replica_at_every_moment(clock, tmp_path):
    replicas = [Replica(clock, tmp_path / name) for name in ("early", "late")]
    first = replicas[0].seal.sign(PAYMENT)

    for texts in ((SEALING, OTHER), (OTHER, SEALING), (OTHER, "")):
        for replica in replicas:
            replica.get(*texts)
            payloads = {each.seal.sign(PAYMENT) for each in replicas}
            for each in replicas:
                assert all(each.seal.open(payload) is not None for payload in payloads), texts

    assert payloads == {Seal(OTHER).sign(PAYMENT)}
    assert payloads != {first}


def test_a_path_is_judged_where_a_port_is_set(clock):
    assert kept_by(clock, webhook_secret="short").path is None
    with pytest.raises(ValueError, match="webhook_secret"):
        kept_by(clock, webhook_secret="short", webhook_port=0)


def test_a_path_that_is_not_there_is_missed_where_a_port_is_set(clock, tmp_path):
    away = {"webhook_secret_file": str(tmp_path / "away")}

    assert kept_by(clock, **away).path is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        kept_by(clock, **away, webhook_port=0)


def test_what_was_sold_under_a_variable_renews_under_the_file_of_the_same_secret(clock, tmp_path):
    """As `helm upgrade` changes it: `echo` ended the Secret's text with a line's end."""
    file = tmp_path / "payload-secret"
    file.write_text(f"{SEALING}\n")
    sold = kept_by(clock, payload_secret=f"{SEALING}\n").seal.sign(PAYMENT)

    found = kept_by(clock, payload_secret_file=str(file)).seal

    assert found.open(sold) is not None
    assert found.sign(PAYMENT) == Seal(SEALING).sign(PAYMENT)
    listed = tmp_path / "listed"
    listed.write_text(file.read_text())
    file.write_text(OTHER)
    later = {"payload_secret_file": str(file), "payload_secrets_previous_file": str(listed)}
    assert kept_by(clock, **later).seal.open(sold) is not None
