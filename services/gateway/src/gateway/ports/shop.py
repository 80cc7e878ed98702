"""What routers and handlers of the shop work with: texts, people, price screens, notices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.access import ACCESS_PREFIX
from contracts.catalogue import Catalogue
from contracts.generator import JobProgress
from contracts.ids import MediaId, OrderId, UserId
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Say, Screen
from gateway.ports.deliveries import Deliveries
from gateway.ports.media import MediaStore
from gateway.ports.purchases import Checkouts, StatementCursor
from gateway.ports.turn import Person

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork


class Texts(Protocol):
    """Every sentence the bot says (`bot/texts/<lang>.ftl`)."""

    @property
    def languages(self) -> Mapping[str, str]:
        """Each language's own name by its code."""
        ...

    def say(self, language: str) -> Say:
        """The sentences of one language; an unknown language gets the default one."""
        ...

    def pick(self, language_code: str | None) -> str:
        """The language for a Telegram `language_code` such as `ru-RU`."""
        ...


class People(Protocol):
    """The people the bot talks to."""

    async def find(self, uow: UnitOfWork, user_id: UserId) -> Person | None: ...

    async def set_language(self, uow: UnitOfWork, user_id: UserId, language: str) -> bool:
        """False: they chose anew since; this update was handed back and comes late (ADR 0018)."""
        ...

    async def set_zone(self, uow: UnitOfWork, user_id: UserId, zone: str) -> bool:
        """The same for `zone`, an IANA name that was checked."""
        ...


class OrderScreens(Protocol):
    """The rows of the price screens people were shown: one row is at most one order."""

    async def add(self, uow: UnitOfWork, screen: OrderScreen) -> None: ...

    async def find(self, uow: UnitOfWork, order_id: OrderId) -> OrderScreen | None:
        """The row, locked until the commit."""
        ...

    async def waiting_for(self, uow: UnitOfWork, media_id: MediaId) -> list[OrderScreen]:
        """Confirmed screens that need this file, locked until the commit."""
        ...

    async def queued(
        self, uow: UnitOfWork, *, shards: Collection[int], after: OrderId, limit: int
    ) -> list[OrderScreen]:
        """Accepted orders of these shards' people that have not started, ids above `after`."""
        ...

    async def in_flight(self, uow: UnitOfWork, user_id: UserId) -> list[OrderScreen]:
        """What the person ordered and has not got yet, oldest first."""
        ...

    async def save(self, uow: UnitOfWork, screen: OrderScreen) -> None:
        """Write what may change: state, outputs, shown_ahead, cancel_asked."""
        ...


class Notices(Protocol):
    """The texts the edge needs by itself (`bot/notices.py`, class `BotNotices`)."""

    def sorry(self, language: str) -> Screen:
        """Something went wrong with what the person did; it was parked."""
        ...

    def groups_not_served(self, language: str) -> Screen: ...

    def progress(self, language: str, workflow_id: str, progress: JobProgress) -> Screen:
        """The status message of a running order, with its cancel button."""
        ...

    def download_failed(self, language: str, reason: str, user_id: UserId) -> Screen:
        """To the operators' chat: a file could not be fetched after every retry."""
        ...

    def payment_declined(self, language: str, code: str) -> str:
        """Why a pre-checkout is declined (at most 200 characters)."""
        ...


class Links(Protocol):
    """Links that open a chat with this bot."""

    def start(self, payload: str) -> str | None:
        """The link that sends `/start <payload>`; None: the bot's name is not known yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """All that routers and handlers of the shop work with; bound once in main.py."""

    catalogue: Catalogue
    texts: Texts
    screens: OrderScreens
    people: People
    media: MediaStore
    deliveries: Deliveries
    links: Links
    checkouts: Checkouts
    statement: StatementCursor
    new_id: Callable[[], UUID]
    shop_zone: ZoneInfo
    """The shop's day ends at midnight there (design.md §5)."""
    file_bytes_max: int
    admin_chat_id: int = 0
    """Where operators are told; 0: nowhere."""
    support_contact: str = ""
    """Whom a person with a question about money may write to."""

    def title(self, say: Say, workflow_id: str) -> str:
        """A workflow that left the catalogue keeps its id as its name."""
        if workflow_id.startswith(ACCESS_PREFIX):
            return say("vpn-name")
        workflow = self.catalogue.get(workflow_id)
        return say(workflow.title_key) if workflow is not None else escape(workflow_id)

    def zone(self, person: Person) -> ZoneInfo:
        return ZoneInfo(person.time_zone) if person.time_zone else self.shop_zone
