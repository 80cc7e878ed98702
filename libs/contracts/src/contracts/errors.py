"""Codes that travel on the wire, and the base of every refusal.

Codes are `str`, never Enum: a newer service may send one this one does not know. An unknown code
takes its family's default (an unknown failure is terminal and refunded).
"""

from __future__ import annotations


class RefusalError(Exception):
    """A business 'no': the handler's savepoint is rolled back and a refusal event is recorded.

    Raised by domain code; `code` is what travels. It is never retried.
    """

    code = "refused"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or code or self.code)
        if code is not None:
            self.code = code


# Why an order was refused.
INSUFFICIENT_CREDITS = "insufficient_credits"
PRICE_CHANGED = "price_changed"
PRICE_EXPIRED = "price_expired"
IN_FLIGHT_CAP = "in_flight_cap"
QUOTA_EXCEEDED = "quota_exceeded"
QUEUE_FULL = "queue_full"
UNKNOWN_WORKFLOW = "unknown_workflow"
NO_ACCOUNT = "no_account"
IN_DEBT = "in_debt"

# Why a command was rejected: it contradicts what is recorded and changes nothing.
SAME_ID_OTHER_BODY = "same_id_other_body"
NOT_YOURS = "not_yours"
UNKNOWN_ORDER = "unknown_order"
ALREADY_FINISHED = "already_finished"
ALREADY_GRANTED = "already_granted"
INVALID = "invalid"
OVERTAKEN = "overtaken"
"""Something newer was said about the same thing, and stays."""
UNSUPPORTED = "unsupported"

# Why a job failed (facts: ComfyUI §6). Every one is terminal: retries are the generator's affair.
FAILED_BAD_INPUT = "bad_input"
FAILED_WORKFLOW = "workflow_invalid"
FAILED_NODE = "node_error"
FAILED_OUT_OF_MEMORY = "out_of_memory"
FAILED_SERVER = "server_error"
FAILED_TIMEOUT = "timeout"
FAILED_OUTPUT_MISSING = "output_missing"
FAILED_POISON = "poison"
FAILED_UNDECODABLE = "undecodable"

# Why a job or an order was cancelled.
CANCELLED_BY_USER = "cancelled_by_user"
CANCELLED_BY_OPERATOR = "cancelled_by_operator"
CANCELLED_TOO_LATE = "start_before_passed"
HOLD_EXPIRED = "hold_expired"

# Why a delivery ended without a message.
UNDELIVERABLE_BLOCKED = "bot_blocked"
UNDELIVERABLE_REJECTED = "rejected_by_telegram"
UNDELIVERABLE_LOST = "object_lost"

# Why a payment, a plan or a refund did not happen, or money waits for a person.
UNKNOWN_PRODUCT = "unknown_product"
PROVIDER_OFF = "provider_off"
PROVIDER_FAILED = "provider_failed"
EXPIRED = "expired"
CANCELLED = "cancelled"
WRONG_AMOUNT = "wrong_amount"
WRONG_CURRENCY = "wrong_currency"
UNKNOWN_PAYMENT = "unknown_payment"
ALREADY_PAID = "already_paid"
ALREADY_REFUNDED = "already_refunded"
ALREADY_APPROVED = "already_approved"
NOT_CHARGED = "not_charged"
REFUND_REFUSED = "refund_refused"
HIGHER_TIER_ACTIVE = "higher_tier_active"
TIER_WITHOUT_END = "tier_without_end"
"""The tier was given for good: days cannot be added to it."""
ALREADY_SUBSCRIBED = "already_subscribed"
NEEDS_SECOND_PERSON = "needs_second_person"

# What operators are alarmed about (`provider_alarmed`).
TOKEN_REFUSED = "token_refused"  # noqa: S105 - a code on the wire
WEBHOOKS_SILENT = "webhooks_silent"
STATEMENT_DIFFERS = "statement_differs"
CHARGED_BACK = "charged_back"
STATEMENT_UNREAD = "statement_unread"

# Why a promo code was not redeemed.
PROMO_UNKNOWN = "promo_unknown"
PROMO_NOT_YET = "promo_not_yet"
PROMO_OVER = "promo_over"
PROMO_USED_UP = "promo_used_up"
PROMO_USED = "promo_used"
PROMO_NEWCOMERS_ONLY = "promo_newcomers_only"
PROMO_TOO_MANY = "promo_too_many"

# Why a gift was not opened.
GIFT_UNKNOWN = "gift_unknown"
GIFT_OVER = "gift_over"
GIFT_OWN = "gift_own"

# Why access was not given.
STALE_PERIOD = "stale_period"
"""The subscription's period had already been renewed, or ended otherwise."""
TRIAL_USED = "trial_used"
NO_SUBSCRIPTION = "no_subscription"
NO_NODES = "no_nodes"
"""No node may serve this plan; nothing is sold that cannot be given."""

# What operators are alarmed about (`node_alarmed`).
NODE_DOWN = "node_down"
NODE_UP = "node_up"
NODE_FOREIGN_USERS = "node_foreign_users"
NODE_EMPTY_LIST = "node_empty_list"
NODE_BLAST_RADIUS = "node_blast_radius"
NODE_CLOCK_SKEW = "node_clock_skew"
NODE_LIES = "node_lies"
"""What it lists is not what it confirmed."""
NODE_SICK = "node_sick"
"""It answers, and refuses what it is told or does not pass it on to its core."""
NODE_NOT_EMPTY = "node_not_empty"
"""It is off, and somebody of ours passes there."""
NODE_CERTIFICATE = "node_certificate"
