"""catalogue/vpn.toml (plans) and the file of nodes; a mistake in either is refused at start."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from chassis.errors import ConfigurationError
from contracts.access import AccessPlan
from vpn.domain import plans
from vpn.ports.registry import DRIVERS, NodeConfig

PLANS_FILE = "vpn.toml"
T = TypeVar("T")


class Catalogue(NamedTuple):
    """Plans by id, what regions are called, and (by language) what the page calls plans."""

    plans: Mapping[str, AccessPlan]
    regions: Mapping[str, str]
    titles: Mapping[str, Mapping[str, str]]


def load_plans(catalogue_dir: Path) -> Catalogue:
    """Read what is sold; without the file that is nothing.

    Raises ConfigurationError with the field and the reason.
    """
    path = catalogue_dir / PLANS_FILE
    if not path.exists():
        return Catalogue({}, {}, {})
    raw = _read(path)
    try:
        _only(raw, {"plans", "regions", "titles"}, "")
        found = [
            _convert(each, AccessPlan, f"plans[{number}]")
            for number, each in enumerate(_rows(raw, "plans"))
        ]
        regions = msgspec.convert(raw.get("regions", {}), dict[str, str])
        titles = msgspec.convert(raw.get("titles", {}), dict[str, dict[str, str]])
        for problem in plans.problems(found, regions):
            raise ConfigurationError(problem)
        for language, named in titles.items():
            _only(named, {plan.id for plan in found}, f"titles.{language}.")
    except (ConfigurationError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return Catalogue({plan.id: plan for plan in found}, regions, titles)


def load_nodes(path: Path, regions: Mapping[str, str]) -> tuple[NodeConfig, ...]:
    """The nodes of the file. Raises ConfigurationError with the field and the reason."""
    raw = _read(path)
    try:
        _only(raw, {"nodes"}, "")
        found = tuple(
            _convert(each, NodeConfig, f"nodes[{number}]")
            for number, each in enumerate(_rows(raw, "nodes"))
        )
        for problem in _node_problems(found, regions):
            raise ConfigurationError(problem)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return found


def _node_problems(nodes: tuple[NodeConfig, ...], regions: Mapping[str, str]) -> Iterator[str]:
    for name, count in Counter(each.name for each in nodes).items():
        if count > 1:
            yield f"nodes.{name}: stands twice"
    for each in nodes:
        where = f"nodes.{each.name}"
        if each.driver not in DRIVERS:
            yield f"{where}.driver: {each.driver} is none of {', '.join(DRIVERS)}"
        if regions and each.region not in regions:
            yield f"{where}.region: {each.region} is none of [regions] in {PLANS_FILE}"
        for problem in each.problems():
            yield f"{where}: {problem}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _rows(raw: Mapping[str, Any], name: str) -> list[Any]:
    found = raw.get(name, [])
    if not isinstance(found, list):
        raise ConfigurationError(f"{name}: must be tables: [[{name}]]")
    return found


def _convert(raw: Any, kind: type[T], where: str) -> T:
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{where}: must be a table")
    described: Any = kind
    _only(raw, {each.name for each in msgspec.structs.fields(described)}, f"{where}.")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _only(raw: Mapping[str, Any], known: set[str], where: str) -> None:
    """A mistyped name would otherwise silently leave the default in force."""
    for name in raw:
        if name not in known:
            raise ConfigurationError(f"{where}{name}: is not known")
