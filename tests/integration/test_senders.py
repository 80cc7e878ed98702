"""Who may send what is what the sources send: a forgotten right would stop a service at work."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import contracts
from contracts import permissions, producers
from contracts.envelope import Command, Event, Request
from contracts.topology import SERVICES
from scheduler.domain import ticks

ROOT = Path(__file__).parents[2]
KEPT = {
    # Built to be tried or recorded, never published.
    "billing": {"billing.cmd.set_tier.v1"},
    # Fired by the scheduler: vpn only writes it into a timer.
    "vpn": {"vpn.cmd.check_subscription.v1"},
}
TEMPLATES = {"jobs.{pool}.{lane}": "jobs.*.*"}
Kind = type[Command] | type[Request] | type[Event]


def of_contracts() -> dict[tuple[str, str], Kind]:
    found = {}
    for info in pkgutil.iter_modules(contracts.__path__):
        module = importlib.import_module(f"contracts.{info.name}")
        for name, kind in vars(module).items():
            if (
                isinstance(kind, type)
                and issubclass(kind, Command | Request | Event)
                and kind.subject
            ):
                found[module.__name__, name] = kind
    return found


KINDS = of_contracts()


def named_in(tree: ast.AST) -> Iterator[tuple[ast.AST, Kind]]:
    """Where a module names a kind of message, and which."""
    names: dict[str, tuple[str, str]] = {}
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("contracts"):
            for each in node.names:
                bound = each.asname or each.name
                names[bound] = (node.module or "", each.name)
                modules[bound] = f"{node.module}.{each.name}"
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name):
                place = names.get(name, ("", ""))
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                place = (modules.get(module, ""), name)
            case _:
                continue
        if place in KINDS:
            yield node, KINDS[place]


def built_in(file: Path) -> Iterator[Kind]:
    """The messages that a module makes."""
    tree = ast.parse(file.read_text())
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return (kind for node, kind in named_in(tree) if id(node) in called)


def sent_by(folder: Path, *, command_line: bool) -> set[Kind]:
    return {
        kind
        for file in folder.rglob("*.py")
        if file.name != "testing.py" and (file.name == "cli.py") == command_line
        for kind in built_in(file)
    }


def subjects(kinds: set[Kind], base: type) -> set[str]:
    return {TEMPLATES.get(each.subject, each.subject) for each in kinds if issubclass(each, base)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_send_what_its_sources_send(service):
    found = sent_by(ROOT / "services" / service / "src", command_line=False)
    if service == "scheduler":
        fired = {kind.command for kind in ticks.KINDS.values()}
        found |= fired | {KINDS["contracts.vpn", "CheckSubscription"]}

    commands = subjects(found, Command) - KEPT.get(service, set())
    allowed = {*permissions.commands_of(service), *permissions.BESIDE_COMMANDS.get(service, ())}
    assert commands == allowed - {"gateway.updates.*"}
    assert subjects(found, Request) == set(permissions.REQUESTS.get(service, ()))


def test_an_operator_may_send_what_the_command_lines_send():
    found = {
        kind
        for service in ("billing", "vpn")
        for kind in sent_by(ROOT / "services" / service / "src", command_line=True)
    }
    for command_line in (False, True):
        found |= sent_by(ROOT / "tools" / "src", command_line=command_line)

    assert subjects(found, Command) == set(permissions.commands_of(producers.OPERATOR))
    asked = {each for each in permissions.REQUESTS["operator"] if not each.startswith("*")}
    assert subjects(found, Request) == asked


def test_an_operator_hears_the_answers_that_the_command_lines_wait_for_and_nothing_else():
    files = [
        *(ROOT / "tools" / "src").rglob("*.py"),
        *(ROOT / "services" / service / "src" / service / "cli.py" for service in SERVICES),
    ]
    found = {
        kind for file in files if file.exists() for _, kind in named_in(ast.parse(file.read_text()))
    }

    assert subjects(found, Event) == set(permissions.HEARD["operator"])


def test_every_command_has_a_sender():
    known = {kind.subject for kind in KINDS.values() if issubclass(kind, Command)}

    assert {TEMPLATES.get(each, each) for each in known} - {
        subject for grants in permissions.grants() for subject in grants.publish
    } == set()
