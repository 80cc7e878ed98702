"""The list of servers an app is given: the nodes it can use, or one that says why there is none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from uuid import UUID

from vpn.domain.formats.words import say
from vpn.domain.links import REASON_APP, LinkView, NodeLink, flag

NOWHERE = NodeLink(name="nowhere", region="", address="127.0.0.1", port=1)
NOBODY = UUID(int=0)
RESERVED = ("Auto", "DIRECT", "REJECT", "GLOBAL", "PASS", "COMPATIBLE", "proxy", "auto", "direct")
"""Names that apps' configurations have already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. `remark` is unique in its list: some apps take it for an id."""

    remark: str
    node: NodeLink
    key: UUID
    dummy: bool = False


def entries(
    view: LinkView, now: datetime, *, networks: Collection[str], reserved: Collection[str] = ()
) -> tuple[Entry, ...]:
    """What an app that knows these `networks` can be given. Never empty.

    `reserved`: remarks that would stand for something else.
    """
    if reason := view.reason(now):
        return (_dummy(reason, view.language),)
    usable = [node for node in view.nodes if node.network in networks]
    if not usable:
        return (_dummy(REASON_APP, view.language),)
    taken = {*RESERVED, *reserved}
    found = []
    for node in usable:
        plain = f"{flag(node.region)} {node.name}".strip()
        numbered = (f"{plain} ({number})" for number in count(2))
        remark = next(each for each in chain((plain,), numbered) if each not in taken)
        taken.add(remark)
        found.append(Entry(remark, node, view.key))
    return tuple(found)


def _dummy(reason: str, language: str) -> Entry:
    return Entry(say(reason, language), NOWHERE, NOBODY, dummy=True)
