"""Old bytes still decode: one golden file per contract, never edited, only added."""

from pathlib import Path

import msgspec
import pytest

from contracts import (
    access,
    billing,
    gateway,
    generator,
    operators,
    payments,
    rewards,
    scheduler,
    vpn,
)
from contracts.envelope import Message, contracts_of

GOLDEN = Path(__file__).parent / "golden"
CONTRACTS = contracts_of(
    access, gateway, billing, operators, payments, rewards, generator, vpn, scheduler
)


def path_of(subject: str) -> Path:
    return GOLDEN / f"{subject.replace('{', '').replace('}', '')}.msgpack"


@pytest.mark.parametrize("subject", sorted(CONTRACTS))
def test_old_bytes_decode_to_the_readable_form(subject: str) -> None:
    path = path_of(subject)
    assert path.exists(), f"run tools/make_golden.py: {path.name} is missing"
    kind: type[Message] = CONTRACTS[subject]

    decoded = kind.decode(path.read_bytes())

    readable = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=kind)
    assert decoded == readable
    assert decoded.encode() == path.read_bytes()


def test_every_golden_file_has_a_contract() -> None:
    known = {path_of(subject).name for subject in CONTRACTS}

    assert {path.name for path in GOLDEN.glob("*.msgpack")} == known


def test_unknown_fields_of_a_newer_service_are_ignored() -> None:
    known = billing.CancelOrder.decode(path_of(billing.CancelOrder.subject).read_bytes())
    newer = msgspec.msgpack.encode({**msgspec.to_builtins(known), "invented_later": 1})

    assert billing.CancelOrder.decode(newer) == known
