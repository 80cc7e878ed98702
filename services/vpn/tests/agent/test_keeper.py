"""The agent over a core of gRPC alone, in this process: faults, clocks, and cores of others."""

import errno
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from chassis.clock import SystemClock
from devstack.testing import wait_until
from simulators.vless_node.load_core import XRAY, LoadCore
from vpn import node_api
from vpn.agent import journal
from vpn.agent.desired_file import DesiredFile
from vpn.agent.holding import RefusedError
from vpn.agent.skew import Skew
from vpn.agent.testing import Bench, new_entry
from vpn.domain.desired import Difference
from vpn.domain.set_hash import set_hash


async def test_a_restarted_core_of_somebody_else_is_filled_anew(bench: Bench):
    """However young it was: its uptime, in whole seconds, may be the same as before."""
    people = [new_entry() for _ in range(50)]
    await bench.put_all(1, *people)
    await bench.core.restart()
    assert bench.holds()

    await wait_until(lambda: bench.holds(*people), "filled anew")

    assert bench.external.restarts == 1


async def test_what_the_core_refuses_is_tried_until_it_is_done(bench: Bench):
    mine, other = new_entry(), new_entry()
    bench.core.faults.error_emails = {mine.email}

    with pytest.raises(RefusedError) as refused:
        await bench.put_all(1, mine, other)

    assert refused.value.code == node_api.CORE_UNAVAILABLE
    assert bench.holds(other)
    assert not bench.keeper.synced
    bench.core.faults.error_emails = set()
    await wait_until(lambda: bench.holds(mine, other), "repaired")
    applied = await bench.put_all(1, mine, other)
    assert applied.hash == set_hash([mine, other])


async def test_foreign_users_are_never_touched(bench: Bench):
    stranger, mine = str(uuid4()), new_entry()
    bench.core.faults.foreign = {stranger: uuid4()}

    await bench.put_all(1, mine)
    await bench.put_all(2)
    await bench.put_all(3, mine)

    assert stranger in bench.core.faults.foreign
    assert bench.holds(mine)


async def test_a_wrong_clock_expires_nobody_and_brings_back_whom_it_cut(bench: Bench):
    mine = new_entry(300)
    bench.skew.hear(SystemClock().now())
    await bench.put_all(1, mine)

    bench.clock.ahead = timedelta(minutes=10)  # while the control plane is away
    await wait_until(lambda: bench.keeper.expiry_paused, "the jump is seen")
    await bench.looked()
    assert bench.holds(mine)

    bench.clock.ahead = timedelta()
    await wait_until(lambda: not bench.keeper.expiry_paused, "the clock is right again")
    assert bench.holds(mine)


@pytest.mark.parametrize("machine_too", [False, True])
async def test_a_wrong_clock_is_remembered_over_a_restart(
    bench: Bench, stack, folder, monkeypatch, machine_too
):
    mine = new_entry(300)
    bench.clock.ahead = timedelta(minutes=10)
    bench.skew.hear(SystemClock().now())
    await bench.put_all(1, mine)
    await bench.stop()
    if machine_too:
        monkeypatch.setattr("vpn.agent.skew._boot", lambda: "another boot")
    again = await another_life(bench, stack, folder, timedelta(minutes=10))

    assert again.keeper.expiry_paused
    assert [one.email for one in again.keeper.wanted()] == [mine.email]
    await again.start()
    await wait_until(lambda: again.keeper.synced, "in step")
    await again.looked()
    assert again.holds(mine)

    again.skew.hear(SystemClock().now() + timedelta(minutes=10))  # it was right after all
    again.keeper.wake()
    await wait_until(again.holds, "expired")


@pytest.mark.parametrize("minutes", [10, -10])
async def test_a_jump_of_the_clock_while_no_agent_ran_is_seen(
    bench: Bench, stack, folder, monkeypatch, minutes
):
    bench.skew.hear(SystemClock().now())
    assert not bench.keeper.expiry_paused
    await bench.stop()

    again = await another_life(bench, stack, folder, timedelta(minutes=minutes))
    assert again.keeper.expiry_paused
    monkeypatch.setattr("vpn.agent.skew._boot", lambda: "another boot")
    rebooted = await another_life(bench, stack, folder, timedelta(minutes=minutes))
    assert rebooted.keeper.expiry_paused == (minutes < 0)  # ahead, it may have been off that long


async def test_a_clock_set_right_while_the_control_plane_is_away_is_remembered(
    bench: Bench, stack, folder, monkeypatch
):
    bench.clock.ahead = timedelta(minutes=10)
    bench.skew.hear(SystemClock().now())
    bench.clock.ahead = timedelta()
    saved = folder / "skew"

    async def noted() -> bool:
        return abs(msgspec.json.decode(journal.unframed(saved.read_bytes())[0][0])["skew"]) < 1.0

    bench.keeper.wake()
    await wait_until(noted, "the verdict is saved")
    await bench.stop()

    monkeypatch.setattr("vpn.agent.skew._boot", lambda: "another boot")
    again = await another_life(bench, stack, folder, timedelta())
    assert not again.keeper.expiry_paused


async def test_a_damaged_clock_file_is_not_believed(bench: Bench, stack, folder):
    bench.skew.hear(SystemClock().now())
    await bench.stop()
    whole = bytearray((folder / "skew").read_bytes())

    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        (folder / "skew").write_bytes(damaged)
        again = Skew(bench.clock, folder)
        again.load()
        assert again.seconds == 0.0
    for length in range(0, len(whole), 7):
        (folder / "skew").write_bytes(whole[:length])
        again = Skew(bench.clock, folder)
        again.load()
        assert again.seconds == 0.0


async def another_life(bench: Bench, stack, folder, ahead: timedelta) -> Bench:
    """Return the agent's next life over the same core and folder, not started yet."""
    again = Bench(folder, bench.core, ahead)
    stack.push_async_callback(again.stop)
    return again


async def test_before_it_ever_heard_a_clock_the_agent_trusts_its_own(bench: Bench):
    mine, later = new_entry(300), new_entry(3600)
    await bench.put_all(1, mine, later)

    bench.clock.ahead = timedelta(minutes=10)
    await wait_until(lambda: bench.holds(later), "expired")

    bench.skew.hear(SystemClock().now())  # the control plane is back: it was the clock
    bench.keeper.wake()
    await wait_until(lambda: bench.holds(mine, later), "brought back")


async def test_a_clock_set_back_brings_back_whom_it_cut_too_early(bench: Bench):
    mine = new_entry(30)
    bench.clock.ahead = timedelta(seconds=40)
    await bench.put_all(1, mine)
    assert bench.holds()

    bench.clock.ahead = timedelta()

    await wait_until(lambda: bench.holds(mine), "brought back")


async def test_who_is_removed_while_the_core_hangs_is_removed_when_it_answers_again(
    bench: Bench, monkeypatch
):
    monkeypatch.setattr("vpn.adapters.core.client.CALL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("vpn.agent.current.CORE_WAIT_SECONDS", 0.5)
    mine, other = new_entry(), new_entry()
    await bench.put_all(1, mine, other)
    bench.core.faults.hang = True

    with pytest.raises(RefusedError) as refused:
        await bench.put_all(2, other)
    assert refused.value.code == node_api.CORE_UNAVAILABLE
    bench.core.faults.hang = False

    await wait_until(lambda: bench.holds(other), "removed")


@pytest.fixture
def full_disk(monkeypatch) -> dict[str, bool]:
    """A disk that takes no byte while `full`."""
    disk = {"full": True}
    write = journal.os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if disk["full"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data, offset)

    monkeypatch.setattr(journal.os, "pwrite", pwrite)
    return disk


async def test_with_a_full_disk_whoever_is_removed_goes_and_nobody_comes(bench: Bench, request):
    gone, mine, other = new_entry(), new_entry(), new_entry()
    await bench.put_all(1, gone, mine)
    disk = request.getfixturevalue("full_disk")

    with pytest.raises(RefusedError) as refused:
        await bench.put_all(2, mine, other)

    assert refused.value.code == node_api.NOT_SAVED
    assert bench.holds(mine)
    assert bench.keeper.holding.generation == 1
    assert "No space left" in bench.keeper.not_saved
    await bench.core.restart()
    await wait_until(lambda: bench.holds(mine), "filled anew, without who was removed")

    disk["full"] = False
    await wait_until(lambda: bench.holds(mine, other), "the change is in force")
    assert (bench.keeper.holding.generation, bench.keeper.not_saved) == (2, "")
    assert (await bench.put_all(2, mine, other)).hash == set_hash([mine, other])
    again = DesiredFile(bench.folder)
    again.load()
    assert set(again.entries) == {mine.email, other.email}
    again.close()


async def test_who_is_wanted_again_while_the_disk_is_full_passes_again(bench: Bench, request):
    mine, other = new_entry(), new_entry()
    await bench.put_all(1, mine, other)
    request.getfixturevalue("full_disk")
    for wanted in ([other], [mine]):
        with pytest.raises(RefusedError):
            await bench.put_all(2, *wanted)

    await wait_until(lambda: bench.holds(mine), "who was cut is back, the other one off")


async def test_a_second_agent_life_repeats_only_what_was_in_doubt(stack, folder, core):
    people = [new_entry() for _ in range(20)]
    first = Bench(folder, core)
    await first.start()
    await first.put_all(1, *people)
    await first.stop()
    # A kill between disk and core: on disk, in doubt, unknown to the core.
    again = DesiredFile(folder)
    again.load()
    late = new_entry()
    again.change(2, Difference((late,), (people[0].email,)))
    again.close()

    second = Bench(folder, core)
    await second.start()
    stack.push_async_callback(second.stop)

    await wait_until(lambda: second.holds(*people[1:], late), "in step")
    assert second.keeper.holding.generation == 2


async def test_removing_whom_we_have_no_record_of_reaches_the_core(bench: Bench):
    await bench.put_all(1)
    left_over = str(uuid4())
    bench.core.users[left_over] = (str(uuid4()), "")

    await bench.keeper.change(
        node_api.ChangesRequest(
            generation=2,
            base_generation=1,
            base_hash=bench.keeper.holding.hash,
            now=SystemClock().now(),
            remove=[left_over],
        )
    )

    assert bench.holds()


async def test_the_same_change_twice_is_done_once(bench: Bench):
    mine = new_entry()
    await bench.put_all(1)
    change = node_api.ChangesRequest(
        generation=2,
        base_generation=1,
        base_hash=bench.keeper.holding.hash,
        now=SystemClock().now(),
        put=[mine],
    )

    first = await bench.keeper.change(change)
    again = await bench.keeper.change(change)

    assert (first.added, again.added) == (1, 0)
    assert first.hash == again.hash
    assert bench.core.calls.adds == 1


async def test_a_whole_set_sent_again_finds_whom_a_listing_core_lost(stack, folder):
    core = LoadCore(XRAY)
    await core.start()
    stack.push_async_callback(core.stop)
    bench = Bench(folder, core)
    await bench.start()
    stack.push_async_callback(bench.stop)
    mine, other = new_entry(), new_entry()
    await bench.put_all(1, mine, other)
    del core.users[mine.email]

    await bench.put_all(1, mine, other)

    assert bench.holds(mine, other)


async def test_a_wrong_key_under_our_email_is_replaced(bench: Bench):
    mine = new_entry()
    bench.core.users[mine.email] = (str(uuid4()), "")

    await bench.put_all(1, mine)

    assert bench.core.passes(mine.email, mine.key)
