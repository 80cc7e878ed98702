"""What no feature test sees: every contract has a consumer, every entry point imports."""

import importlib
import tomllib
from pathlib import Path

import pytest

from contracts import (
    access,
    billing,
    gateway,
    generator,
    operators,
    payments,
    rewards,
    scheduler,
    topology,
    vpn,
)
from contracts.envelope import Command, Event, Message, contracts_of

ROOT = Path(__file__).parents[2]
CONTRACTS = contracts_of(
    access, gateway, billing, operators, payments, rewards, generator, vpn, scheduler
)
# Facts nobody inside acts upon: for dashboards, operators and later services.
EXTERNAL = {
    billing.AuditCompleted.subject,
    operators.ReviewResolved.subject,
    operators.SealHeadForgotten.subject,
    operators.SealHeadStays.subject,
    rewards.PromoSaved.subject,
    scheduler.TimerRejected.subject,
    vpn.AccessRevoked.subject,
}
CONSUMERS = {
    service: (ROOT / f"services/{service}/src/{service}/consumers.py").read_text()
    for service in topology.SERVICES
}


def accepts(service: str, kind: type[Message]) -> bool:
    return any(f"{prefix}{kind.__name__}" in CONSUMERS[service] for prefix in (".", " ", "=", "("))


@pytest.mark.parametrize(
    "subject", sorted(s for s, kind in CONTRACTS.items() if issubclass(kind, Command))
)
def test_every_command_is_accepted_by_its_owner(subject: str) -> None:
    if subject == generator.RunJob.subject:  # claimed one by one, by priority: not in the table
        assert "jobs.<pool>.<lane>" in CONSUMERS["generator"]
        return

    assert accepts(subject.split(".", maxsplit=1)[0], CONTRACTS[subject])


@pytest.mark.parametrize(
    "subject", sorted(s for s, kind in CONTRACTS.items() if issubclass(kind, Event))
)
def test_every_event_has_a_consumer_or_is_external(subject: str) -> None:
    others = [service for service in CONSUMERS if service != subject.split(".", maxsplit=1)[0]]
    takers = [service for service in others if accepts(service, CONTRACTS[subject])]

    assert bool(takers) != (subject in EXTERNAL), takers


@pytest.mark.parametrize(
    "manifest", sorted(ROOT.glob("*/*/pyproject.toml")) + sorted(ROOT.glob("*/pyproject.toml"))
)
def test_every_entry_point_imports(manifest: Path) -> None:
    project = tomllib.loads(manifest.read_text())["project"]

    for target in project.get("scripts", {}).values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("service", ["billing", "gateway", "vpn"])
def test_a_service_is_given_exactly_the_events_it_has_routes_for(service: str) -> None:
    filters = next(
        consumer.filters
        for consumer in topology.consumers()
        if consumer.stream == "EVENTS" and consumer.name == service
    )
    routed = {
        subject
        for subject, kind in CONTRACTS.items()
        if issubclass(kind, Event)
        and subject.split(".", maxsplit=1)[0] != service
        and accepts(service, kind)
    }

    assert set(filters) == routed
