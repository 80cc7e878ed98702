"""What operators ask of billing: find anything by any id in words, refund, adjust, decide, try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from rich.table import Table

from chassis import rpc
from chassis.broker import Broker, Ephemeral
from chassis.clock import SystemClock, new_id
from chassis.errors import TransientError
from chassis.signatures import decided
from contracts import billing, errors, operators, payments, rewards, vpn
from contracts.envelope import Command, Event, Headers
from contracts.ids import MessageId, OrderId, UserId
from contracts.money import Credits
from vitrine_tools import screen
from vitrine_tools.screen import plain
from vitrine_tools.words import sentence

APPROVED = {
    "operator.adjust_credits": operators.AdjustCredits,
    "operator.resolve_review": operators.ResolveReview,
    "operator.record_charge_back": operators.RecordChargeBack,
    "operator.grant_credits": billing.GrantCredits,
    "operator.refund_order": operators.RefundOrder,
    "operator.set_tier": billing.SetTier,
    "operator.save_promo": rewards.SavePromo,
    "operator.forget_seal_head": operators.ForgetSealHead,
}
"""What a second person may have to agree to, by how billing notes that it was asked for."""
ANSWER_SECONDS = 15.0
"""A refund waits for its provider; what takes longer goes on by itself."""


class MoneyError(Exception):
    """What could not be done, as a sentence for the operator; the command ends with 1."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command, the events that answer it, and which of those are about it."""

    command: Command
    answers: tuple[type[Event], ...]
    concerns: Callable[[Any], bool]


async def show(broker: Broker, query: str) -> None:
    """Tell everything recorded under an id, in words and in the order of time."""
    found = await ask(broker, operators.FindRecords(query=query), operators.Records)
    console = screen.wide_console()
    if not found.facts:
        raise MoneyError(f"nothing is recorded under {query}")
    table = Table("when (UTC)", "what")
    table.add_column("id", min_width=36)
    for fact in found.facts:
        said = sentence(fact.what, fact.detail)
        table.add_row(f"{fact.at:%Y-%m-%d %H:%M:%S}", plain(said), plain(fact.id))
    console.print(table)
    if found.cut:
        console.print("there is more than is shown here")
    for user_id in sorted(_subscribers(found.facts)):
        console.print(plain(await _access_of(broker, user_id)))


def _subscribers(facts: Sequence[operators.Fact]) -> set[UserId]:
    """Whose VPN access the facts are about, or may be."""
    owners = {fact.detail.get("user", "") for fact in facts if fact.what.startswith("access.")}
    owners |= {fact.id for fact in facts if fact.what == "account.opened"}
    return {UserId(int(owner)) for owner in owners if owner}


async def _access_of(broker: Broker, user_id: UserId) -> str:
    """How it stands with vpn now; never its link, which is the person's secret."""
    try:
        access = await rpc.request(broker, vpn.GetAccess(user_id=user_id), vpn.Access)
    except (rpc.RpcFailedError, TransientError):
        return f"VPN access of {user_id}: vpn does not answer"
    if not access.exists:
        return f"VPN access of {user_id}: none"
    renews = "renews itself" if access.auto_renew else "does not renew itself"
    return (
        f"VPN access of {user_id}: {access.state} until {access.until}, plan {access.plan}, "
        f"{renews}, subscription {access.subscription_id}"
    )


async def carry_out(broker: Broker, order: Order, actor: str, *, dry_run: bool) -> None:
    """Give the command and tell its answer; or only tell what it would do."""
    if dry_run:
        await _try(broker, order.command, actor)
    else:
        await _give(broker, order)


async def _try(broker: Broker, command: Command, actor: str) -> None:
    request = operators.TryCommand(
        command_subject=command.subject, body=command.encode(), actor=actor
    )
    tried = await ask(broker, request, operators.Tried)
    console = screen.console()
    if tried.code:
        raise MoneyError(f"it would be refused: {plain(tried.code)}")
    console.print("nothing was changed; it would:")
    for said in tried.messages:
        console.print(plain(f"  say {said.subject}: {said.body}"))
    for key in tried.effects:
        console.print(plain(f"  call outside: {key}"))
    if not tried.messages and not tried.effects:
        console.print("  change nothing that others are told of")


async def _give(broker: Broker, order: Order) -> None:
    decided(broker.signatures)
    answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    message_id = new_id()
    known: tuple[type[Event], ...] = (*order.answers, billing.CommandRejected)
    kinds = {kind.subject: kind for kind in known}

    async def heard(message: Ephemeral) -> None:
        kind = kinds.get(message.subject)
        if kind is None or answer.done():
            return
        event = kind.decode(message.body)
        if isinstance(event, billing.CommandRejected):
            answers = event.command_id == message_id
        else:
            answers = order.concerns(event)
        if answers:
            answer.set_result(event)

    listening = [await broker.subscribe(subject, heard) for subject in kinds]
    headers = Headers(id=MessageId(message_id), sent_at=SystemClock().now())
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await broker.publish(order.command.subject, order.command.encode(), headers.to_wire())
            event = await answer
    except TimeoutError as error:
        raise MoneyError("no answer yet: the command is queued and goes on by itself") from error
    except TransientError as error:
        raise MoneyError("nats-server did not take the command: nothing was done") from error
    finally:
        for each in listening:
            await each.stop()
    _tell(order.command, event)


def _tell(command: Command, event: Event) -> None:
    if isinstance(event, billing.CommandRejected):
        if event.code == errors.NEEDS_SECOND_PERSON:
            second = f"vitrine approve {_name_of(command)}"
            raise MoneyError(f"so much needs a second person, who runs: {second}")
        raise MoneyError(f"refused: {plain(event.code)}")
    name = event.subject.split(".")[2].replace("_", " ")
    screen.console().print(plain(f"{name}: {msgspec.json.encode(event).decode()}"))


async def ask(broker: Broker, request: Any, reply: type[Any]) -> Any:
    try:
        return await rpc.request(broker, request, reply)
    except rpc.RpcFailedError as error:
        raise MoneyError(f"billing refused the question: {plain(error)}") from error
    except TransientError as error:
        raise MoneyError("billing does not answer: is it running?") from error


def refund(
    provider: str,
    charge_id: str,
    user_id: int,
    reason: str,
    actor: str,
    *,
    amount_minor: int | None = None,
) -> Order:
    """`amount_minor` None: all that is still ours."""
    command = payments.RefundCharge(
        provider=provider,
        charge_id=charge_id,
        user_id=UserId(user_id),
        reason=reason,
        actor=actor,
        amount_minor=amount_minor,
    )
    answers = (payments.ChargeRefunded, payments.RefundRefused)
    return Order(command, answers, lambda event: event.charge_id == charge_id)


def adjust(user_id: int, credits_: int, reason: str, actor: str) -> Order:
    return order_of(
        operators.AdjustCredits(
            adjustment_id=new_id(),
            user_id=UserId(user_id),
            credits=Credits(credits_),
            reason=reason,
            actor=actor,
        )
    )


async def approval(broker: Broker, asked_id: str, approver: str) -> Order:
    """What somebody else asked for last and was refused alone, with this person's consent."""
    found = await ask(broker, operators.FindRecords(query=asked_id), operators.Records)
    asked = [
        fact
        for fact in found.facts
        if fact.what in APPROVED
        and fact.id == asked_id
        and fact.detail.get("outcome") == errors.NEEDS_SECOND_PERSON
        and "dry_run" not in fact.detail
    ]
    if not asked:
        raise MoneyError(f"nobody asked for anything under {asked_id} that needs a second person")
    detail = {**asked[-1].detail, "approved_by": approver}
    return order_of(msgspec.convert(detail, APPROVED[asked[-1].what], strict=False))


def order_of(command: Command) -> Order:
    """A command with the events that answer it."""
    match command:
        case operators.AdjustCredits(adjustment_id=adjustment_id):
            adjusted = (operators.CreditsAdjusted,)
            return Order(command, adjusted, lambda event: event.adjustment_id == adjustment_id)
        case operators.RefundOrder(refund_id=refund_id):
            back = (operators.OrderCreditedBack,)
            return Order(command, back, lambda event: event.refund_id == refund_id)
        case operators.ResolveReview(charge_id=charge_id):
            resolved = (payments.PaymentCredited, operators.ReviewResolved)
            return Order(command, resolved, lambda event: event.charge_id == charge_id)
        case operators.RecordChargeBack(charge_id=charge_id):
            taken = (payments.ChargeRefunded,)
            return Order(command, taken, lambda event: event.charge_id == charge_id)
        case operators.ForgetSealHead(number=number):
            ended = (operators.SealHeadForgotten, operators.SealHeadStays)
            return Order(command, ended, lambda event: event.number == number)
        case billing.GrantCredits(grant_key=grant_key):
            granted = (billing.CreditsGranted,)
            return Order(command, granted, lambda event: event.grant_key == grant_key)
        case billing.SetTier(user_id=user_id):
            return Order(command, (billing.TierSet,), lambda event: event.user_id == user_id)
        case rewards.SavePromo():
            return promo(command)
    raise AssertionError(f"no order is made of {command.subject}")


def _name_of(command: Command) -> str:
    """What an approval names it by."""
    if isinstance(command, rewards.SavePromo):
        return _code_of(command)
    names = ("adjustment_id", "charge_id", "grant_key", "order_id", "seal_id", "user_id")
    return next(str(getattr(command, name)) for name in names if hasattr(command, name))


def refund_order(
    order_id: UUID, user_id: int, credits_: int | None, reason: str, actor: str
) -> Order:
    """`credits_` None: all that is left of what was charged."""
    return order_of(
        operators.RefundOrder(
            refund_id=new_id(),
            order_id=OrderId(order_id),
            user_id=UserId(user_id),
            credits=Credits(credits_) if credits_ is not None else None,
            reason=reason,
            actor=actor,
        )
    )


def charge_back(provider: str, charge_id: str, user_id: int, reason: str, actor: str) -> Order:
    return order_of(
        operators.RecordChargeBack(
            provider=provider,
            charge_id=charge_id,
            user_id=UserId(user_id),
            reason=reason,
            actor=actor,
        )
    )


def review(
    provider: str, charge_id: str, user_id: int, credits_: int, reason: str, actor: str
) -> Order:
    return order_of(
        operators.ResolveReview(
            provider=provider,
            charge_id=charge_id,
            user_id=UserId(user_id),
            credits=Credits(credits_),
            reason=reason,
            actor=actor,
        )
    )


def forget_seal_head(number: int, reason: str, actor: str) -> Order:
    return order_of(operators.ForgetSealHead(number=number, reason=reason, actor=actor))


def cancel(order_id: UUID, user_id: int) -> Order:
    command = billing.CancelOrder(
        order_id=OrderId(order_id),
        user_id=UserId(user_id),
        reason=errors.CANCELLED_BY_OPERATOR,
    )
    answers = (billing.OrderRefunded, billing.OrderCompleted)
    return Order(command, answers, lambda event: event.order_id == order_id)


def promo(command: rewards.SavePromo) -> Order:
    code = _code_of(command)
    return Order(command, (rewards.PromoSaved,), lambda event: event.code == code)


def _code_of(command: rewards.SavePromo) -> str:
    """People type codes in any case; billing keeps them in capitals."""
    return command.code.strip().upper()
