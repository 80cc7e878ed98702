"""Done-when 2, a test per named fault: no stranger touched, nobody who paid cut, operators told."""

import pytest

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts import errors
from contracts.vpn import ReconcileNodes

AILING = "us-1"


@pytest.fixture
async def sweep(shop):
    """A node among others with people who paid and strangers; held against that at the end."""
    await shop.grant(*range(1, 12))
    await shop.in_step()
    node = shop.nodes[AILING]
    paid = await shop.wanted()
    strangers = shop.strangers(3)

    async def during(code, *, reconciled=True):
        """The fault is on: told once, nobody cut, strangers in peace, and others are served."""
        await shop.alarmed(AILING, code)
        await shop.grant(20)
        if reconciled:
            await shop.handle(ReconcileNodes(due_at=SystemClock().now()))
        await shop.confirmed("eu-1", "eu-2")
        assert paid.items() <= node.held.items()
        assert node.foreign in ({}, strangers)
        assert (await shop.alarms()).count((AILING, code)) == 1

    async def after():
        """The fault is off: it mends by itself, and nothing more was told."""
        await shop.in_step()
        assert (await shop.wanted()).items() >= paid.items()
        assert node.foreign in ({}, strangers)

    shop.during, shop.after, shop.paid_strangers = during, after, strangers
    return shop


async def test_errors_are_answered(sweep):
    """It says no to everything: it is up, and nobody who pays now gets there."""
    sweep.nodes[AILING].faults.refuses = "invalid"

    await sweep.during(errors.NODE_SICK)

    sweep.nodes[AILING].faults.refuses = ""
    await sweep.after()


async def test_nobody_answers(sweep):
    sweep.nodes[AILING].faults.away = True

    await sweep.during(errors.NODE_DOWN)

    sweep.nodes[AILING].faults.away = False
    await sweep.after()
    await sweep.alarmed(AILING, errors.NODE_UP)


async def test_it_lies_about_its_list(sweep):
    """Its hash is right, and half of its people are not in its list."""
    node = sweep.nodes[AILING]
    node.faults.omits = frozenset(list(node.held)[::2])
    puts = node.calls.count("put_set")
    node.restart()

    await sweep.during(errors.NODE_LIES)

    # Who is not listed may pass all the same: to put them anew would cut them.
    assert node.calls.count("put_set") == puts
    node.faults.omits = frozenset()
    await sweep.after()

    async def healthy():
        return await sweep.fetch("SELECT health FROM nodes WHERE name = $1", AILING) == [("up",)]

    await drain(healthy, what="its list believed again")


async def test_it_lies_about_what_it_did(sweep):
    """It confirms what it did not do: mended within seconds of its being honest, unasked."""
    node = sweep.nodes[AILING]
    node.faults.lies = True
    await sweep.grant(19)

    await sweep.during(errors.NODE_LIES, reconciled=False)

    assert len(await sweep.wanted()) == len(node.held) + 2
    node.faults.lies = False
    await sweep.after()


async def test_it_returns_an_empty_list(sweep):
    node = sweep.nodes[AILING]
    node.faults.lists_nobody = True
    node.restart()

    await sweep.during(errors.NODE_EMPTY_LIST)

    node.faults.lists_nobody = False
    await sweep.after()


async def test_it_comes_back_with_foreign_users(sweep):
    """All of ours are there, its hash is right: only its list shows who else is."""
    node = sweep.nodes[AILING]
    node.foreign = dict(sweep.paid_strangers)
    node.restart()

    await sweep.during(errors.NODE_FOREIGN_USERS)

    await sweep.after()
    assert node.foreign == sweep.paid_strangers
