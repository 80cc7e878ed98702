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
