"""take_draw: a day's lot, once a shop day; and the seeds of the days, made before they begin."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from billing.domain import draws, quotas
from billing.domain.discounts import Discount
from billing.domain.errors import NoAccountError
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.ports import Books
from billing.ports.rewards import Rewards, Seed, Won
from chassis import logs, metrics
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from contracts.rewards import DrawTaken, TakeDraw

log = logs.get("billing.draws")
Secret = Callable[[int], bytes]
draws_count = metrics.counter("vitrine.billing.draws", description="by prize")


async def make_draw_days(
    uow: UnitOfWork, *, rewards: Rewards, terms: Terms, secret: Secret = secrets.token_bytes
) -> int:
    """See that today and tomorrow have seeds; whichever replica is first makes them."""
    today = quotas.shop_day(uow.now, terms.zone)
    made = 0
    for day in (today, today + timedelta(days=1)):
        made += await _ensure(uow, rewards, day, secret)
    return made


async def take_draws(
    received: Sequence[Received[TakeDraw]],
    uow: UnitOfWork,
    *,
    books: Books,
    rewards: Rewards,
    terms: Terms,
    secret: Secret = secrets.token_bytes,
) -> None:
    connection = uow.connection
    users = list({each.message.user_id for each in received})
    accounts = await books.accounts.load(connection, users)
    days = _Days(uow, rewards, users, terms, secret)
    fresh = []
    for each in received:
        user_id = each.message.user_id
        if user_id not in accounts:
            announce.rejected(uow, each, NoAccountError())
            continue
        seed, known = await days.of(each.message)
        won = known.get(user_id)
        repeated = won is not None
        if won is None:
            prize = draws.prize_of(draws.number_of(seed.seed, user_id, seed.day))
            won = Won(user_id, seed.day, prize, terms.rewards.draw.percent[prize])
            known[user_id] = won
            fresh.append(won)
            draws_count.add(1, {"prize": prize})
        _tell(uow, each, won, seed, terms, repeated=repeated)
    await rewards.draws.add(connection, fresh, uow.now)
    given = [
        Discount(
            won.user_id,
            draws.discount_key(won.day),
            won.percent,
            draws.valid_until(won.day, terms.zone),
        )
        for won in fresh
    ]
    await books.discounts.add(connection, given, uow.now)


class _Days:
    """The days that a batch draws on: nearly always today."""

    def __init__(
        self,
        uow: UnitOfWork,
        rewards: Rewards,
        users: Sequence[UserId],
        terms: Terms,
        secret: Secret,
    ) -> None:
        self._uow = uow
        self._rewards = rewards
        self._users = users
        self._secret = secret
        self._today = quotas.shop_day(uow.now, terms.zone)
        self._found: dict[date, tuple[Seed, dict[UserId, Won]]] = {}

    async def of(self, command: TakeDraw) -> tuple[Seed, dict[UserId, Won]]:
        """The seed of the day the person saw, however late this comes, and what was won on it.

        A day that has not begun is none, and neither is one without a seed: its lot could not
        have been promised before it began.
        """
        for day in (command.day, self._today):
            if day is None or day > self._today:
                continue
            if day not in self._found:
                seed = await self._seed(day)
                if seed is None:
                    continue
                draws_of = self._rewards.draws
                won = await draws_of.won(self._uow.connection, self._users, day)
                self._found[day] = (seed, won)
            return self._found[day]
        raise AssertionError("today has a seed")

    async def _seed(self, day: date) -> Seed | None:
        draws_of = self._rewards.draws
        seed = await draws_of.day(self._uow.connection, day)
        if seed is None and day == self._today:  # a shop that was away for more than a day
            await _ensure(self._uow, self._rewards, day, self._secret)
            seed = await draws_of.day(self._uow.connection, day)
        return seed


def _tell(
    uow: UnitOfWork, each: Received[TakeDraw], won: Won, seed: Seed, terms: Terms, *, repeated: bool
) -> None:
    event = DrawTaken(
        user_id=won.user_id,
        day=won.day,
        prize=won.prize,
        percent=won.percent,
        valid_until=draws.valid_until(won.day, terms.zone),
        commitment=seed.commitment,
        repeated=repeated,
    )
    uow.emit(event, traceparent=each.traceparent)


async def _ensure(uow: UnitOfWork, rewards: Rewards, day: date, secret: Secret) -> bool:
    if await rewards.draws.day(uow.connection, day) is not None:
        return False
    fresh = secret(draws.SEED_BYTES)
    made = await rewards.draws.ensure_day(
        uow.connection, Seed(day, fresh, draws.commitment_of(fresh)), uow.now
    )
    if made:
        log.info("draw_day_made", day=day.isoformat())
    return made
