"""What the subscription endpoint needs to know."""

from __future__ import annotations

from typing import Protocol

from vpn.domain.links import LinkView


class Links(Protocol):
    """Subscription links by their secret."""

    async def by_token(self, token: str) -> LinkView | None:
        """What the link shows now; None if there is no such link, or no more.

        Raises TransientError or one of chassis.database.RETRYABLE when it cannot be known.
        """
        ...
