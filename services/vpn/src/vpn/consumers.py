"""What the vpn service accepts, and where it goes."""

from __future__ import annotations

from chassis.consumers import Route, Subscription
from contracts import vpn
from contracts.errors import RefusalError
from vpn.handlers.grant_access import grant_access
from vpn.handlers.revoke_access import revoke_access


def table() -> tuple[Subscription, ...]:
    return (
        Subscription(
            stream="VPN",
            consumer="vpn",
            routes=(
                Route(message=vpn.GrantAccess, handler=grant_access, on_refusal=_refused),
                Route(message=vpn.RevokeAccess, handler=revoke_access, on_refusal=_refused),
            ),
        ),
    )


def _refused(
    command: vpn.GrantAccess | vpn.RevokeAccess, refusal: RefusalError
) -> vpn.AccessRefused:
    return vpn.AccessRefused(order_id=command.order_id, user_id=command.user_id, code=refusal.code)
