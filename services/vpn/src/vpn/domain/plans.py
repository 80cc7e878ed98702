"""What a plan means on nodes: which regions' nodes, how much traffic, how many devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from contracts.access import KIND_PLAN, KIND_TRAFFIC, KIND_TRIAL, AccessPlan

EVERYWHERE = "all"
"""The set of plans that may use every node."""
GIB = 1 << 30
DAYS_MAX = 3_660
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
_REGION = re.compile(r"[a-z0-9-]{1,20}")


def set_of(regions: Iterable[str]) -> str:
    """The node set of plans that may use these regions: plans with equal regions share one."""
    return "+".join(sorted(set(regions))) or EVERYWHERE


def serves(set_id: str, region: str) -> bool:
    """Whether nodes of a region hold a set."""
    return set_id == EVERYWHERE or region in set_id.split("+")


def traffic_of(plan: AccessPlan) -> int | None:
    """Bytes included in a period; None: no limit."""
    return plan.traffic_gib * GIB or None


def problems(plans: Iterable[AccessPlan], regions: Mapping[str, str]) -> Iterator[str]:
    """What makes a list of plans unusable, a sentence each."""
    seen: set[str] = set()
    for plan in plans:
        where = f"plans.{plan.id}"
        if not _NAME.fullmatch(plan.id):
            yield f"{where}: an id is 1-40 lower-case letters, digits or _"
        if plan.id in seen:
            yield f"{where}: stands twice"
        seen.add(plan.id)
        yield from _problems_of(plan, where)
        for region in plan.regions:
            if region not in regions:
                yield f"{where}.regions: {region} is none of [regions]"
    for region in regions:
        if not _REGION.fullmatch(region) or region == EVERYWHERE:
            yield f"regions.{region}: a region is 1-20 lower-case letters, digits or -, not `all`"


def _problems_of(plan: AccessPlan, where: str) -> Iterator[str]:
    if plan.kind not in (KIND_PLAN, KIND_TRIAL, KIND_TRAFFIC):
        yield f"{where}.kind: {plan.kind} is none of plan, trial, traffic"
    if plan.price_credits < 0 or plan.traffic_gib < 0 or plan.devices < 0:
        yield f"{where}: nothing is below 0"
    if plan.kind == KIND_TRAFFIC:
        if not plan.traffic_gib or plan.days:
            yield f"{where}: a traffic package has traffic_gib and no days"
    elif not 1 <= plan.days <= DAYS_MAX:
        yield f"{where}.days: 1-{DAYS_MAX}"
