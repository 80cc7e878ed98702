import asyncio
from datetime import timedelta

import pytest

from billing.adapters.postgres_reads import PostgresReads
from billing.domain.ledger import Ledger
from billing.handlers.get_history import get_history
from chassis.clock import new_id
from contracts import billing
from contracts.rewards import GiftMade, GiftOpened, GiftRefused

VALID = timedelta(days=1)


async def revoke(giving, user, lot, amount):
    """A charge-back without its charge, which the audit misses rightly."""
    desk = giving.desk
    giving.broken = {"taken back = refunds"}
    async with desk.begin() as uow:
        accounts = await desk.books.accounts.load(uow.connection, [user], [lot])
        ledger = Ledger(uow.now)
        ledger.revoke(accounts[user], lot, amount, "charge-back")
        await desk.books.accounts.save(uow.connection, ledger)


async def test_a_gift_stays_paid_credits_and_is_no_payment(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    await postgres_desk.open(2)

    made = await giving.give(1, 30)
    opened = await giving.open(2, made.code.lower())

    giver, taker = await postgres_desk.account(1), await postgres_desk.account(2)
    assert (made.available_credits, giver.available, giver.lots[2].remaining) == (40, 40, 20)
    assert (opened.giver_id, opened.credits, opened.available_credits) == (1, 30, 50)
    assert (taker.lots[2].kind, taker.lots[2].expires_at) == ("paid", None)
    assert taker.trial_renews_at is not None
    assert len(made.code) == 26
    assert made.expires_at == postgres_desk.now + VALID


async def test_only_paid_credits_can_be_given(giving, postgres_desk):
    await postgres_desk.open(1, amount=10)
    await postgres_desk.grant(1, 100, lot="bonus")

    refused = await giving.give(1, 11)

    assert (refused.reason, refused.available_credits) == ("insufficient_credits", 10)
    assert (await postgres_desk.account(1)).available == 130


@pytest.mark.parametrize("amount", [0, -5, 10_001])
async def test_a_gift_has_limits(giving, postgres_desk, amount):
    await postgres_desk.open(1, amount=20_000)

    refused = await giving.give(1, amount)

    assert refused.reason == "invalid"


async def test_who_owes_gives_nothing(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    await postgres_desk.placed(1)
    await revoke(giving, 1, 2, 75)

    assert (await giving.give(1, 5)).reason == "in_debt"


async def test_a_refusal_names_the_gift_it_is_about(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    await postgres_desk.open(2)
    gift_id = new_id()

    not_made = await giving.give(2, 5, gift_id=gift_id)
    made = await giving.give(1, 5)
    own = await giving.open(1, made.code)
    unknown = await giving.open(2, "A" * 26)

    assert (not_made.reason, not_made.gift_id) == ("insufficient_credits", gift_id)
    assert (own.reason, own.gift_id) == ("gift_own", made.gift_id)
    assert (unknown.reason, unknown.gift_id) == ("gift_unknown", None)


async def test_the_same_gift_again_says_nothing_and_another_is_rejected(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    gift_id = new_id()

    first = await giving.give(1, 5, gift_id=gift_id)
    again = await giving.give(1, 5, gift_id=gift_id)
    other = await giving.give(1, 6, gift_id=gift_id)

    assert isinstance(first, GiftMade)
    assert again is None
    assert other.code == "same_id_other_body"
    assert (await postgres_desk.account(1)).available == 65


async def test_the_first_of_many_openers_gets_it(crowd, postgres_desk):
    people = list(range(2, 34))
    await postgres_desk.open(1, amount=50)
    await postgres_desk.open(*people)
    made = await crowd.give(1, 30)

    told = await asyncio.gather(*(crowd.open(user, made.code) for user in people))

    opened = [each for each in told if isinstance(each, GiftOpened)]
    assert len(opened) == 1
    assert {each.reason for each in told if isinstance(each, GiftRefused)} == {"gift_over"}
    assert (await postgres_desk.account(opened[0].user_id)).available == 50


async def test_two_people_opening_each_others_gifts_do_not_deadlock(giving, postgres_desk):
    await postgres_desk.open(1, 2, amount=50)
    for _ in range(5):
        one, two = await giving.give(1, 5), await giving.give(2, 5)

        told = await asyncio.gather(giving.open(2, one.code), giving.open(1, two.code))

        assert all(isinstance(each, GiftOpened) for each in told)


async def test_a_gift_is_refused_to_its_giver_to_strangers_and_to_the_late(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    await postgres_desk.open(2)
    made = await giving.give(1, 30)
    own = await giving.open(1, made.code)
    unknown = await giving.open(2, "A" * 26)
    nobody = await giving.open(9, made.code)
    postgres_desk.clock.advance(VALID)

    late = await giving.open(2, made.code)

    assert [each.reason for each in (own, unknown, nobody, late)] == [
        *("gift_own", "gift_unknown", "no_account", "gift_over")
    ]


async def test_an_unopened_gift_returns_to_its_lots_once(giving, postgres_desk):
    await postgres_desk.open(1)
    await postgres_desk.grant(1, 10, lot="paid", expires_at=postgres_desk.now + VALID / 2)
    await postgres_desk.grant(1, 50, lot="paid")
    await giving.give(1, 30)
    early = await giving.return_gifts()
    postgres_desk.clock.advance(VALID)

    (returned,) = await giving.return_gifts()
    again = await giving.return_gifts()

    account = await postgres_desk.account(1)
    assert (early, again) == ([], [])
    assert (returned.user_id, returned.credits) == (1, 30)
    assert [account.lots[number].remaining for number in (2, 3)] == [10, 50]
    # Its first lot had expired meanwhile: what came back lives for a day more.
    assert account.lots[2].expires_at == postgres_desk.now + timedelta(hours=24)


async def test_a_gift_out_of_a_revoked_lot_pays_the_debt_first(giving, postgres_desk):
    await postgres_desk.open(1, amount=50)
    await giving.give(1, 30)
    await revoke(giving, 1, 2, 50)
    before = await postgres_desk.account(1)
    postgres_desk.clock.advance(VALID)

    await giving.return_gifts()

    account = await postgres_desk.account(1)
    assert (before.available, before.debt) == (0, 10)
    assert (account.available, account.debt, account.lots[2].state) == (20, 0, "open")


async def test_opening_and_returning_at_once_moves_it_once(crowd, postgres_desk):
    await postgres_desk.open(1, amount=500)
    await postgres_desk.open(2)
    late = crowd.at(postgres_desk.now + VALID)
    for _ in range(6):
        made = await crowd.give(1, 30)

        opened, *returned = await asyncio.gather(
            crowd.open(2, made.code), *(late.return_gifts() for _ in range(8))
        )

        moved = isinstance(opened, GiftOpened) + sum(len(each) for each in returned)
        assert moved == 1


async def test_a_gift_pays_the_openers_debt(giving, postgres_desk):
    await postgres_desk.open(1, 2, amount=50)
    await postgres_desk.placed(2)
    await revoke(giving, 2, 2, 75)
    owed = (await postgres_desk.account(2)).debt
    made = await giving.give(1, 30)

    opened = await giving.open(2, made.code)

    assert owed > 0
    assert opened.available_credits == 30 - owed


async def test_a_gift_out_of_two_lots_is_one_line_of_the_history(giving, postgres_desk):
    await postgres_desk.open(1, amount=10)
    await postgres_desk.grant(1, 20)
    await giving.give(1, 25)

    request = billing.GetHistory(user_id=1)
    reads = PostgresReads(postgres_desk.database)
    page = await get_history(request, reads=reads, plans={}, page_max=50)

    assert [(each.kind, each.credits) for each in page.entries] == [
        *(("gift", -25), ("grant", 20), ("grant", 10), ("trial", 20))
    ]
