"""A signature proves who sent a message, with its subject, headers and body, and nothing else."""

import base64
import dataclasses
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis import signing_keys
from chassis.clock import new_id
from chassis.errors import ConfigurationError
from chassis.publishing import OutgoingMessage
from chassis.signatures import (
    BAD_SIGNATURE,
    OFF,
    TREE_MAX,
    UNKNOWN_KEY,
    UNSIGNED,
    WRONG_PRODUCER,
    Judged,
    Mode,
    of_operator,
    of_service,
)
from chassis.testing import signatures_of
from contracts import billing, gateway
from contracts.envelope import HEADER_SIGNATURE, HEADER_TRACE, Headers
from contracts.producers import OPERATOR, PARTIES

SUBJECT = billing.PlaceOrder.subject
BODY = b"\x81\xa1x\x01" * 60


@dataclasses.dataclass
class Sent:
    subject: str
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    signing_keys.ensure(tmp_path / "keys", PARTIES)
    return tmp_path / "keys"


def headers() -> dict[str, str]:
    made = Headers(id=new_id(), sent_at=datetime.now(UTC), aggregate="a: b", version=7)
    return made.to_wire()


def sent(folder: Path, party: str = "gateway", subject: str = SUBJECT) -> Sent:
    message = Sent(subject, headers(), BODY)
    signatures_of(folder, party).sign(subject, message.body, message.headers)
    return message


def judged(folder: Path, message: Sent, mode: str = Mode.REQUIRE) -> Judged:
    judge = signatures_of(folder, "billing", mode)
    return judge.judge(message.subject, message.headers, message.body)


def reason(found: Judged) -> str:
    return found.refusal.reason if found.refusal else ""


def test_a_signed_message_is_known_to_be_its_producers(folder: Path) -> None:
    assert judged(folder, sent(folder)) == Judged("gateway")


def test_many_messages_under_one_signature_are_each_proven_alone(folder: Path) -> None:
    for number in (1, 2, 3, 4, 5, 16, 17, TREE_MAX, TREE_MAX + 1, 3 * TREE_MAX - 1):
        messages = [OutgoingMessage(SUBJECT, b"%d" % each, headers()) for each in range(number)]

        signed = signatures_of(folder, "gateway").sign_all(messages)

        signatures = {".".join(each.headers[HEADER_SIGNATURE].split(".")[:3]) for each in signed}
        assert len(signatures) == -(-number // TREE_MAX)
        together = signatures_of(folder, "billing")
        for each in signed:
            alone = signatures_of(folder, "billing")
            assert alone.judge(each.subject, each.headers, each.body) == Judged("gateway")
            assert together.judge(each.subject, each.headers, each.body) == Judged("gateway")


def test_nobody_gets_into_a_proven_tree_afterwards(folder: Path) -> None:
    judge = signatures_of(folder, "billing")
    messages = [OutgoingMessage(SUBJECT, b"%d" % each, headers()) for each in range(20)]
    signed = signatures_of(folder, "gateway").sign_all(messages)
    for each in signed:
        judge.judge(each.subject, each.headers, each.body)

    for each, other in zip(signed, [*signed[1:], signed[0]], strict=True):
        assert reason(judge.judge(each.subject, each.headers, other.body)) == BAD_SIGNATURE
        strange = {**headers(), HEADER_SIGNATURE: each.headers[HEADER_SIGNATURE]}
        assert reason(judge.judge(each.subject, strange, each.body)) == BAD_SIGNATURE


def test_a_batch_signs_only_what_is_signed_at_all(folder: Path) -> None:
    plain = OutgoingMessage("$KV.leases.x", b"", {})
    mixed = [plain, OutgoingMessage(SUBJECT, BODY, headers()), plain]

    signed = signatures_of(folder, "gateway").sign_all(mixed)

    assert [HEADER_SIGNATURE in each.headers for each in signed] == [False, True, False]


CHANGES: dict[str, Callable[[Sent], None]] = {
    "body": lambda it: setattr(it, "body", it.body + b"\0"),
    "subject": lambda it: setattr(it, "subject", billing.CancelOrder.subject),
    "id": lambda it: it.headers.update({"Nats-Msg-Id": str(new_id())}),
    "no id": lambda it: it.headers.__delitem__("Nats-Msg-Id"),
    "moment": lambda it: it.headers.update({"Vitrine-Sent-At": "2020-01-01T00:00:00+00:00"}),
    "version": lambda it: it.headers.update({"Vitrine-Version": "8"}),
    "another header of ours": lambda it: it.headers.update({"Vitrine-Order": str(new_id())}),
    "a header to come": lambda it: it.headers.update({"Vitrine-Whatever": "1"}),
    "a deletion": lambda it: it.headers.update({"KV-Operation": "DEL"}),
    "two headers as one": lambda it: it.headers.update(
        {"Vitrine-Aggregate": f"a: b\nVitrine-Version:{it.headers.pop('Vitrine-Version')}"}
    ),
    "body and headers": lambda it: (
        it.headers.pop("Vitrine-Version"),
        setattr(it, "body", b"Vitrine-Version:7\r\n\r\n" + it.body),
    ),  # type: ignore[dict-item,func-returns-value]
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_message_is_refused(folder: Path, change: str) -> None:
    message = sent(folder)

    CHANGES[change](message)

    assert reason(judged(folder, message)) == BAD_SIGNATURE


def test_a_trace_may_be_added_on_the_way(folder: Path) -> None:
    message = sent(folder)

    message.headers[HEADER_TRACE] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert judged(folder, message) == Judged("gateway")


def test_space_around_a_header_is_nothing(folder: Path) -> None:
    message = Sent(SUBJECT, {**headers(), "Vitrine-Aggregate": " x "}, BODY)
    signatures_of(folder, "gateway").sign(message.subject, message.body, message.headers)

    message.headers["Vitrine-Aggregate"] = "x"

    assert judged(folder, message) == Judged("gateway")


@pytest.mark.parametrize(
    "signature",
    [
        "x",
        "gateway",
        "gateway.",
        "gateway..",
        "gateway.0.0",
        "gateway.{key}.",
        "gateway.{key}.AAAA",
        "gateway.{key}.{junk}",
        "gateway.{key}.{junk}=",
        "gateway.{key}.é",
        "gateway.{key}.{junk}.0",
        "gateway.{key}.{junk}.0.",
        "gateway.{key}.{junk}.-1.{path}",
        "gateway.{key}.{junk}.4.{path}",
        "gateway.{key}.{junk}.٣.{path}x",
        "gateway.{key}.{junk}.9" + "9" * 5_000 + ".{path}",
        "gateway.{key}.{junk}.0.{path}.0",
    ],
)
def test_what_is_no_signature_of_it_is_refused(folder: Path, signature: str) -> None:
    message = sent(folder)
    key = message.headers[HEADER_SIGNATURE].split(".")[1]
    junk = base64.b64encode(os.urandom(64)).decode()
    path = base64.b64encode(os.urandom(96)).decode()

    message.headers[HEADER_SIGNATURE] = signature.format(key=key, junk=junk, path=path)

    assert reason(judged(folder, message)) in {BAD_SIGNATURE, WRONG_PRODUCER, UNKNOWN_KEY}


def test_a_message_without_a_signature_is_refused(folder: Path) -> None:
    assert reason(judged(folder, Sent(SUBJECT, headers(), BODY))) == UNSIGNED


@pytest.mark.parametrize("party", ["vpn", "generator", "scheduler", OPERATOR])
def test_another_service_cannot_send_it(folder: Path, party: str) -> None:
    assert reason(judged(folder, sent(folder, party))) == WRONG_PRODUCER


def test_another_services_key_cannot_pass_for_the_right_one(folder: Path) -> None:
    message = sent(folder, "vpn")

    _, rest = message.headers[HEADER_SIGNATURE].split(".", 1)
    message.headers[HEADER_SIGNATURE] = f"gateway.{rest}"

    assert reason(judged(folder, message)) == BAD_SIGNATURE


def test_the_order_a_gateway_may_give_does_not_count_elsewhere(folder: Path) -> None:
    message = sent(folder, "gateway", billing.GrantCredits.subject)

    assert reason(judged(folder, message)) == WRONG_PRODUCER


def test_a_key_nobody_knows_may_still_arrive(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    signing_keys.ensure(elsewhere, PARTIES)
    judge = signatures_of(folder, "billing")
    message = sent(elsewhere)

    first = judge.judge(message.subject, message.headers, message.body).refusal
    for file in (elsewhere / "verify").glob("gateway.*"):
        (folder / "verify" / file.name).write_bytes(file.read_bytes())
    judge.refresh()

    assert first is not None
    assert (first.reason, first.later) == (UNKNOWN_KEY, True)
    assert judge.judge(message.subject, message.headers, message.body) == Judged("gateway")


def test_what_was_proven_with_a_removed_key_is_proven_no_longer(folder: Path) -> None:
    judge = signatures_of(folder, "billing")
    messages = [OutgoingMessage(SUBJECT, b"%d" % each, headers()) for each in range(8)]
    signed = signatures_of(folder, "gateway").sign_all(messages)
    assert judge.judge(*_parts(signed[0])) == Judged("gateway")
    signing_keys.write(folder, signing_keys.new_key("gateway"))

    old = signed[0].headers[HEADER_SIGNATURE].split(".")[1]
    (folder / "verify" / f"gateway.{old}.pub").unlink()
    judge.refresh()

    assert [reason(judge.judge(*_parts(each))) for each in signed] == [UNKNOWN_KEY] * 8


def _parts(message: OutgoingMessage) -> tuple[str, dict[str, str], bytes]:
    return message.subject, dict(message.headers), message.body


def test_observe_lets_pass_what_require_refuses_and_vouches_for_nobody(folder: Path) -> None:
    assert judged(folder, Sent(SUBJECT, headers(), BODY), Mode.OBSERVE) == Judged("")
    assert judged(folder, sent(folder, "vpn"), Mode.OBSERVE) == Judged("")
    assert judged(folder, sent(folder), Mode.OBSERVE) == Judged("gateway")


def test_off_neither_signs_nor_judges() -> None:
    message = Sent(SUBJECT, headers(), BODY)

    OFF.sign(message.subject, message.body, message.headers)

    assert HEADER_SIGNATURE not in message.headers
    assert OFF.judge(message.subject, message.headers, message.body) == Judged("")


@pytest.mark.parametrize("mode", ["", "require", "observe", "requires", "OFF"])
def test_without_keys_off_has_to_be_said(mode: str) -> None:
    with pytest.raises(ConfigurationError):
        of_service("billing", mode=mode, key_file="", verify_keys="")


def test_off_is_off_and_an_operator_without_a_key_can_only_ask() -> None:
    assert of_service("billing", mode="off", key_file="", verify_keys="") is OFF
    assert of_operator(mode="off", key_file="") is OFF
    assert of_operator(mode="", key_file="") is None


def test_an_operators_order_is_signed(folder: Path) -> None:
    signing = of_operator(mode="", key_file=str(signing_keys.private_file(folder, OPERATOR)))
    message = Sent(billing.GrantCredits.subject, headers(), BODY)

    assert signing is not None
    signing.sign(message.subject, message.body, message.headers)

    assert judged(folder, message) == Judged(OPERATOR)


def test_events_are_their_owners_alone(folder: Path) -> None:
    assert judged(folder, sent(folder, "gateway", gateway.StarsPaid.subject)) == Judged("gateway")
    assert reason(judged(folder, sent(folder, "vpn", gateway.StarsPaid.subject))) == WRONG_PRODUCER
