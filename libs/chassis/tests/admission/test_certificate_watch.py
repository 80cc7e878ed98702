"""How long NATS will let a service in is measured, and told before it ends."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import CapturingLogger

from chassis import certificate_watch, metrics, nats_keys
from chassis.authority import CLIENT, Authority
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


async def test_of_a_chain_the_leaf_counts_and_what_stands_between_it_and_the_authority(tmp_path):
    clock = FakeClock()
    now = clock.now()
    root = Authority.new("root", now, 3650 * DAY)
    between = Authority.load(*root.issue("issuing", ("issuing",), [CLIENT], now, 900 * DAY))
    leaf = between.issue("billing", ("billing",), [CLIENT], now, 400 * DAY)
    ending = between.issue("billing", ("billing",), [CLIENT], now, 2 * DAY)

    async def days(shown: bytes) -> float:
        return await _days_of(tmp_path, clock, shown, root.certificate)

    assert await days(ending.certificate + between.certificate) == pytest.approx(2, abs=0.01)
    assert await days(leaf.certificate + between.certificate) == pytest.approx(400, abs=0.01)
    older = _again(between, root, now, 20 * DAY)
    assert await days(leaf.certificate + older) == pytest.approx(20, abs=0.01)
    # The longer-lived of two that vouch for it is enough, in either order.
    both = older + between.certificate
    assert await days(leaf.certificate + both) == pytest.approx(400, abs=0.01)
    stranger = Authority.new("stranger", now, 3 * DAY).certificate
    assert await days(leaf.certificate + stranger + both) == pytest.approx(400, abs=0.01)


async def test_of_several_authorities_the_one_that_signed_counts(tmp_path):
    clock = FakeClock()
    now = clock.now()
    ours, former, next_ = (
        Authority.new(name, now, days * DAY)
        for name, days in (("ours", 900), ("former", 3), ("next", 3650))
    )
    leaf = ours.issue("billing", ("billing",), [CLIENT], now, 400 * DAY).certificate

    async def days(*believed: bytes) -> float:
        return await _days_of(tmp_path, clock, leaf, b"".join(believed))

    bundle = (former.certificate, next_.certificate)
    assert await days(*bundle, ours.certificate) == pytest.approx(400, abs=0.01)
    renewed = _again(ours, ours, now, 8 * DAY)
    assert await days(*bundle, renewed) == pytest.approx(8, abs=0.01)
    assert await days(ours.certificate, renewed) == pytest.approx(400, abs=0.01)
    # Nobody known signed it: which of them the server shows itself by is not known either.
    assert await days(*bundle) == pytest.approx(3, abs=0.01)


async def _days_of(folder: Path, clock: FakeClock, shown: bytes, believed: bytes) -> float:
    place = folder / "billing"
    place.mkdir(exist_ok=True)
    (place / "tls.crt").write_bytes(shown)
    (place / "ca.crt").write_bytes(believed)
    return await looked(folder, clock)


def _again(one: Authority, by: Authority, now: datetime, lifetime: timedelta) -> bytes:
    """Sign the same name and key once more, for another while."""
    old, signer = (x509.load_pem_x509_certificate(each.certificate) for each in (one, by))
    key = serialization.load_pem_private_key(by.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(signer.subject)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + lifetime)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


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
