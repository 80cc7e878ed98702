"""catalogue/vpn.toml: which VPN access is sold; vpn reads there what each plan gives on nodes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from billing.domain import access
from chassis.errors import ConfigurationError
from contracts.access import AccessPlan

FILE = "vpn.toml"


def load(catalogue_dir: Path) -> Mapping[str, AccessPlan]:
    """Read the plans; without the file no access is sold.

    Raises ConfigurationError with the field and the reason.
    """
    path = catalogue_dir / FILE
    if not path.exists():
        return {}
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8")).get("plans", [])
        plans = msgspec.convert(raw, list[AccessPlan])
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for problem in access.problems(plans):
        raise ConfigurationError(f"{path}: {problem}")
    return {plan.id: plan for plan in plans}
