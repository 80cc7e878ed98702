"""catalogue/shop.toml: what is on offer and on which terms; a mistake is refused at start."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from billing.domain import offers, reward_terms
from billing.domain.offers import Offers, Tender
from billing.domain.reward_terms import (
    DrawTerms,
    GiftTerms,
    PromoTerms,
    ReferralTerms,
    RewardTerms,
)
from chassis.errors import ConfigurationError
from contracts.payments import Pack, Plan

FILE = "shop.toml"
TABLES = {"packs", "plans", "methods", "referral", "gift", "draw", "promo"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shop:
    offers: Offers = field(default_factory=Offers)
    rewards: RewardTerms = field(default_factory=RewardTerms)


def load(catalogue_dir: Path) -> Shop:
    """Read the file; without one nothing but the workflows is on offer.

    Raises ConfigurationError with the field and the reason.
    """
    path = catalogue_dir / FILE
    if not path.exists():
        return Shop()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    try:
        return _shop(raw)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _shop(raw: Mapping[str, Any]) -> Shop:
    _no_others(raw, TABLES, "")
    packs = [
        _convert(each, Pack, f"packs[{number}]") for number, each in enumerate(_rows(raw, "packs"))
    ]
    plans = [
        _convert(each, Plan, f"plans[{number}]") for number, each in enumerate(_rows(raw, "plans"))
    ]
    tenders = {
        name: _convert(each, Tender, f"methods.{name}")
        for name, each in _table(raw, "methods").items()
    }
    for problem in offers.problems(packs, plans, tenders):
        raise ConfigurationError(problem)
    rewards = RewardTerms(
        promo=_convert(raw.get("promo", {}), PromoTerms, "promo"),
        draw=_convert(raw.get("draw", {}), DrawTerms, "draw"),
        gift=_convert(raw.get("gift", {}), GiftTerms, "gift"),
        referral=_convert(raw.get("referral", {}), ReferralTerms, "referral"),
    )
    for problem in reward_terms.problems(rewards):
        raise ConfigurationError(problem)
    return Shop(
        Offers({each.id: each for each in packs}, {each.id: each for each in plans}, tenders),
        rewards,
    )


def _rows(raw: Mapping[str, Any], name: str) -> list[Any]:
    found = raw.get(name, [])
    if not isinstance(found, list):
        raise ConfigurationError(f"{name}: must be tables: [[{name}]]")
    return found


def _table(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = raw.get(name, {})
    if not isinstance(found, dict):
        raise ConfigurationError(f"{name}: must be a table")
    return found


def _convert(raw: Any, kind: type[T], where: str) -> T:
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{where}: must be a table")
    described: Any = kind
    named = fields(described) if is_dataclass(kind) else msgspec.structs.fields(described)
    _no_others(raw, {each.name for each in named}, f"{where}.")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _no_others(raw: Iterable[str], known: set[str], where: str) -> None:
    """A mistyped name would otherwise silently leave the default in force."""
    for name in raw:
        if name not in known:
            raise ConfigurationError(f"{where}{name}: is not known")
