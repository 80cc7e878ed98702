"""The one table of streams, consumers, buckets and their limits; `chassis.bootstrap` applies it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from contracts.generator import SHARDS

SERVICES = ("gateway", "billing", "generator", "vpn", "scheduler")
POOLS = ("image", "video", "hosted")
LANES = ("priority", "regular")
JOB_GROUP = "jobs"
"""The one priority group of every JOBS consumer."""
PRIORITY_IDLE = 0
PRIORITY_BUSY = 5
"""An idle server pulls with 0, a busy one with 5: the server serves the lower number first."""

ACK_WAIT_COMMANDS = timedelta(seconds=5)
ACK_WAIT_UPDATES = timedelta(seconds=5)
ACK_WAIT_JOBS = timedelta(seconds=3)
DEDUPE_WINDOW = timedelta(minutes=10)
EVENTS_AGE = timedelta(days=7)
OLD_KEYS_ACCEPTED = EVENTS_AGE + timedelta(days=1)
"""How long a rotation accepts what was signed before it: a consumer of events may be behind."""
DEAD_AGE = timedelta(days=30)
JOB_RECORD_TERMINAL_TTL = timedelta(hours=24)
LEASE_TTL = timedelta(seconds=3)
LEASE_RENEW_EVERY = timedelta(seconds=1)
MEDIA_AGE = timedelta(days=90)
INBOX_HORIZON = timedelta(days=31)
OUTBOX_KEEP = timedelta(days=8)
BATCH_MAX = 256
ACK_PENDING_MAX = 2_048
JOBS_ACK_PENDING_MAX = 1_000
STARTS_BEFORE_ALONE = 3
"""A message delivered this often runs alone, its start committed before the handler begins."""
STARTS_MAX = 5
"""After so many starts a message is parked."""
UNKNOWN_MESSAGE_PATIENCE = timedelta(hours=1)
"""An undecodable or unknown message is handed back this long (a rolling upgrade), then parked."""
GATEWAY_EVENTS = (
    "billing.evt.access_bought.v1",
    "billing.evt.access_not_bought.v1",
    "billing.evt.account_opened.v1",
    "billing.evt.charge_refunded.v1",
    "billing.evt.command_rejected.v1",
    "billing.evt.credits_adjusted.v1",
    "billing.evt.credits_granted.v1",
    "billing.evt.draw_taken.v1",
    "billing.evt.gift_made.v1",
    "billing.evt.gift_opened.v1",
    "billing.evt.gift_refused.v1",
    "billing.evt.gift_returned.v1",
    "billing.evt.lot_expiring.v1",
    "billing.evt.order_accepted.v1",
    "billing.evt.order_completed.v1",
    "billing.evt.order_credited_back.v1",
    "billing.evt.order_refunded.v1",
    "billing.evt.order_refused.v1",
    "billing.evt.payment_created.v1",
    "billing.evt.payment_credited.v1",
    "billing.evt.payment_failed.v1",
    "billing.evt.payment_held.v1",
    "billing.evt.plan_bought.v1",
    "billing.evt.plan_refused.v1",
    "billing.evt.promo_redeemed.v1",
    "billing.evt.promo_refused.v1",
    "billing.evt.provider_alarmed.v1",
    "billing.evt.referral_earned.v1",
    "billing.evt.referral_joined.v1",
    "billing.evt.refund_refused.v1",
    "billing.evt.subscription_changed.v1",
    "billing.evt.tier_set.v1",
    "billing.evt.trial_renewed.v1",
    "generator.evt.job_started.v1",
    "vpn.evt.access_changed.v1",
    "vpn.evt.access_reminded.v1",
    "vpn.evt.everybody_extended.v1",
    "vpn.evt.key_rotated.v1",
    "vpn.evt.node_alarmed.v1",
)
"""Only what people are told about: an event nobody handles would be handed back for an hour."""
BILLING_EVENTS = (
    "gateway.evt.delivery_recorded.v1",
    "gateway.evt.stars_paid.v1",
    "gateway.evt.stars_refund_recorded.v1",
    "gateway.evt.stars_statement_read.v1",
    "gateway.evt.stars_subscription_edited.v1",
    "generator.evt.job_cancelled.v1",
    "generator.evt.job_failed.v1",
    "generator.evt.job_started.v1",
    "generator.evt.job_succeeded.v1",
    "vpn.evt.access_granted.v1",
    "vpn.evt.access_refused.v1",
)
"""What ends or delivers an order, and what Telegram says about Stars."""
VPN_EVENTS = (
    "billing.evt.access_bought.v1",
    "billing.evt.access_not_bought.v1",
    "billing.evt.payment_credited.v1",
)
"""What became of a renewal it asked for, and the money that lets a refused one go on."""
RPC_TIMEOUT = timedelta(seconds=2)
GIB = 1 << 30
MIB = 1 << 20


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    subjects: tuple[str, ...]
    retention: str = "workqueue"
    max_age: timedelta = timedelta(0)
    max_bytes: int = GIB
    duplicate_window: timedelta = DEDUPE_WINDOW
    max_msgs_per_subject: int = -1
    allow_atomic: bool = True
    allow_msg_ttl: bool = False
    allow_rollup: bool = False
    deny_delete: bool = False
    allow_direct: bool = False
    discard: str = "new"


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A durable pull consumer. Attempts are counted in the inbox, so `max_deliver` is endless."""

    stream: str
    name: str
    filters: tuple[str, ...]
    ack_wait: timedelta = ACK_WAIT_COMMANDS
    max_ack_pending: int = ACK_PENDING_MAX
    priority_group: str = ""
    max_waiting: int = 512


def streams() -> tuple[Stream, ...]:
    """Streams, then key-value buckets and the object store (which are streams by another name)."""
    owned = tuple(
        Stream(name=service.upper(), subjects=(f"{service}.cmd.>",)) for service in SERVICES
    )
    return (
        *owned,
        Stream(name="UPDATES", subjects=("gateway.updates.*",)),
        Stream(name="JOBS", subjects=("jobs.*.*",)),
        Stream(
            name="EVENTS",
            subjects=tuple(f"{service}.evt.>" for service in SERVICES),
            retention="limits",
            max_age=EVENTS_AGE,
            max_bytes=4 * GIB,
        ),
        Stream(
            name="DEAD",
            subjects=tuple(f"dead.{service}" for service in SERVICES),
            retention="limits",
            max_age=DEAD_AGE,
        ),
        bucket("jobs", allow_msg_ttl=True),
        bucket("leases", max_age=LEASE_TTL),
        bucket("buckets", max_age=timedelta(minutes=10)),
        bucket("seals"),
        Stream(
            name="OBJ_media",
            subjects=("$O.media.C.>", "$O.media.M.>"),
            retention="limits",
            max_age=MEDIA_AGE,
            max_bytes=20 * GIB,
            allow_atomic=False,
            allow_rollup=True,
            allow_direct=True,
        ),
    )


def bucket(name: str, *, max_age: timedelta = timedelta(0), allow_msg_ttl: bool = False) -> Stream:
    """A key-value bucket as the stream it is. No limit markers: nats-py misreads them."""
    return Stream(
        name=f"KV_{name}",
        subjects=(f"$KV.{name}.>",),
        retention="limits",
        max_age=max_age,
        max_bytes=256 * MIB,
        duplicate_window=min(max_age, timedelta(minutes=2)) or timedelta(minutes=2),
        max_msgs_per_subject=1,
        allow_atomic=False,
        allow_msg_ttl=allow_msg_ttl,
        allow_rollup=True,
        deny_delete=True,
    )


def job_consumer(pool: str, lane: str) -> str:
    return f"{pool}-{lane}"


def shard_consumer(shard: int) -> str:
    return f"shard-{shard:02d}"


def consumers() -> tuple[Consumer, ...]:
    commands = tuple(
        Consumer(stream=service.upper(), name=service, filters=(f"{service}.cmd.>",))
        for service in SERVICES
    )
    jobs = tuple(
        Consumer(
            stream="JOBS",
            name=job_consumer(pool, lane),
            filters=(f"jobs.{pool}.{lane}",),
            ack_wait=ACK_WAIT_JOBS,
            max_ack_pending=JOBS_ACK_PENDING_MAX,
            priority_group=JOB_GROUP,
        )
        for pool in POOLS
        for lane in LANES
    )
    updates = tuple(
        Consumer(
            stream="UPDATES",
            name=shard_consumer(shard),
            filters=(f"gateway.updates.{shard}",),
            ack_wait=ACK_WAIT_UPDATES,
        )
        for shard in range(SHARDS)
    )
    events = (
        Consumer(
            stream="EVENTS",
            name="billing",
            filters=BILLING_EVENTS,
        ),
        Consumer(stream="EVENTS", name="gateway", filters=GATEWAY_EVENTS),
        Consumer(stream="EVENTS", name="vpn", filters=VPN_EVENTS),
    )
    return (*commands, *jobs, *updates, *events)


def stream_of(subject: str) -> str:
    """The stream that stores a subject. Raises ValueError for a subject outside the topology."""
    parts = subject.split(".")
    if parts[0] == "jobs":
        return "JOBS"
    if parts[0] == "dead":
        return "DEAD"
    if subject.startswith("gateway.updates."):
        return "UPDATES"
    if parts[0] in SERVICES and len(parts) > 1:
        if parts[1] == "cmd":
            return parts[0].upper()
        if parts[1] == "evt":
            return "EVENTS"
    raise ValueError(f"no stream stores {subject}")


def _nanoseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1_000_000_000)


def stream_config(stream: Stream, *, replicas: int = 1) -> dict[str, Any]:
    """The stream as `$JS.API.STREAM.CREATE` wants it."""
    return {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": stream.retention,
        "storage": "file",
        "discard": stream.discard,
        "max_age": _nanoseconds(stream.max_age),
        "max_bytes": stream.max_bytes,
        "max_msgs_per_subject": stream.max_msgs_per_subject,
        "duplicate_window": _nanoseconds(stream.duplicate_window),
        "num_replicas": replicas,
        "allow_atomic": stream.allow_atomic,
        "allow_msg_ttl": stream.allow_msg_ttl,
        "allow_rollup_hdrs": stream.allow_rollup,
        "deny_delete": stream.deny_delete,
        "allow_direct": stream.allow_direct,
    }


def consumer_config(consumer: Consumer) -> dict[str, Any]:
    """The consumer as `$JS.API.CONSUMER.CREATE` wants it (priority fields included)."""
    config: dict[str, Any] = {
        "durable_name": consumer.name,
        "name": consumer.name,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": _nanoseconds(consumer.ack_wait),
        "max_ack_pending": consumer.max_ack_pending,
        "max_deliver": -1,
        "max_waiting": consumer.max_waiting,
    }
    if len(consumer.filters) == 1:
        config["filter_subject"] = consumer.filters[0]
    else:
        config["filter_subjects"] = list(consumer.filters)
    if consumer.priority_group:
        config["priority_groups"] = [consumer.priority_group]
        config["priority_policy"] = "prioritized"
    return config
