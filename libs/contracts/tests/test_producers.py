"""Every message has producers, and whoever has no business with money can send nothing about it."""

import pytest

from contracts import (
    access,
    billing,
    gateway,
    generator,
    operators,
    payments,
    producers,
    rewards,
    scheduler,
    topology,
    vpn,
)
from contracts.envelope import Command, contracts_of
from contracts.generator import RunJob, job_subject, progress_subject
from contracts.ids import UserId
from contracts.producers import OPERATOR, PARTIES, producers_of

CONTRACTS = contracts_of(
    access, gateway, billing, operators, payments, rewards, generator, vpn, scheduler
)
COMMANDS = {
    subject
    for subject, kind in CONTRACTS.items()
    if issubclass(kind, Command) and kind is not RunJob
}


def test_the_table_names_every_command_and_nothing_else() -> None:
    assert set(producers.COMMANDS) == COMMANDS
    assert {party for who in producers.COMMANDS.values() for party in who} <= set(PARTIES)


def test_a_stored_message_is_signed_whatever_it_is() -> None:
    subjects = [
        pattern.replace("*", "x").replace(">", "x.v1")
        for stream in topology.streams()
        for pattern in stream.subjects
        if not pattern.startswith("$")
    ]

    assert [each for each in subjects if not producers_of(each)] == []


@pytest.mark.parametrize(
    ("subject", "who"),
    [
        (generator.JobSucceeded.subject, {"generator"}),
        (generator.JobFailed.subject, {"generator"}),
        (gateway.StarsPaid.subject, {"gateway"}),
        (gateway.StarsRefundRecorded.subject, {"gateway"}),
        ("gateway.updates.7", {"gateway"}),
        (vpn.AccessGranted.subject, {"vpn"}),
        (billing.OrderRefunded.subject, {"billing"}),
        (payments.PaymentCredited.subject, {"billing"}),
        (job_subject("image", "priority"), {"billing"}),
        (vpn.GrantAccess.subject, {"billing", "vpn"}),
        (vpn.RevokeAccess.subject, {"billing", "vpn"}),
        (billing.PlaceOrder.subject, {"gateway", "billing"}),
        (billing.GrantCredits.subject, {OPERATOR, "billing"}),
        (operators.AdjustCredits.subject, {OPERATOR, "billing"}),
        (payments.RefundCharge.subject, {OPERATOR, "billing"}),
        (access.RenewAccess.subject, {"vpn", "billing"}),
        ("dead.vpn", {"vpn"}),
        ("$KV.jobs.order.1", {"generator"}),
    ],
)
def test_what_moves_money_or_ends_an_order_has_these_producers(subject: str, who: set[str]) -> None:
    assert producers_of(subject) == who


@pytest.mark.parametrize(
    "subject",
    [
        progress_subject(UserId(1), UserId(1)),  # type: ignore[arg-type]
        "billing.rpc.balance",
        "$KV.leases.generator.1",
        "$O.media.C.1",
        "_INBOX_billing.x",
        "somebody.else",
    ],
)
def test_what_nobody_acts_on_with_money_is_not_signed(subject: str) -> None:
    assert producers_of(subject) == frozenset()


def test_the_scheduler_sends_hints_alone() -> None:
    hints = {subject for subject, who in producers.COMMANDS.items() if "scheduler" in who}

    assert hints == {
        billing.RenewTrials.subject,
        billing.RunAudit.subject,
        payments.WatchPayments.subject,
        gateway.SweepMedia.subject,
        gateway.ReadStarsStatement.subject,
        vpn.CheckSubscription.subject,
        vpn.SweepSubscriptions.subject,
        vpn.RenewSubscriptions.subject,
        vpn.SendReminders.subject,
        vpn.ReconcileNodes.subject,
        vpn.CheckNodes.subject,
    }


@pytest.mark.parametrize(
    ("requester", "subject", "allowed"),
    [
        ("vpn", vpn.CheckSubscription.subject, True),
        ("vpn", billing.GrantCredits.subject, False),
        ("billing", billing.GrantCredits.subject, False),
        ("vpn", payments.WatchPayments.subject, False),
        ("gateway", vpn.CheckSubscription.subject, False),
        ("vpn", access.RenewAccess.subject, False),
    ],
)
def test_a_timer_lends_nobody_the_schedulers_rights(
    requester: str, subject: str, allowed: bool
) -> None:
    assert producers.may_have_fired(requester, subject) is allowed


def test_a_command_of_a_later_release_may_be_signed_by_anybody_who_has_a_key() -> None:
    assert producers_of("billing.cmd.never_heard_of.v1") == set(PARTIES)
