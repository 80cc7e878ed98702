"""No stored text commands the terminal it is shown on, whichever command shows it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from chassis import parked, rpc
from chassis.broker import Broker
from chassis.clock import new_id
from contracts import operators
from contracts.envelope import Reply
from contracts.ids import OrderId
from contracts.money import Credits
from devstack.testing import MessageServer
from vitrine_tools import dead, held, money, reconcile
from vitrine_tools.screen import plain, plain_lines

STORED = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\x7f\u202e\nпривет"
PRINTED = r"\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u009b2J\u007f\u202e\nпривет"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FACT = operators.Fact(
    at=NOW, what="operator.refund_charge", id=STORED, detail={"reason": STORED, "actor": STORED}
)
CHARGE = operators.HeldCharge(
    provider=STORED,
    charge_id=STORED,
    code=STORED,
    amount_minor=1,
    currency=STORED,
    exponent=2,
    paid_at=NOW,
)
DIFFERENCE = operators.Difference(
    kind=STORED, charge_id=STORED, at=NOW, currency=STORED, ours_minor=1, state=STORED
)
COMPARED = operators.Reconciled(
    provider=STORED,
    code=STORED,
    matched=1,
    matched_minor={STORED: 1},
    differences=(DIFFERENCE,),
    cut=1,
)
PARKED = parked.ParkedRow(
    id=new_id(),
    stream="VPN",
    consumer="vpn",
    subject=STORED,
    reason=STORED,
    body=b"",
    headers={STORED: STORED},
    state="parked",
    parked_at=NOW,
    traceparent=STORED,
)
TRIED = operators.Tried(messages=(operators.Said(subject=STORED, body=STORED),), effects=(STORED,))


@pytest_asyncio.fixture
async def broker(nats_server: MessageServer) -> AsyncIterator[Broker]:
    """To it a service answers that stores what somebody hostile sent."""
    made = await Broker.connect(nats_server.url, name="test", on_fatal=pytest.fail)
    answers: dict[type, Reply] = {
        operators.FindRecords: operators.Records(facts=(FACT,)),
        operators.GetHeld: operators.Held(charges=(CHARGE,)),
        operators.Reconcile: operators.Reconciliation(providers=(COMPARED,)),
        operators.TryCommand: TRIED,
        parked.ListParked: parked.ParkedList(rows=(PARKED,)),
        parked.ShowParked: parked.ParkedList(rows=(PARKED,)),
        parked.RedriveParked: parked.Redriven(changed=True),
    }

    async def answer(request: object) -> Reply:
        return answers[type(request)]

    for kind in answers:
        await rpc.answer(made, kind, answer, subject=kind.subject.format(service="vpn"))
    yield made
    await made.close()


async def ask(broker: Broker, command: str) -> None:
    until = NOW + timedelta(days=1)
    match command:
        case "find":
            await money.show(broker, "1")
        case "refund --dry-run":
            order = money.refund_order(OrderId(new_id()), 1, Credits(1), "why", "who")
            await money.carry_out(broker, order, "who", dry_run=True)
        case "review":
            await held.show(broker)
        case "reconcile":
            await reconcile.reconcile(broker, "", NOW, until, as_json=False)
        case "reconcile --json":
            await reconcile.reconcile(broker, "", NOW, until, as_json=True)
        case "dead list":
            await dead.show_list(broker, ["vpn"], "parked", 50)
        case "dead show":
            await dead.show_one(broker, "vpn", PARKED.id)


@pytest.mark.parametrize(
    "command",
    [
        "find",
        "refund --dry-run",
        "review",
        "reconcile",
        "reconcile --json",
        "dead list",
        "dead show",
    ],
)
async def test_what_a_service_answers_is_printed_plain(
    broker: Broker,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "2000")

    await ask(broker, command)

    out = capsys.readouterr().out
    assert PRINTED in out
    assert out.replace("\n", "").isprintable()


async def test_why_it_failed_adds_no_line_of_its_own(broker: Broker) -> None:
    """A line break in it would let a stored text say `handled again`."""
    with pytest.raises(dead.DeadError, match="parked again") as caught:
        await dead.redrive(broker, "vpn", PARKED.id, "who")

    assert str(caught.value) == f"it is parked again: {PRINTED}"


def test_plain_text_stays_and_json_stays_what_it_was() -> None:
    for text in ("", "Привет, [b] :stars: 100 ₽ ⭐", r"back\slash", '"'):
        assert plain(text) == text
    assert plain(STORED) == PRINTED
    assert plain_lines("a\x1b\nb") == "a\\u001b\nb"
    given = {"said": "\x7f\x9b\U000e0001"}
    assert json.loads(plain(json.dumps(given, ensure_ascii=False))) == given
