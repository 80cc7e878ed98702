"""Who may produce which message: the one table that signatures are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

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
from contracts.topology import SERVICES

OPERATOR = "operator"
"""A person at a command line."""
PARTIES = (*SERVICES, OPERATOR)
"""Everybody who has a signing key."""

_GATEWAY, _BILLING, _VPN, _SCHEDULER = ("gateway",), ("billing",), ("vpn",), ("scheduler",)
_OPERATOR = (OPERATOR,)

COMMANDS: Mapping[str, tuple[str, ...]] = {
    billing.OpenAccount.subject: _GATEWAY,
    billing.PlaceOrder.subject: _GATEWAY,
    billing.CancelOrder.subject: (*_GATEWAY, OPERATOR),
    billing.GrantCredits.subject: _OPERATOR,
    billing.SetTier.subject: _OPERATOR,
    billing.RenewTrials.subject: _SCHEDULER,
    billing.RunAudit.subject: _SCHEDULER,
    payments.CreatePayment.subject: _GATEWAY,
    payments.CancelPayment.subject: _GATEWAY,
    payments.BuyPlan.subject: _GATEWAY,
    payments.ChangeSubscription.subject: _GATEWAY,
    payments.RefundCharge.subject: _OPERATOR,
    payments.WatchPayments.subject: _SCHEDULER,
    operators.ResolveReview.subject: _OPERATOR,
    operators.RecordChargeBack.subject: _OPERATOR,
    operators.AdjustCredits.subject: _OPERATOR,
    operators.ForgetSealHead.subject: _OPERATOR,
    operators.RefundOrder.subject: _OPERATOR,
    rewards.SavePromo.subject: _OPERATOR,
    rewards.RedeemPromo.subject: _GATEWAY,
    rewards.TakeDraw.subject: _GATEWAY,
    rewards.MakeGift.subject: _GATEWAY,
    rewards.OpenGift.subject: _GATEWAY,
    access.BuyAccess.subject: _GATEWAY,
    access.RenewAccess.subject: _VPN,
    gateway.DeliverResult.subject: _BILLING,
    gateway.SweepMedia.subject: _SCHEDULER,
    gateway.RefundStars.subject: _BILLING,
    gateway.EditStarsSubscription.subject: _BILLING,
    gateway.ReadStarsStatement.subject: _SCHEDULER,
    generator.CancelJob.subject: _BILLING,
    vpn.GrantAccess.subject: _BILLING,
    vpn.RevokeAccess.subject: _BILLING,
    vpn.RotateKey.subject: _GATEWAY,
    vpn.SetAccessOptions.subject: _GATEWAY,
    vpn.ExtendEverybody.subject: _OPERATOR,
    vpn.SetNode.subject: _OPERATOR,
    vpn.CheckSubscription.subject: _SCHEDULER,
    vpn.SweepSubscriptions.subject: _SCHEDULER,
    vpn.RenewSubscriptions.subject: _SCHEDULER,
    vpn.SendReminders.subject: _SCHEDULER,
    vpn.ReconcileNodes.subject: (*_SCHEDULER, OPERATOR),
    vpn.CheckNodes.subject: _SCHEDULER,
    scheduler.ScheduleTimer.subject: _VPN,
    scheduler.CancelTimer.subject: _VPN,
}
"""Who may give a command, beside its owner: that one could write its own tables as well."""

JOB_RECORDS = "$KV.jobs."
"""What generators write down about orders: a record holds a job, and in the end its outcome."""


@lru_cache(maxsize=4096)
def producers_of(subject: str) -> frozenset[str]:
    """Return who may produce what travels on a subject; empty: it is not signed.

    Signed is what a stream of messages stores, and generators' records of jobs. Not signed are
    requests and answers, progress, leases, send budgets and media: nobody acts on them with money.
    A command that the table does not know has no handler here either; it may come from anybody who
    can sign, and waits for the release that knows it.
    """
    owner, _, rest = subject.partition(".")
    kind = rest.partition(".")[0]
    if owner == "jobs":
        return frozenset(_BILLING)
    if subject.startswith(JOB_RECORDS):
        return frozenset(("generator",))
    if owner == "dead" and rest in SERVICES:
        return frozenset((rest,))
    if owner not in SERVICES:
        return frozenset()
    if kind == "evt" or (owner == "gateway" and kind == "updates"):
        return frozenset((owner,))
    if kind == "cmd":
        return frozenset((*COMMANDS.get(subject, PARTIES), owner))
    return frozenset()


def may_have_fired(requester: str, subject: str) -> bool:
    """Whether the scheduler may send this at a requester's wish: never what neither may send.

    Its signature under a timer's message must not say more than the requester's own would, and
    the table lets it send hints alone.
    """
    producers = producers_of(subject)
    return "scheduler" in producers and (
        requester in producers or subject.partition(".")[0] == requester
    )
