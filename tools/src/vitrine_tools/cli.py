"""`vitrine`: an operator's command line: parked messages, keys, and everything about money."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID

from chassis import logs
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.errors import ConfigurationError
from chassis.identity import impatient
from contracts import rewards
from contracts.billing import TIER_BLACK_GOLD, TIER_VIP
from vitrine_tools import dead, gifts, held, keys, money, reconcile, sql
from vitrine_tools.dead import DeadError
from vitrine_tools.keys import KeysError
from vitrine_tools.money import MoneyError
from vitrine_tools.screen import plain_lines
from vitrine_tools.settings import Settings, exports
from vitrine_tools.sql import SqlError

CONNECT_SECONDS_MAX = 5.0
EXIT_DIFFERS = 1


def main() -> None:
    arguments = _parser().parse_args()
    try:
        if arguments.command == "keys":
            keys.run(arguments)
        elif arguments.command == "sql":
            asyncio.run(sql.run(arguments))
        elif arguments.command == "env":
            sys.stdout.write(exports())
        else:
            asyncio.run(_run(arguments))
    except (ConfigurationError, DeadError, KeysError, MoneyError, SqlError) as error:
        sys.stderr.write(f"{plain_lines(str(error))}\n")
        raise SystemExit(1) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vitrine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_dead(commands.add_parser("dead", help="parked messages"))
    find = commands.add_parser("find", help="everything billing recorded under any id, in words")
    find.add_argument(
        "id", help="of a user, order, payment, charge, grant, gift or VPN subscription"
    )
    refund = commands.add_parser("refund", help="give a charge's money back, all or a part")
    refund.add_argument("provider")
    refund.add_argument("charge_id")
    refund.add_argument("user_id", type=int)
    refund.add_argument(
        "--amount",
        type=int,
        metavar="MINOR",
        help="a part, in minor units (5000 is 50.00 RUB); without: all that is left. Not for Stars",
    )
    order = commands.add_parser("refund-order", help="give a completed order's credits back")
    order.add_argument("order_id", type=UUID)
    order.add_argument("user_id", type=int)
    order.add_argument("--credits", type=int, help="a part; without: all that is still charged")
    adjust = commands.add_parser("adjust", help="add or take credits by hand")
    adjust.add_argument("user_id", type=int)
    adjust.add_argument("credits", type=int, help="below zero takes; write it after --")
    seal = commands.add_parser(
        "forget-seal-head", help="after a restore: forget the chain's head kept outside the ledger"
    )
    seal.add_argument("number", type=int, help="`kept` in ledger_behind_its_seal")
    approve = commands.add_parser("approve", help="agree to what somebody else may not do alone")
    approve.add_argument("id", help="of what was asked for; of a tier, the user's")
    back = commands.add_parser(
        "charge-back", help="a payer's bank took the money: take credits back"
    )
    back.add_argument("provider")
    back.add_argument("charge_id")
    back.add_argument("user_id", type=int)
    _add_reconcile(
        commands.add_parser("reconcile", help="providers' statements beside our charges")
    )
    review = commands.add_parser(
        "review", help="money that matched no invoice: list what waits, or decide about one"
    )
    review.add_argument("provider", nargs="?", help="without: the whole queue is listed")
    review.add_argument("charge_id", nargs="?")
    review.add_argument("user_id", nargs="?", type=int)
    review.add_argument("credits", nargs="?", type=int, help="0: none are given")
    review.add_argument("--reason", type=_reason)
    cancel = commands.add_parser("cancel", help="stop an order; nobody is charged for it")
    cancel.add_argument("order_id", type=UUID)
    cancel.add_argument("user_id", type=int)
    promo = commands.add_parser("promo", help="make a promo code, or give one other terms")
    _add_promo(promo)
    grant = commands.add_parser("grant", help="add credits, once per key")
    gifts.add_grant(grant)
    keys.add(commands.add_parser("keys", help="make or rotate an installation's keys"))
    sql.add(commands.add_parser("sql", help="ask a service's tables; no row can be changed"))
    commands.add_parser("env", help="for a shell: how the platform of `make up` is reached")
    tier = commands.add_parser("set-tier", help="give a tier, or take it with `none`")
    gifts.add_tier(tier)
    for needs_reason in (refund, order, adjust, back, grant, tier, seal):
        needs_reason.add_argument("--reason", required=True, type=_reason)
    changing = (refund, order, adjust, approve, review, back, cancel, promo, grant, tier, seal)
    for tried in changing:
        tried.add_argument("--dry-run", action="store_true", help="only tell what it would do")
    return parser


def _add_dead(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="what is parked")
    listing.add_argument("service", nargs="?", choices=dead.SERVICES)
    listing.add_argument("--state", choices=("parked", "fresh", "done"), default="parked")
    listing.add_argument(
        "--limit", type=_limit, default=dead.LIMIT, help=f"rows per service, {dead.LIMIT_MAX} most"
    )
    for name, help_text in (("show", "one message, decoded"), ("redrive", "handle it again")):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("service", choices=dead.SERVICES)
        action.add_argument("id", type=UUID)


def _add_reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", nargs="?", default="", help="without: every one")
    parser.add_argument("--since", type=_moment, required=True, metavar="DATE", help="ISO 8601")
    parser.add_argument("--until", type=_moment, metavar="DATE", help="up to then; without: now")
    parser.add_argument("--json", action="store_true", help="for programs")


def _add_promo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", help="3 to 40 Latin letters and digits, in any case")
    parser.add_argument(
        "--kind",
        required=True,
        choices=(rewards.PROMO_CREDITS, rewards.PROMO_DISCOUNT, rewards.PROMO_TIER),
    )
    parser.add_argument(
        "--value", required=True, type=int, help="credits, percent, or days of the tier"
    )
    parser.add_argument("--tier", default="", choices=(TIER_VIP, TIER_BLACK_GOLD))
    parser.add_argument("--uses-max", type=int, default=0, help="over all people; 0: no limit")
    parser.add_argument("--newcomers-only", action="store_true", help="for who never paid")
    parser.add_argument("--starts", type=_moment, metavar="DATE", help="valid from then, ISO 8601")
    parser.add_argument("--ends", type=_moment, metavar="DATE", help="no longer valid from then")
    parser.add_argument(
        "--lot-days", type=int, default=0, help="its credits expire after so many days; 0: never"
    )


def _moment(text: str) -> datetime:
    """Without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _reason(text: str) -> str:
    """Why something was done by hand, for whoever reads it later."""
    if not text.strip():
        raise argparse.ArgumentTypeError("say why, in words")
    return text.strip()


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= dead.LIMIT_MAX:
        raise argparse.ArgumentTypeError(f"not between 1 and {dead.LIMIT_MAX}")
    return limit


async def _run(arguments: argparse.Namespace) -> None:
    settings = Settings()
    # Standard output belongs to the answer: what goes wrong is said as a sentence at the end.
    logs.configure(service="vitrine", log_format="console", level="critical")
    broker = await _connected(settings)
    try:
        if arguments.command == "dead":
            await _dead(broker, arguments, settings.who())
        elif arguments.command == "find":
            await money.show(broker, arguments.id)
        elif arguments.command == "review" and arguments.provider is None:
            await held.show(broker)
        elif arguments.command == "reconcile":
            until = arguments.until or SystemClock().now()
            agrees = await reconcile.reconcile(
                broker, arguments.provider, arguments.since, until, as_json=arguments.json
            )
            if not agrees:
                raise SystemExit(EXIT_DIFFERS)
        else:
            order = await _order(broker, arguments, settings.who())
            await money.carry_out(broker, order, settings.who(), dry_run=arguments.dry_run)
    finally:
        await broker.close()


async def _dead(broker: Broker, arguments: argparse.Namespace, who: str) -> None:
    if arguments.action == "list":
        services = (arguments.service,) if arguments.service else dead.SERVICES
        await dead.show_list(broker, services, arguments.state, arguments.limit)
    elif arguments.action == "show":
        await dead.show_one(broker, arguments.service, arguments.id)
    else:
        await dead.redrive(broker, arguments.service, arguments.id, who)


async def _order(broker: Broker, given: argparse.Namespace, who: str) -> money.Order:
    match given.command:
        case "refund":
            return money.refund(
                given.provider,
                given.charge_id,
                given.user_id,
                given.reason,
                who,
                amount_minor=given.amount,
            )
        case "refund-order":
            return money.refund_order(
                given.order_id, given.user_id, given.credits, given.reason, who
            )
        case "adjust":
            return money.adjust(given.user_id, given.credits, given.reason, who)
        case "approve":
            return await money.approval(broker, given.id, who)
        case "review":
            if given.credits is None or given.reason is None:
                raise MoneyError("review: provider, charge, user, credits and --reason; or nothing")
            return money.review(
                given.provider, given.charge_id, given.user_id, given.credits, given.reason, who
            )
        case "forget-seal-head":
            return money.forget_seal_head(given.number, given.reason, who)
        case "charge-back":
            return money.charge_back(
                given.provider, given.charge_id, given.user_id, given.reason, who
            )
        case "grant":
            return gifts.grant(given, who)
        case "set-tier":
            return gifts.tier(given, who)
        case "promo":
            return money.promo(_promo(given, who))
        case _:
            return money.cancel(given.order_id, given.user_id)


def _promo(given: argparse.Namespace, who: str) -> rewards.SavePromo:
    return rewards.SavePromo(
        code=given.code,
        kind=given.kind,
        value=given.value,
        actor=who,
        tier=given.tier,
        uses_max=given.uses_max,
        newcomers_only=given.newcomers_only,
        starts_at=given.starts,
        ends_at=given.ends,
        lot_days=given.lot_days,
    )


async def _connected(settings: Settings) -> Broker:
    """A service waits for its broker as long as it takes; a person at a terminal does not."""
    fatal: list[str] = []
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            return await Broker.connect(
                settings.broker_url(),
                name="vitrine",
                identity=settings.identity(),
                on_refused=impatient,
                on_fatal=fatal.append,
                signatures=settings.signing(),
            )
    except TimeoutError as error:
        raise DeadError("no nats-server answers there: see VITRINE_NATS_URL") from error
