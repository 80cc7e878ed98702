"""Orders and grants of one batch: an order sees the grants before it, and none after it."""

from billing.testing import ORBIT, FakeQueues, order_of
from contracts import billing
from contracts.billing import CommandRejected, CreditsGranted, OrderAccepted, OrderRefused


def grant(key, amount, user_id=1):
    return billing.GrantCredits(
        grant_key=key, user_id=user_id, credits=amount, reason="test", actor="test", lot="paid"
    )


def kinds(told):
    wanted = OrderAccepted, OrderRefused, CreditsGranted, CommandRejected
    return [type(each).__name__ for each in told if isinstance(each, wanted)]


async def test_an_order_is_paid_by_the_grant_before_it_not_by_the_one_after(desk):
    await desk.open(1)
    orders = [order_of(1, desk.now, workflow=ORBIT) for _ in range(3)]

    told = await desk.place(orders[0], grant("a", 10), orders[1], orders[2], grant("b", 25))

    assert kinds(told) == [
        "OrderRefused",
        "CreditsGranted",
        "OrderAccepted",
        "OrderRefused",
        "CreditsGranted",
    ]
    account = await desk.account(1)
    assert (account.available, account.held, account.lots_opened) == (25, 30, 3)
    assert (await desk.order(orders[1].order_id)).hold.parts == ((1, 20), (2, 10))


async def test_of_a_batch_only_what_is_refused_is_refused(desk):
    await desk.open(1, 2)
    again = grant("a", 10)
    other = grant("a", 11)
    order = order_of(2, desk.now)

    told = await desk.place(again, order, again, other, order, grant("b", 5, user_id=9))

    assert kinds(told) == ["CreditsGranted", "OrderAccepted", *["CommandRejected"] * 3]
    codes = [each.code for each in told if isinstance(each, CommandRejected)]
    assert codes == ["already_granted", "same_id_other_body", "no_account"]
    assert (await desk.account(1)).available == 30
    assert (await desk.account(2)).held == 10


async def test_grants_need_no_room_in_any_queue(desk):
    """Before the queues were sampled no order is taken; that says nothing about grants."""
    await desk.open(1)
    desk.queues = Unsampled()

    told = await desk.place(grant("a", 10), grant("b", 10))

    assert kinds(told) == ["CreditsGranted"] * 2


class Unsampled(FakeQueues):
    def rooms(self):
        raise AssertionError("nobody needs to know")
