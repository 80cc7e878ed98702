"""What the control plane and a node's agent say to each other: JSON over HTTPS, version 1."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from vpn.domain.desired import Entry

NOW_HEADER = "Vitrine-Now"
"""The control plane's clock (ISO 8601) on every request, so that the agent knows the skew."""

# Paths.
SET = "/v1/set"
CHANGES = "/v1/changes"
STATE = "/v1/state"
USERS = "/v1/users"
TRAFFIC = "/v1/traffic"
ONLINE = "/v1/online"

TRAFFIC_PAGE = 10_000
SKEW_MAX_SECONDS = 60.0
"""Beyond it the agent does not expire entries by itself and says so."""

# Names in certificates: who a certificate speaks for, whatever address it is reached at.
CONTROL_NAME = "control.vpn.vitrine.internal"


def node_name(node: str) -> str:
    """Return the name that a node's certificate carries and the control plane insists on."""
    return f"{node}.node.vpn.vitrine.internal"


# Codes of refusals.
OLDER_GENERATION = "older_generation"
OTHER_BASE = "other_base"
INVALID = "invalid"
CORE_UNAVAILABLE = "core_unavailable"
"""Kept on disk, but the core does not have it yet; the agent goes on trying."""
NOT_SAVED = "not_saved"
"""Its disk takes nothing: whoever was to go is off the core all the same, nobody was added."""
TOO_LARGE = "too_large"
FORBIDDEN = "forbidden"
NOT_FOUND = "not_found"


class SetRequest(msgspec.Struct, frozen=True):
    """The whole set: what is not in it and was issued by us is removed."""

    generation: int
    now: datetime
    entries: list[Entry]
    cut: bool = True
    """Also end live connections of whoever is removed or rotated."""


class ChangesRequest(msgspec.Struct, frozen=True):
    """A difference to the set whose hash is `base_hash`."""

    generation: int
    base_generation: int
    base_hash: str
    now: datetime
    put: list[Entry] = []
    remove: list[str] = []
    cut: bool = True


class Applied(msgspec.Struct, frozen=True):
    """The set is on disk and in the core."""

    generation: int
    hash: str
    added: int = 0
    removed: int = 0
    replaced: int = 0
    cut_connections: int = 0
    took_seconds: float = 0.0


class Refused(msgspec.Struct, frozen=True):
    """Any answer but success. With 409 it says where the node stands."""

    code: str
    message: str = ""
    generation: int = 0
    hash: str = ""


class CoreState(msgspec.Struct, frozen=True):
    kind: str
    """`xray`, `v2ray`, or empty while unknown."""
    version: str
    running: bool
    adopted: bool
    started_at: datetime | None
    uptime_seconds: float
    restarts: int
    synced: bool = True
    """Whether the core holds exactly what the set says."""
    pid: int = 0
    lists_users: bool = False


class CutState(msgspec.Struct, frozen=True):
    """Whether live connections end on removal; if not, why."""

    supported: bool
    reason: str = ""


class State(msgspec.Struct, frozen=True):
    agent_version: str
    node: str
    boot_id: str
    """Changes with every start of the agent."""
    core: CoreState
    generation: int
    hash: str
    entries: int
    now: datetime
    clock_skew_seconds: float
    expiry_paused: bool
    cut: CutState
    certificate_until: Annotated[datetime, msgspec.Meta(tz=True)] | None
    alerts: list[str] = []
    """Sentences for an operator: a damaged set, a core that dies again and again."""


class HeldUser(msgspec.Struct, frozen=True):
    email: str
    key: UUID
    flow: str = ""
    expires_at: datetime | None = None
    """Until when it is to pass; None: nobody there knows."""


SOURCE_CORE = "core"
SOURCE_AGENT = "agent"


class Users(msgspec.Struct, frozen=True):
    """Who passes. `source` is `core` when the core itself was asked, `agent` when it cannot say."""

    source: str
    users: list[HeldUser]


class UserTraffic(msgspec.Struct, frozen=True):
    """Bytes since the agent first saw the person; never decreases, also over restarts."""

    email: str
    up_bytes: int
    down_bytes: int


class TrafficPage(msgspec.Struct, frozen=True):
    """Up to TRAFFIC_PAGE people in order of email; ask again with `after` = `next`."""

    users: list[UserTraffic]
    next: str = ""
    epoch: str = ""
    """Made anew with a new file of counters (a new disk, a damaged one), and kept with it: counters
    of different epochs are not compared. Empty: an agent that does not say."""


class Online(msgspec.Struct, frozen=True):
    """How many addresses each person is connected from; `supported` false: nobody can tell."""

    supported: bool
    counts: dict[str, int] = {}
