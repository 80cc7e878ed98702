"""What others put among a person's updates is not the person's word."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis import signing_keys
from chassis.clock import SystemClock, new_id
from chassis.testing import drain, signatures_of
from contracts.envelope import HEADER_ID, HEADER_SENT_AT
from contracts.gateway import UPDATES_SUBJECT, StarsPaid
from contracts.generator import shard_of
from contracts.producers import PARTIES

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERSON = 77_001


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    signing_keys.ensure(tmp_path / "keys", PARTIES)
    return tmp_path / "keys"


def paid(update_id: int) -> bytes:
    """Telegram says that somebody paid; at least it looks so."""
    person = {"id": PERSON, "is_bot": False, "first_name": "A"}
    payment: dict[str, Any] = {
        "currency": "XTR",
        "total_amount": 5_000,
        "invoice_payload": "p",
        "telegram_payment_charge_id": f"charge-{update_id}",
        "provider_payment_charge_id": "",
    }
    said = {
        "message_id": update_id,
        "date": 1_795_000_000,
        "chat": {"id": PERSON, "type": "private", "first_name": "A"},
        "from": person,
        "successful_payment": payment,
    }
    return msgspec.json.encode({"update_id": update_id, "message": said})


async def test_a_payment_that_no_gateway_took_in_is_parked_and_not_told(platform, keys):
    await platform.people.user(PERSON, first_name="A", started=True)
    await platform.start(
        signatures="require",
        signing_key_file=str(signing_keys.private_file(keys, "gateway")),
        verify_keys_dir=str(signing_keys.verify_folder(keys)),
    )
    subject = UPDATES_SUBJECT.format(shard=shard_of(PERSON))

    for number, party in enumerate(("", "vpn", "gateway")):
        body = paid(90_000_000 + number)
        headers = {
            HEADER_ID: str(new_id()),
            HEADER_SENT_AT: SystemClock().now().isoformat(),
        }
        if party:
            signatures_of(keys, party).sign(subject, body, headers)
        await platform.broker.publish(subject, body, headers)

    async def told() -> list[str]:
        rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", StarsPaid.subject)
        return [StarsPaid.decode(row["body"]).charge_id for row in rows]

    await drain(told, what="the true payment is told")

    async def both_parked() -> bool:
        rows = await platform.rows("SELECT reason FROM parked")
        return sorted(row["reason"] for row in rows) == ["unsigned", "wrong_producer"]

    await drain(both_parked, what="the forged ones are parked")
    assert await told() == ["charge-90000002"]
