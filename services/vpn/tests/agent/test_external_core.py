"""A core of somebody else that loses connections, flaps, lies, and is altered behind our back."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from devstack.testing import wait_until
from simulators.vless_node.load_core import V2RAY, XRAY, LoadCore
from vpn.agent.testing import Bench, new_entry

PEOPLE = 40


class Wire:
    """What lies between agent and core; it can be cut, also again and again."""

    def __init__(self, core: LoadCore) -> None:
        self.core = core
        self.cuts = 0
        self.address = ""
        self.accepted = 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        self.cuts += 1
        for end in self._ends:
            end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._ends.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.core.port)
        except OSError:
            writer.transport.abort()
            return
        self._ends.add(back)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._ends.discard(writer)


@pytest.fixture
async def wire(core: LoadCore) -> AsyncIterator[Wire]:
    made = Wire(core)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def far(stack, folder, core: LoadCore, wire: Wire) -> Bench:
    """An agent whose core has been running for a while, at the other end of the wire."""
    core.age(1000.0)
    made = Bench(folder, core, address=wire.address)
    await made.start()
    stack.push_async_callback(made.stop)
    return made


@pytest.fixture
async def watchful(stack, folder, core: LoadCore) -> Bench:
    """An agent that compares all the time."""
    made = Bench(folder, core, compare_every_seconds=0.05)
    await made.start()
    stack.push_async_callback(made.stop)
    return made


def only(kind: str):
    return pytest.mark.parametrize("core", [kind], indirect=True)


async def test_a_lost_connection_to_a_core_that_lives_changes_nothing(far: Bench, wire: Wire):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)
    adds = far.core.calls.adds

    wire.cut()
    await wait_until(lambda: wire.accepted >= 2, "connected again")
    late = new_entry()
    await far.put_all(2, *people, late)

    assert far.holds(*people, late)
    assert (far.core.calls.adds - adds, far.core.calls.removes) == (1, 0)
    assert far.external.restarts == 0


async def test_a_core_restarted_while_the_wire_is_cut_is_filled_anew(far: Bench, wire: Wire):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)

    wire.cut()
    await far.core.restart()

    await wait_until(lambda: far.holds(*people), "filled anew")
    assert far.external.restarts == 1


async def test_who_was_removed_while_the_wire_was_cut_is_gone_afterwards(far: Bench, wire: Wire):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)

    for generation in range(2, 8):
        wire.cut()
        await far.put_all(generation, *people[generation:])

    assert far.holds(*people[7:])


async def test_a_change_whose_answer_is_lost_with_the_wire_is_made_all_the_same(
    far: Bench, wire: Wire
):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)
    cuts = wire.cuts

    for generation in range(2, 8):
        far.core.faults.in_next_change = wire.cut
        await far.put_all(generation, *people[generation:])

    assert wire.cuts == cuts + 6
    assert far.holds(*people[7:])
    assert far.external.restarts == 0


async def test_a_wire_cut_all_the_time_costs_a_bounded_number_of_calls(far: Bench, wire: Wire):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)
    loop = asyncio.get_running_loop()
    until = loop.time() + 1.5

    while loop.time() < until:
        wire.cut()
        await asyncio.sleep(0.02)  # the fault itself: fifty cuts a second

    await wait_until(lambda: far.keeper.synced, "in step")
    assert far.holds(*people)
    # Ten looks a second, each of which may have to offer everybody.
    assert far.core.calls.adds < PEOPLE * 40


@only(XRAY)
async def test_a_restart_whose_list_fails_at_first_is_not_forgotten(far: Bench):
    people = [new_entry() for _ in range(PEOPLE)]
    await far.put_all(1, *people)
    far.core.faults.list_errors = True
    lists = far.core.calls.lists

    await far.core.restart()
    await wait_until(lambda: far.core.calls.lists > lists + 2, "asked in vain")
    far.core.faults.list_errors = False

    await wait_until(lambda: far.holds(*people), "filled anew")


@only(XRAY)
async def test_whom_somebody_removed_or_altered_behind_our_back_is_put_right(watchful: Bench):
    lost, altered, mine = new_entry(), new_entry(), new_entry()
    await watchful.put_all(1, lost, altered, mine)

    del watchful.core.users[lost.email]
    watchful.core.users[altered.email] = (str(uuid4()), "")

    await wait_until(lambda: watchful.holds(lost, altered, mine), "added again")
    await wait_until(
        lambda: watchful.core.passes(altered.email, altered.key), "the right key again"
    )
    assert watchful.core.passes(lost.email, lost.key)


@only(XRAY)
async def test_who_ended_and_was_added_behind_our_back_is_removed_again(watchful: Bench):
    ended, mine = new_entry(-60), new_entry()
    await watchful.put_all(1, ended, mine)

    watchful.core.users[ended.email] = (str(ended.key), "")

    await wait_until(lambda: watchful.holds(mine), "removed again")


@only(XRAY)
async def test_a_removal_that_the_core_confirmed_and_did_not_do_is_done_again(watchful: Bench):
    mine, gone = new_entry(), new_entry()
    strangers = {"stranger": uuid4()}
    watchful.core.faults.foreign = dict(strangers)
    await watchful.put_all(1, mine, gone)
    watchful.core.faults.forget_changes = True
    await watchful.put_all(2, mine)
    assert watchful.keeper.synced
    assert watchful.holds(mine, gone)

    watchful.core.faults.forget_changes = False

    await wait_until(lambda: watchful.holds(mine), "removed after all")
    assert watchful.core.faults.foreign == strangers


@only(XRAY)
async def test_who_was_removed_is_remembered_by_the_agents_next_life(stack, folder, core):
    mine, gone = new_entry(), new_entry()
    first = Bench(folder, core)
    await first.start()
    await first.put_all(1, mine, gone)
    await first.put_all(2, mine)
    await first.stop()
    core.users[gone.email] = (str(gone.key), "")

    second = Bench(folder, core, compare_every_seconds=0.05)
    await second.start()
    stack.push_async_callback(second.stop)

    await wait_until(lambda: second.holds(mine), "removed again")


@only(XRAY)
@pytest.mark.parametrize("lie", ["empty_list", "hide_emails", "foreign"])
async def test_a_core_that_lies_about_its_list_loses_nobody(watchful: Bench, lie: str):
    people = [new_entry() for _ in range(PEOPLE)]
    await watchful.put_all(1, *people)
    lies = {
        "empty_list": True,
        "hide_emails": {one.email for one in people[:5]},
        "foreign": {"stranger": uuid4()},
    }
    lists = watchful.core.calls.lists

    setattr(watchful.core.faults, lie, lies[lie])
    await wait_until(lambda: watchful.core.calls.lists > lists + 2, "asked for its list")

    assert watchful.core.calls.removes == 0
    assert watchful.holds(*people)
    assert watchful.keeper.synced


@only(V2RAY)
async def test_a_core_that_cannot_list_is_taken_at_its_word_until_it_begins_anew(watchful: Bench):
    people = [new_entry() for _ in range(3)]
    await watchful.put_all(1, *people)

    del watchful.core.users[people[0].email]
    await watchful.core.restart()

    await wait_until(lambda: watchful.holds(*people), "filled anew")
