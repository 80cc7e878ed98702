"""What signing and judging messages costs: alone, and in the real billing process under load.

Billing runs without signatures, with them on messages that share one in batches (as an outbox under
load and polling send them), and with one on every single message (the worst there is: each sender
sends one message at a time). The three are interleaved in one run; medians. What is measured is
the CPU of billing, for the rate also hangs on Postgres and nats-server; on two cores all three
share them with the sender's own leftovers.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import ledger, pipeline
from bench.beside_pgbench import SERVER, Signing, settle, unsigned
from bench.harness import Figure, machine, median
from chassis import signing_keys
from chassis.broker import Broker, OutgoingMessage
from chassis.signatures import Signatures
from chassis.testing import signatures_of
from contracts.billing import GrantCredits
from contracts.envelope import HEADER_SIGNATURE
from contracts.producers import OPERATOR, PARTIES
from devstack.postgres import Postgres
from devstack.testing import private_nats, private_postgres, scratch_folder

ROUNDS = 3
TIMED = 2_000
TIMES = 5
BATCH = 64
MICRO = 1_000_000
LOW_PERCENT = 5
Way = tuple[Signing, Mapping[str, object]]
"""How messages are signed, and the settings of billing that judges them."""
Done = tuple[float, float]
"""Operations per second, and CPU milliseconds of billing per operation."""


class Parties:
    """Signs each message as who really sends it."""

    def __init__(self, keys: Path) -> None:
        self._as: dict[str, Signatures] = {party: signatures_of(keys, party) for party in PARTIES}

    def together(self, messages: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
        """As many of a sender's messages under one signature as a publish allows."""
        signed = list(messages)
        for party, signatures in self._as.items():
            places = [at for at, each in enumerate(messages) if _party_of(each.subject) == party]
            found = signatures.sign_all([messages[at] for at in places])
            for at, each in zip(places, found, strict=True):
                signed[at] = each
        return signed

    def apart(self, messages: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
        return [self.together([each])[0] for each in messages]


def _party_of(subject: str) -> str:
    if subject == GrantCredits.subject:
        return OPERATOR
    owner = subject.partition(".")[0]
    return "gateway" if owner == "billing" else owner


def timed(figure: Figure, keys: Path) -> None:
    """The CPU of one signature and one judgement, and of each message that shares them."""
    gateway = signatures_of(keys, "gateway")
    messages = [pipeline.command(number) for number in range(TIMED)]

    def signed(size: int) -> list[OutgoingMessage]:
        starts = range(0, TIMED, size)
        return [each for at in starts for each in gateway.sign_all(messages[at : at + size])]

    def judged(found: Sequence[OutgoingMessage]) -> None:
        billing = signatures_of(keys, "billing")  # one that remembers no signature
        for each in found:
            assert billing.judge(each.subject, each.headers, each.body).producer == "gateway"

    for size, how in ((1, "alone"), (BATCH, f"{BATCH} in a batch")):
        found = signed(size)
        header = len(found[0].headers[HEADER_SIGNATURE])
        key = f"_us_{size}"
        figure.add(f"sign, {how}", _micro(lambda n=size: signed(n)), "µs", key=f"sign{key}")  # type: ignore[misc]
        judging = _micro(lambda it=found: judged(it))  # type: ignore[misc]
        figure.add(f"judge, {how}", judging, "µs", key=f"judge{key}")
        figure.add(f"header, {how}", header, "bytes", key=f"header_bytes_{size}")


def _micro(work: Callable[[], object]) -> float:
    """The best of several: what disturbs only adds."""
    best = float("inf")
    for _ in range(TIMES):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best / TIMED * MICRO


async def measure(rounds: int = ROUNDS) -> Figure:
    figure = Figure(
        "signed messages", f"at most {LOW_PERCENT} % more CPU of billing than without, in batches"
    )
    figure.values |= machine()
    with scratch_folder() as folder:
        signing_keys.ensure(folder, PARTIES)
        timed(figure, folder)
        parties = Parties(folder)
        on = {
            "signatures": "require",
            "signing_key_file": signing_keys.private_file(folder, "billing"),
            "verify_keys_dir": signing_keys.verify_folder(folder),
        }
        ways: dict[str, Way] = {
            "off": (unsigned, {"signatures": "off"}),
            "in batches": (parties.together, on),
            "each alone": (parties.apart, on),
        }
        for name, load in (("orders", _Orders()), ("ledger, mixed", _Mixed())):
            _compare(figure, name, await _rounds(load, ways, rounds))
    return figure


def _compare(figure: Figure, name: str, found: Mapping[str, list[Done]]) -> None:
    figure.values[f"rounds of {name}"] = {way: list(each) for way, each in found.items()}
    without = median([cpu for _, cpu in found["off"]])
    for way, each in found.items():
        rate, cpu = median([rate for rate, _ in each]), median([cpu for _, cpu in each])
        key = f"{name} {way}".replace(",", "").replace(" ", "_")
        figure.add(f"{name}, {way}", rate, "/s", key=f"{key}_per_second")
        figure.add(f"{name}, {way}: CPU of billing", cpu * 1_000, "µs", key=f"{key}_cpu_us")
        if way != "off":
            figure.add(f"{name}, {way}: more", (cpu / without - 1) * 100, "%", key=f"{key}_percent")


def _turns(ways: Iterable[str], rounds: int) -> Iterator[str]:
    """Each way once a round, and in each round another one begins."""
    names = list(ways)
    for number in range(rounds):
        start = number % len(names)
        yield from (*names[start:], *names[:start])


class _Orders:
    """Orders alone."""

    prepare = staticmethod(pipeline.prepare)

    async def run(self, postgres: Postgres, url: str, broker: Broker, way: Way) -> Done:
        sign, settings = way
        await pipeline.quiet(postgres)
        return await pipeline.ours(postgres, url, broker, settings, sign)


class _Mixed:
    """Everything that moves credits, of many people."""

    prepare = staticmethod(ledger.prepare)

    def __init__(self) -> None:
        self._people = ledger.spread()

    async def run(self, postgres: Postgres, url: str, broker: Broker, way: Way) -> Done:
        sign, settings = way
        await settle(postgres, ledger.TABLES)
        messages = self._people.mixed(ledger.OPERATIONS)
        return await ledger.ours(postgres, url, broker, messages, settings, sign)


async def _rounds(
    load: _Orders | _Mixed, ways: Mapping[str, Way], rounds: int
) -> dict[str, list[Done]]:
    found: dict[str, list[Done]] = {way: [] for way in ways}
    async with private_postgres(SERVER) as postgres, private_nats() as server:
        broker = await Broker.connect(server.url, name="bench", on_fatal=sys.exit)
        await load.prepare(postgres, broker)
        for way in _turns(ways, rounds):
            found[way].append(await load.run(postgres, server.url, broker, ways[way]))
        await broker.close()
    return found


if __name__ == "__main__":
    asyncio.run(measure()).show()
