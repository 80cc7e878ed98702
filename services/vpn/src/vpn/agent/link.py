"""One life of a core, and what we know it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from uuid import UUID

from chassis import logs
from vpn.adapters.core.client import CoreClient, CoreUser
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError, UserExistsError
from vpn.domain.desired import Entry

log = logs.get("vpn.agent.link")
Access = tuple[UUID, str]
"""Key and flow: all that a core knows of an entry besides its email."""


def access(one: Entry | CoreUser) -> Access:
    return one.key, one.flow


class Link:
    """A core that answers. `view` is what it holds of ours; `doubtful` is what may be otherwise."""

    def __init__(
        self,
        client: CoreClient,
        *,
        life: str,
        version: str,
        started_at: datetime,
        users: Iterable[CoreUser] = (),
        pid: int = 0,
        adopted: bool = False,
        restart: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.client = client
        self.life = life
        self.version = version
        self.started_at = started_at
        self.pid = pid
        self.adopted = adopted
        self.restart = restart
        """Start it anew with everybody in its configuration; None: it is not ours to restart."""
        self.view: dict[str, Access] = {one.email: access(one) for one in users}
        self.doubtful: set[str] = set()

    def holds(self, email: str) -> Access | None:
        """Return what it surely holds for an email."""
        return None if email in self.doubtful else self.view.get(email)

    async def listed(self) -> dict[str, Access] | None:
        """Return what the core lists; None where it cannot or does not."""
        if not self.client.lists_users:
            return None
        try:
            return {one.email: access(one) for one in await self.client.users()}
        except (CoreUnreachableError, CoreRefusedError) as error:
            log.warning("core_not_listed", why=str(error))
            return None

    async def offer(self, emails: list[str]) -> None:
        """Add again whom the core does not list; a list that was wrong then harms nobody."""
        lied = 0
        for email in emails:
            key, flow = self.view[email]
            try:
                await self.client.add(email, key, flow)
            except UserExistsError:
                lied += 1
        if emails:
            log.warning("core_list_differs", added=len(emails) - lied, held_though_not_listed=lied)
