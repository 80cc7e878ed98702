import asyncio
from datetime import timedelta

DAY = timedelta(days=1)


async def test_a_lot_that_expires_is_told_once_three_days_before(crowd, postgres_desk):
    await postgres_desk.open(1)
    ends = postgres_desk.now + 4 * DAY
    await postgres_desk.grant(1, 30, lot="bonus", expires_at=ends)
    await postgres_desk.grant(1, 40, lot="paid", expires_at=ends + DAY)
    await postgres_desk.grant(1, 50, lot="paid")
    postgres_desk.clock.advance(DAY - timedelta(seconds=1))
    early = await crowd.warn()
    postgres_desk.clock.advance(timedelta(seconds=1))

    told = await asyncio.gather(*(crowd.warn() for _ in range(32)))

    (warned,) = [each for batch in told for each in batch]
    assert early == []
    assert (warned.user_id, warned.lot, warned.credits, warned.expires_at) == (1, "bonus", 30, ends)


async def test_spent_lots_trials_and_what_is_gone_are_not_spoken_of(giving, postgres_desk):
    await postgres_desk.open(1)
    await postgres_desk.succeed(await postgres_desk.placed(1), await postgres_desk.placed(1))
    await postgres_desk.grant(1, 10, lot="bonus", expires_at=postgres_desk.now + DAY)
    await postgres_desk.succeed(await postgres_desk.placed(1))
    await postgres_desk.grant(1, 11, lot="bonus", expires_at=postgres_desk.now + DAY)
    postgres_desk.clock.advance(DAY)

    assert await giving.warn() == []
