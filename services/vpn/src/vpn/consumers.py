"""What the vpn service accepts, and where it goes. Limits: contracts.topology; policy: chassis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from chassis.consumers import Route, Subscription
from contracts import access, payments, vpn
from contracts.access import AccessPlan
from vpn.domain.terms import Terms
from vpn.handlers.access_bought import record_access_bought, record_access_not_bought
from vpn.handlers.check_nodes import check_nodes, reconcile_nodes
from vpn.handlers.check_subscription import check_subscription, sweep_subscriptions
from vpn.handlers.extend_everybody import extend_everybody
from vpn.handlers.grant_access import grant_access
from vpn.handlers.payment_credited import payment_credited
from vpn.handlers.revoke_access import revoke_access
from vpn.handlers.rotate_key import rotate_key
from vpn.handlers.set_access_options import set_access_options
from vpn.handlers.set_node import set_node
from vpn.ports import Books, Wakes


def table(
    *, books: Books, wakes: Wakes, catalogue: Mapping[str, AccessPlan], terms: Terms
) -> tuple[Subscription, ...]:
    with_terms = partial(partial, books=books, terms=terms)
    grant = with_terms(grant_access, catalogue=catalogue)
    revoke = with_terms(revoke_access, catalogue=catalogue)
    sweep = with_terms(sweep_subscriptions)
    extend = partial(extend_everybody, books=books, wake=wakes.extend)
    reconcile = partial(
        reconcile_nodes, reconcile=wakes.reconcile, try_reconcile=wakes.try_reconcile
    )
    commands = (
        Route(message=vpn.GrantAccess, handler=grant, batch=True),
        Route(message=vpn.RevokeAccess, handler=revoke),
        Route(message=vpn.RotateKey, handler=with_terms(rotate_key)),
        Route(message=vpn.SetAccessOptions, handler=with_terms(set_access_options)),
        Route(message=vpn.ExtendEverybody, handler=extend),
        Route(message=vpn.SetNode, handler=partial(set_node, books=books)),
        Route(message=vpn.CheckSubscription, handler=with_terms(check_subscription)),
        Route(message=vpn.SweepSubscriptions, handler=sweep),
        Route(message=vpn.RenewSubscriptions, handler=sweep),
        Route(message=vpn.SendReminders, handler=sweep),
        Route(message=vpn.CheckNodes, handler=partial(check_nodes, check=wakes.check)),
        Route(message=vpn.ReconcileNodes, handler=reconcile),
    )
    bought = partial(record_access_bought, books=books)
    events = (
        Route(message=access.AccessBought, handler=bought),
        Route(message=access.AccessNotBought, handler=with_terms(record_access_not_bought)),
        Route(message=payments.PaymentCredited, handler=with_terms(payment_credited)),
    )
    lock = books.subscriptions.lock
    return (
        Subscription(stream="VPN", consumer="vpn", routes=commands, lock=lock),
        Subscription(stream="EVENTS", consumer="vpn", routes=events, lock=lock),
    )
