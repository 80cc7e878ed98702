"""What an operator sees and does: list, show, fire, cancel; every deed recorded."""

import getpass
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.billing import RunAudit
from contracts.ids import uuid7_time
from contracts.scheduler import Repeat
from devstack.testing import free_port
from scheduler import cli
from scheduler.testing import arm, fire_all, fired, firing, row, timer

DAILY = Repeat(unit="day", at="09:00")


class Terminal:
    """Runs a command in this process; answers its exit code, output and errors."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        chosen = cli._parser().parse_args(arguments)
        code = await cli._work(chosen)
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    async def json(self, *arguments: str) -> Any:
        code, output, errors = await self.run(*arguments, "--json")
        assert (code, errors) == (0, "")
        return json.loads(output)


@pytest.fixture
async def terminal(
    outbox: Outbox,
    database_dsn: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Terminal]:
    monkeypatch.setenv("SCHEDULER_DATABASE_URL", database_dsn)
    return Terminal(capsys)


async def actions(outbox: Outbox) -> list[tuple[Any, ...]]:
    async with outbox.database.read() as connection:
        rows = await connection.fetch(
            "SELECT action, key, dry_run, outcome, actor, detail->>'reason' FROM operator_actions "
            "ORDER BY number"
        )
    return [tuple(each) for each in rows]


def by_me(
    action: str, key: str, *, dry_run: bool = False, outcome: str = "done"
) -> tuple[Any, ...]:
    return action, key, dry_run, outcome, f"cli:{getpass.getuser()}", "why"


async def test_the_list_is_filtered_ordered_and_says_when_it_is_cut(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(
        outbox,
        timer(key="a:late", due_in=-60, kind="vpn.end"),
        timer(key="a:soon", due_in=60, kind="vpn.end"),
        timer(key="b:soon", due_in=90, catch_up="coalesce", group="g"),
        timer(key="c%_", due_in=9e5),
    )

    async def keys(*arguments: str) -> list[str]:
        return [each["key"] for each in (await terminal.json("list", *arguments))["timers"]]

    assert await keys() == ["a:late", "a:soon", "b:soon", "c%_"]
    assert await keys("--overdue") == ["a:late"]
    assert await keys("--kind", "vpn.end") == ["a:late", "a:soon"]
    assert await keys("--group", "g") == ["b:soon"]
    assert await keys("--prefix", "c%") == ["c%_"]
    assert await keys("--due-after", "2100-01-01") == []
    assert await keys("--due-before", "2100-01-01T00:00:00+00:00", "--prefix", "b") == ["b:soon"]
    assert await keys("--state", "fired") == []
    cut = await terminal.json("list", "--limit", "1")
    assert (len(cut["timers"]), cut["more"]) == (1, True)
    _, text, _ = await terminal.run("list", "--limit", "1")
    assert text.startswith("a:late v1 vpn.end overdue since 20")
    assert "there are more" in text


async def test_one_timer_is_shown_with_what_it_carries(outbox: Outbox, terminal: Terminal) -> None:
    soon = timer(due_in=60)
    body = RunAudit(due_at=soon.due_at).encode()
    await arm(
        outbox,
        timer(
            key="k", fire_subject=RunAudit.subject, fire_body=body, time_zone="UTC", repeat=DAILY
        ),
        timer(key="odd", fire_subject=RunAudit.subject, fire_body=b"\xc1"),
    )

    shown = await terminal.json("show", "k")
    _, text, _ = await terminal.run("show", "odd")

    assert shown["carries"]["due_at"].startswith(f"{soon.due_at:%Y-%m-%dT%H}")
    assert shown["rule"]["repeat"] == {"unit": "day", "at": "09:00"}
    assert shown["operator_actions"] == []
    assert "c1" in text
    assert "fire_body" not in shown


async def test_a_fired_timer_is_sent_by_a_running_scheduler_once(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(outbox, timer(due_in=40 * 86_400))

    tried = await terminal.run("fire", "k", "--reason", "why", "--dry-run")
    before = await fired(outbox)
    done = await terminal.run("fire", "k", "--reason", "why")
    again = await terminal.run("fire", "k", "--reason", "why")
    await fire_all(firing(outbox))

    assert tried[0] == done[0] == 0
    assert "nothing was changed; it would send vpn.cmd.check_subscription.v1" in tried[1]
    assert again == (1, "", "k is fired: use --again to fire it all the same\n")
    assert before == []
    assert await fired(outbox) == ["k:1"]
    assert await actions(outbox) == [
        by_me("fire", "k", dry_run=True),
        by_me("fire", "k"),
        by_me("fire", "k", outcome="refused"),
    ]

    async def published() -> bool:
        await outbox.sweep()
        info = await outbox.broker.api("STREAM.INFO.VPN")
        return bool(info["state"]["messages"] == 1)

    await drain(published, what="the fired timer in the VPN stream")


async def test_a_timer_that_has_ended_may_be_fired_again_under_an_id_of_its_own(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(outbox, timer(due_in=-86_400))
    await fire_all(firing(outbox))

    code, _, _ = await terminal.run("fire", "k", "--reason", "why", "--again")

    async with outbox.database.read() as connection:
        ids = await connection.fetch("SELECT id FROM outbox ORDER BY id")
    assert code == 0
    assert [(uuid7_time(b["id"]) - uuid7_time(a["id"])).days for a, b in [ids]] == [1]
    assert (await row(outbox, "k"))["state"] == "fired"


async def test_a_repeating_timer_goes_on_after_it_was_fired_by_hand(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(outbox, timer(due_in=86_400, time_zone="UTC", repeat=DAILY))
    before = await row(outbox, "k")

    said = await terminal.json("fire", "k", "--reason", "why")

    after = await row(outbox, "k")
    assert await fired(outbox) == ["k:1"]
    assert (after["state"], after["due_at"]) == ("armed", before["due_at"])
    assert f"due again {before['due_at']:%Y-%m-%d %H:%M}" in said["said"]


async def test_a_cancelled_timer_does_not_fire_until_it_is_set_anew(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(outbox, timer(2, due_in=60))

    tried = await terminal.run("cancel", "k", "--reason", "why", "--dry-run")
    untouched = await row(outbox, "k")
    done = await terminal.run("cancel", "k", "--reason", "why")
    again = await terminal.run("cancel", "k", "--reason", "why")

    assert tried[0] == 0
    assert untouched["state"] == "armed"
    assert done == (0, "cancelled at version 2\n", "")
    assert again == (1, "", "k is cancelled: there is nothing to cancel\n")
    assert await arm(outbox, timer(2)) == 0
    assert await arm(outbox, timer(3)) == 1
    assert [each[2:4] for each in await actions(outbox)] == [
        (True, "done"),
        (False, "done"),
        (False, "refused"),
    ]
    shown = await terminal.json("show", "k")
    assert [each["outcome"] for each in shown["operator_actions"]] == ["done", "done", "refused"]


@pytest.mark.parametrize("command", [("show", "x"), ("fire", "x", "--reason", "r")])
async def test_an_unknown_key_is_said_in_one_line(
    terminal: Terminal, command: tuple[str, ...]
) -> None:
    assert await terminal.run(*command) == (1, "", "no timer has the key x\n")


async def test_a_tombstone_without_a_timer_carries_nothing_to_fire(
    outbox: Outbox, terminal: Terminal
) -> None:
    async with outbox.database.read() as connection:
        await connection.execute(
            "INSERT INTO timers (key, version, due_at, fire_subject, fire_body, traceparent, "
            "state, changed_at) VALUES ('k', 1, now(), '', '', '', 'cancelled', now())"
        )

    code, _, errors = await terminal.run("fire", "k", "--reason", "why", "--again")

    assert (code, errors) == (1, "k was cancelled before it was set: it carries nothing\n")


async def test_no_database_is_said_in_one_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "CONNECT_SECONDS_MAX", 0.5)
    url = f"postgresql://x@127.0.0.1:{free_port()}/x"
    monkeypatch.setenv("SCHEDULER_DATABASE_URL", url)

    code, _, errors = await terminal.run("list")

    assert (code, errors) == (3, "no Postgres answers there: see SCHEDULER_DATABASE_URL\n")


async def test_ticks_are_listed(outbox: Outbox, terminal: Terminal) -> None:
    async with outbox.database.read() as connection:
        await connection.execute("INSERT INTO ticks VALUES ('run_audit', 60, '2100-01-01 00:00Z')")

    found = await terminal.json("ticks")

    assert found["ticks"][0]["name"] == "run_audit"
    _, text, _ = await terminal.run("ticks")
    assert text == "run_audit                every 60 s, due 2100-01-01 00:00:00 UTC\n"


async def test_a_tick_that_is_switched_off_is_not_shown_as_overdue(
    outbox: Outbox, terminal: Terminal
) -> None:
    async with outbox.database.read() as connection:
        await connection.execute("INSERT INTO ticks VALUES ('a_newer_one', 60, '2020-01-01Z')")

    assert await terminal.run("ticks") == (0, "", "")


async def test_a_calendar_of_a_newer_release_is_listed_and_not_fired_by_hand(
    outbox: Outbox, terminal: Terminal
) -> None:
    await arm(outbox, timer(due_in=60, time_zone="UTC", repeat=DAILY))
    async with outbox.database.read() as connection:
        await connection.execute("UPDATE timers SET rule = '{\"time_zone\": 7}'")

    assert (await terminal.json("list"))["timers"][0]["key"] == "k"
    code, _, errors = await terminal.run("fire", "k", "--reason", "why")

    assert (code, errors) == (1, "k has a calendar that this release does not know\n")
    assert (await terminal.json("show", "k"))["state"] == "armed"


async def test_what_was_recorded_cannot_be_changed(outbox: Outbox, terminal: Terminal) -> None:
    await arm(outbox, timer(due_in=60))
    await terminal.run("cancel", "k", "--reason", "why")

    async with outbox.database.read() as connection:
        with pytest.raises(asyncpg.RaiseError):
            await connection.execute("DELETE FROM operator_actions")
