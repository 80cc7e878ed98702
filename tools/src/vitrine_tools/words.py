"""Facts of the books in plain English: what happened, with the figures that matter."""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES = {
    "account.opened": "account opened; now {available} credits, {held} held, debt {debt}, "
    "tier {tier}",
    "order.placed": "order of {workflow} placed at {price} credits",
    "order.accepted": "order accepted, waiting for a server",
    "order.started": "a server started it: {server}",
    "order.running": "order is running",
    "order.cancel_requested": "a cancel was asked for",
    "order.completed": "order completed: the hold was posted",
    "order.refunded": "order refunded, nobody was charged: {reason}",
    "order.refused": "order refused, nothing was held: {reason}",
    "order.delivered": "result delivered as message {message} {reason}",
    "order.delivery_due": "delivery not confirmed yet, asked {asked} times",
    "order.credited_back": "{actor} gave {credits} credits of it back, {debt} of them to the debt: "
    "{reason} (agreed: {approved_by})",
    "access.placed": "VPN access {workflow} ordered at {price} credits",
    "access.renewal": "VPN access {workflow} to be renewed at {price} credits",
    "access.accepted": "VPN access is ordered: vpn has not answered yet",
    "access.granted": "vpn gave the access: it runs until {until} (subscription {subscription})",
    "access.completed": "VPN access was given and charged: {price} credits",
    "access.refunded": "VPN access was not given, nobody was charged: {reason}",
    "access.revoked": "vpn was told to take the access back (subscription {subscription})",
    "hold.pending": "{credits} credits are held until {expires}",
    "hold.posted": "{credits} credits were held, and spent",
    "hold.voided": "{credits} credits were held, and returned",
    "hold.expired": "{credits} credits were held, and returned because no answer came",
    "payment.created": "payment asked for at {provider}: {amount_minor} {currency} for {product}",
    "payment.pending": "invoice {invoice} open at {provider}: {amount_minor} {currency} for "
    "{product}",
    "payment.paid": "invoice {invoice} paid at {provider}: {amount_minor} {currency} for {product}",
    "payment.expired": "invoice {invoice} at {provider} expired unpaid",
    "payment.cancelled": "payment cancelled by the payer",
    "payment.failed": "no invoice could be made at {provider}: {reason}",
    "charge.came": "money came from {provider}: {amount_minor} {currency} from user {user}",
    "charge.credited": "credited by grant {grant}: {credits} credits, tier until {tier_until}",
    "charge.plan": "it bought {product}: tier {tier} until {tier_until}",
    "charge.paid": "the money is ours",
    "charge.review": "held for a person to decide: {reason}",
    "charge.rejected": "decided by {actor}: nothing was credited: {reason}",
    "charge.refunding": "refund under way, asked by {actor}: {reason}; {taken} credits taken back",
    "charge.refunded": "money given back: {reason}; {taken} credits taken back",
    "charge.charged_back": "money charged back by the payer; {taken} credits taken back",
    "adjustment.made": "{actor} adjusted by {credits} credits: {reason} (agreed: {approved_by})",
    "plan.bought": "plan {plan} bought for {credits} credits, until {until}",
    "promo.credits": "promo code for {value} credits by {actor}; used {used} times of {uses_max}",
    "promo.discount": "promo code for {value}% off by {actor}; used {used} times of {uses_max}",
    "promo.tier": "promo code for {value} days of {tier} by {actor}; used {used} times of "
    "{uses_max}",
    "operator.adjust_credits": "{actor} asked to adjust by {credits} credits: {reason}; "
    "second person {approved_by}: {outcome}",
    "operator.refund_refused": "{actor} refused to give the money back: {outcome}; what had been "
    "taken was given again",
    "operator.refund_charge": "{actor} asked for a refund: {reason}: {outcome}",
    "operator.refund_order": "{actor} asked to give {credits} credits of the order back: {reason}; "
    "second person {approved_by}: {outcome}",
    "operator.resolve_review": "{actor} decided to credit {credits}: {reason}; "
    "second person {approved_by}: {outcome}",
    "operator.grant_credits": "{actor} asked to grant {credits} credits: {reason}; "
    "second person {approved_by}: {outcome}",
    "operator.record_charge_back": "{actor} recorded a charge-back: {reason}; "
    "second person {approved_by}: {outcome}",
    "operator.forget_seal_head": "{actor} asked to forget the kept head {number} of the chain: "
    "{reason}; second person {approved_by}: {outcome}",
    "operator.cancel_order": "{actor} asked to cancel: {outcome}",
    "operator.save_promo": "{actor} asked for the promo code: {kind} {value} {tier}, {uses_max} "
    "uses; second person {approved_by}: {outcome}",
    "operator.set_tier": "{actor} asked for tier {tier} until {until}: {reason}; "
    "second person {approved_by}: {outcome}",
    "gift.waiting": "gift of {credits} credits from {giver} waits until {expires}",
    "gift.opened": "gift of {credits} credits from {giver} opened by {opened_by}",
    "gift.returned": "gift of {credits} credits returned to {giver}",
}
"""Placeholders without a value are shown as a dash."""


class _Dashes(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "-"


def sentence(what: str, detail: Mapping[str, str]) -> str:
    """Return the fact in words; one nobody wrote words for shows its code and its figures."""
    if detail.get("dry_run"):
        action = what.partition(".")[2].replace("_", " ")
        return f"{detail.get('actor', '-')} tried to {action}, nothing was done: " + detail.get(
            "outcome", "-"
        )
    known = SENTENCES.get(what)
    if known is not None:
        return known.format_map(_Dashes(detail))
    record, _, state = what.partition(".")
    figures = ", ".join(f"{key} {value}" for key, value in detail.items())
    return f"{record} {state}".replace("_", " ") + (f": {figures}" if figures else "")
