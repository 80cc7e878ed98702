"""What each NATS user may publish and subscribe: the least its own work needs, and no more.

Derived from contracts.topology and contracts.producers; the tables below say the rest. Nothing here
keeps a user from naming another's subject as the *reply* of what it sends: signatures do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from contracts import billing, operators, payments, producers, rewards, topology, vpn
from contracts.envelope import MESSAGE_BYTES_MAX
from contracts.producers import OPERATOR
from contracts.topology import RPC_TIMEOUT, SERVICES, Consumer

BOOTSTRAP = "bootstrap"
USERS = (*SERVICES, BOOTSTRAP, OPERATOR)
ACCOUNT = "PLATFORM"
"""Its JetStream holds every stream. Whether users are in it as well: contracts.accounts."""
JETSTREAM_LIMITS: Mapping[str, int | bool] = {
    # Of one stream: the durables of UPDATES, and a watch or two of every gateway.
    "max_consumers": 200,
    "max_ack_pending": topology.ACK_PENDING_MAX,
    # Also who may change a stream lets none grow without an end.
    "max_bytes_required": True,
}
"""Of that account. How many streams there are needs no limit: only bootstrap makes any, by name."""

ACCOUNT_LIMITS: Mapping[str, int] = {
    # Everybody's processes, twice over during an upgrade; a server takes 65,536.
    "max_connections": 1_000,
    # Of one connection: a gateway has an inbox, its partitions and a few reads at once.
    "max_subscriptions": 1_000,
    # Of one message: a body of the greatest size, and its headers.
    "max_payload": 2 * MESSAGE_BYTES_MAX,
}
"""Of every account: whoever has stolen a key cannot take all that a server has."""
CONNECTION_TYPES = ("STANDARD",)
"""Nobody comes by WebSocket, by MQTT or as a leaf node, whatever a server offers."""

BESIDE_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "billing": ("jobs.*.*",),
    "gateway": ("gateway.updates.*",),
    "vpn": ("vpn.cmd.extend_everybody.v1",),
}
"""What a service stores beside events and other services' commands; vpn goes on with its own."""

REQUESTS: Mapping[str, tuple[str, ...]] = {
    "gateway": (
        "billing.rpc.balance",
        "billing.rpc.charges",
        "billing.rpc.draw_proof",
        "billing.rpc.history",
        "billing.rpc.offers",
        "billing.rpc.pre_checkout",
        "billing.rpc.price",
        "billing.rpc.queue_position",
        "billing.rpc.rewards",
        "vpn.rpc.access",
    ),
    OPERATOR: (
        "billing.rpc.find",
        "billing.rpc.held",
        "billing.rpc.reconcile",
        "billing.rpc.try_command",
        "vpn.rpc.access",
        "vpn.rpc.nodes",
        "vpn.rpc.reconcile_report",
        "*.rpc.parked_list",
        "*.rpc.parked_redrive",
        "*.rpc.parked_show",
    ),
}
"""Who asks what of whom."""

ANSWERING = ("gateway", "billing", "vpn", "scheduler")
"""Who answers requests: once each, and not later than anybody waits."""
ANSWER_WITHIN = RPC_TIMEOUT + timedelta(seconds=1)
SLOW_ANSWERS: Mapping[str, tuple[str, ...]] = {"billing": (OPERATOR,)}
"""Whose inboxes may be written to at any time: a reconciliation takes minutes."""
SLOW_ANSWERS_WITHIN = timedelta(minutes=10)
"""Twice what the operator's command line waits for one."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A key-value bucket as one user uses it; `keys` are those it may write."""

    name: str
    keys: str = ">"
    others_keys: tuple[str, ...] = ()
    """Within `keys`, and not its own."""
    watched: bool = False
    """By an ephemeral consumer."""
    heard: str = ""
    """Keys whose writes it hears directly, as they are published."""


BUCKETS: Mapping[str, tuple[Bucket, ...]] = {
    "gateway": (
        Bucket(name="leases", keys="gateway.>", watched=True),
        Bucket(name="buckets", watched=True),
    ),
    "billing": (Bucket(name="seals", keys="billing.>"),),
    "generator": (
        Bucket(name="jobs", heard="*"),
        # A server's name comes right after `generator/`, in the same token: no pattern fits.
        Bucket(name="leases", others_keys=("gateway.>", "vpn.>")),
    ),
    "vpn": (Bucket(name="leases", keys="vpn.>"),),
}

OBJECTS: Mapping[str, tuple[str, ...]] = {"gateway": ("media",), "generator": ("media",)}
"""Object stores, read and written."""

HINTS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("gateway.wake.*",),
    "generator": ("progress.*.*",),
    "vpn": ("vpn.hint.*",),
}
"""What is told over core NATS: lossy, never stored."""

HEARD: Mapping[str, tuple[str, ...]] = {
    "gateway": ("gateway.wake.*", "progress.>"),
    "vpn": ("vpn.hint.*",),
    OPERATOR: tuple(
        answer.subject
        for answer in (
            billing.CommandRejected,
            billing.CreditsGranted,
            billing.OrderCompleted,
            billing.OrderRefunded,
            billing.TierSet,
            operators.CreditsAdjusted,
            operators.OrderCreditedBack,
            operators.ReviewResolved,
            operators.SealHeadForgotten,
            operators.SealHeadStays,
            payments.ChargeRefunded,
            payments.PaymentCredited,
            payments.RefundRefused,
            rewards.PromoSaved,
            vpn.EverybodyExtended,
        )
    ),
}
"""What is listened to over core NATS. A command line waits for the event that answers it."""

WATCHED_QUEUES: Mapping[str, tuple[str, ...]] = {"billing": ("JOBS",)}
"""Streams whose consumers are asked how much waits for them."""


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """The allow lists of one user, as nats-server's configuration has them."""

    user: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    publish_never: tuple[str, ...] = ()
    """Exceptions from `publish`."""
    responses_within: timedelta | None = None
    """One answer to each request it was delivered, so long; None: none."""


def inbox_prefix(user: str) -> str:
    """Where answers to a user arrive: nobody else may listen there."""
    return f"_INBOX_{user}"


def owner_of(consumer: Consumer) -> str:
    """The service that takes a durable consumer's messages."""
    if consumer.stream == "EVENTS":
        return consumer.name
    return {"JOBS": "generator", "UPDATES": "gateway"}.get(consumer.stream, consumer.stream.lower())


def commands_of(user: str) -> tuple[str, ...]:
    """The commands a user sends to others, as contracts.producers has them."""
    return tuple(subject for subject, senders in producers.COMMANDS.items() if user in senders)


def grants() -> tuple[Grants, ...]:
    """Every user's lists."""
    return (*map(_of_service, SERVICES), _of_bootstrap(), _of_operator())


def _of_service(service: str) -> Grants:
    publish = [
        f"{service}.evt.>",
        f"dead.{service}",
        *commands_of(service),
        *BESIDE_COMMANDS.get(service, ()),
        *REQUESTS.get(service, ()),
        *HINTS.get(service, ()),
    ]
    subscribe = [f"{inbox_prefix(service)}.>", *HEARD.get(service, ())]
    for consumer in topology.consumers():
        if owner_of(consumer) == service:
            publish += _pulling(consumer.stream, consumer.name)
        if consumer.stream in WATCHED_QUEUES.get(service, ()):
            publish.append(f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}")
    never = []
    for bucket in BUCKETS.get(service, ()):
        publish += _key_value(bucket)
        never += [f"$KV.{bucket.name}.{keys}" for keys in bucket.others_keys]
        if bucket.heard:
            subscribe.append(f"$KV.{bucket.name}.{bucket.heard}")
    for store in OBJECTS.get(service, ()):
        publish += _objects(store)
    if service in ANSWERING:
        subscribe.append(f"{service}.rpc.> {service}")  # in its queue group alone
        publish += [f"{inbox_prefix(user)}.>" for user in SLOW_ANSWERS.get(service, ())]
    return Grants(
        user=service,
        publish=tuple(publish),
        subscribe=tuple(subscribe),
        publish_never=tuple(never),
        responses_within=ANSWER_WITHIN if service in ANSWERING else None,
    )


def _pulling(stream: str, durable: str) -> list[str]:
    """Take a durable's messages and settle them; either form of the subject for that."""
    return [
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
        f"$JS.ACK.{stream}.{durable}.>",
        f"$JS.ACK.*.*.{stream}.{durable}.>",
    ]


def _key_value(bucket: Bucket) -> list[str]:
    stream = f"KV_{bucket.name}"
    found = [f"$KV.{bucket.name}.{bucket.keys}", f"$JS.API.STREAM.MSG.GET.{stream}"]
    if bucket.watched:
        found += [
            f"$JS.API.CONSUMER.CREATE.{stream}.*",
            f"$JS.API.CONSUMER.DELETE.{stream}.*",
            f"$JS.FC.{stream}.>",
            f"$JS.FC.*.*.{stream}.>",
        ]
    return found


def _objects(store: str) -> list[str]:
    stream = f"OBJ_{store}"
    return [
        f"$O.{store}.>",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        # Replacing and deleting an object frees its chunks.
        f"$JS.API.STREAM.PURGE.{stream}",
    ]


def _of_bootstrap() -> Grants:
    """Make and change what the topology names; it can delete and purge nothing."""
    publish = [
        f"$JS.API.STREAM.{verb}.{stream.name}"
        for stream in topology.streams()
        for verb in ("INFO", "CREATE", "UPDATE")
    ]
    publish += [
        f"$JS.API.CONSUMER.{verb}.{consumer.stream}.{consumer.name}"
        for consumer in topology.consumers()
        for verb in ("INFO", "CREATE")
    ]
    return Grants(
        user=BOOTSTRAP, publish=tuple(publish), subscribe=(f"{inbox_prefix(BOOTSTRAP)}.>",)
    )


def _of_operator() -> Grants:
    """What the command lines do: give orders, ask, and count what the generator gave up."""
    return Grants(
        user=OPERATOR,
        publish=(
            *commands_of(OPERATOR),
            *REQUESTS[OPERATOR],
            "$JS.API.STREAM.INFO.DEAD",
        ),
        subscribe=(f"{inbox_prefix(OPERATOR)}.>", *HEARD[OPERATOR]),
    )
