"""How a batch of messages is cut up into groups, one for each call of a handler."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chassis.consumers import Received


def together(
    batch: Sequence[Received[Any]], kinds: Mapping[str, Hashable]
) -> list[list[Received[Any]]]:
    """Return the messages in groups of one kind, as few as nobody can tell from delivery order.

    `kinds`: of each subject, who takes it. Messages about the same (`order_keys`) keep their
    order, also within a group; one about nothing keeps its place.
    """
    groups: list[list[Received[Any]]] = []
    last: dict[Hashable, int] = {}  # the last group that has a message about it
    latest: dict[Hashable, int] = {}
    fence = -1  # nothing goes before the last message about nothing
    for each in batch:
        keys = each.message.order_keys()
        kind = kinds[each.message.subject]
        after = max((last.get(key, -1) for key in keys), default=len(groups) - 1)
        at = latest.get(kind, -1)
        if at < max(after, fence, 0):
            at = len(groups)
            groups.append([])
            latest[kind] = at
        groups[at].append(each)
        last.update(dict.fromkeys(keys, at))
        if not keys:
            fence = at
    return groups


def first_of_each(batch: Sequence[Received[Any]], fresh: set[Any]) -> list[Received[Any]]:
    """Return the fresh messages in delivery order, a doubled id once."""
    left = set(fresh)
    kept = []
    for each in batch:
        if each.headers.id in left:
            left.discard(each.headers.id)
            kept.append(each)
    return kept
