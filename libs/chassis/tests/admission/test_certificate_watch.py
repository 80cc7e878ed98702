"""How long NATS will let a service in is measured, and told before it ends."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from chassis import certificate_watch, metrics, nats_keys
from chassis.certificate_watch import CertificateWatch
from chassis.identity import Identity
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.testing import FakeClock, drain
from devstack import nats_security
from devstack.testing import secured_nats

DAY = timedelta(days=1)


def files_of(folder: Path, days: float, clock: FakeClock) -> Mapping[str, bytes]:
    keys = nats_keys.make(["localhost"], clock.now(), days * DAY)
    nats_keys.write(folder, keys)
    return keys["billing"]


async def looked(folder: Path, clock: FakeClock) -> float:
    watch = CertificateWatch(Identity.in_folder(folder / "billing", "billing"), clock)
    await watch.look()
    return watch.days_left


async def test_the_days_left_go_down_and_are_told_below_thirty(tmp_path, monkeypatch):
    told = CapturingLogger()
    monkeypatch.setattr(certificate_watch, "log", told)
    clock = FakeClock()
    files_of(tmp_path, 100, clock)
    watch = CertificateWatch(Identity.in_folder(tmp_path / "billing", "billing"), clock)
    await watch.look()
    assert watch.days_left == pytest.approx(100, abs=0.01)

    clock.advance(69 * DAY)
    await watch.look()
    assert told.calls == []

    clock.advance(2 * DAY)
    await watch.look()
    assert watch.days_left == pytest.approx(29, abs=0.01)
    (call,) = told.calls
    assert (call.method_name, call.args) == ("warning", ("certificate_ending",))
    assert call.kwargs["days_left"] == 28

    files_of(tmp_path, 365, clock)
    await watch.look()
    assert watch.days_left == pytest.approx(365, abs=0.01)


async def test_an_authority_that_ends_sooner_counts_and_the_next_one_beside_it_helps(tmp_path):
    clock = FakeClock()
    soon, later = files_of(tmp_path / "soon", 5, clock), files_of(tmp_path, 50, clock)
    authority = tmp_path / "billing" / "ca.crt"

    authority.write_bytes(soon["ca.crt"])
    assert await looked(tmp_path, clock) == pytest.approx(5, abs=0.01)

    authority.write_bytes(later["ca.crt"] + soon["ca.crt"])
    assert await looked(tmp_path, clock) == pytest.approx(50, abs=0.01)


async def test_a_running_service_measures_its_own(monkeypatch):
    gauges: dict[str, Any] = {}
    monkeypatch.setattr(
        metrics, "gauge", lambda name, read, **_: gauges.setdefault(name, read), raising=True
    )
    async with secured_nats() as nats:
        folder = nats.state_dir / nats_security.FOLDER
        nats_security.remember(
            nats.state_dir,
            nats_keys.make(
                nats_security.HOSTS,
                FakeClock().now(),
                20 * DAY,
                more_users=[nats_security.TESTS],
            ),
        )
        await nats.server.restart()
        settings = ServiceSettings(
            nats_url=nats.server.url,
            nats_tls_dir=str(folder / "billing"),
            nats_seed_file=str(folder / "billing" / "seed"),
            signatures="off",
            log_format="json",
        )
        async with Service.start("billing", settings) as service:
            running = asyncio.ensure_future(service.until_stopped())
            days_left = await _gauge(gauges)
            await drain(lambda: days_left() > 0, what="the first look")
            assert days_left() == pytest.approx(20, abs=0.01)
            service.background.stopping.set()
            await running


async def _gauge(gauges: Mapping[str, Any]) -> Any:
    name = "vitrine.nats.certificate_days_left"
    await drain(lambda: name in gauges, what=name)
    return gauges[name]
