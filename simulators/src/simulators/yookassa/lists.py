"""Lists: the newest first, filtered by moments and status, page after page."""

import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import dropwhile, islice
from typing import Any

from simulators.provider.moments import iso, seconds_of
from simulators.yookassa.payments import AnyThing
from simulators.yookassa.requests import fail, integer

Json = dict[str, Any]

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
COMPARE = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}


def page(
    things: Iterable[AnyThing],
    query: Mapping[str, str],
    view: Callable[[AnyThing], Json],
    *,
    moments: Iterable[str],
    fields: Iterable[str],
) -> Json:
    """`moments`: what can be compared with gte, gt, lte, lt; `fields`: what must be equal."""
    limit = integer(query.get, "limit", LIMIT_DEFAULT, LIMIT_MAX)
    found = [thing for thing in things if matches(thing, query, moments, fields)]
    cursor = query.get("cursor")
    rest = found if cursor is None else list(dropwhile(lambda each: each.id != cursor, found))
    if cursor is not None and not rest:
        raise fail("cursor", "is not known")
    items = [view(thing) for thing in islice(rest, limit)]
    answer: Json = {"type": "list", "items": items}
    if len(rest) > limit:
        answer["next_cursor"] = rest[limit].id
    return answer


def matches(
    thing: AnyThing, query: Mapping[str, str], moments: Iterable[str], fields: Iterable[str]
) -> bool:
    for name in moments:
        for word, compare in COMPARE.items():
            bound = query.get(f"{name}.{word}")
            if bound is None:
                continue
            moment = getattr(thing, name)
            wanted = _seconds(bound, f"{name}.{word}")
            # As it was shown: to the millisecond.
            if moment is None or not compare(seconds_of(iso(moment)), wanted):
                return False
    return all(query.get(name, getattr(thing, name)) == getattr(thing, name) for name in fields)


def _seconds(text: str, parameter: str) -> float:
    try:
        return seconds_of(text)
    except ValueError:
        raise fail(parameter, "a moment as 2026-01-31T12:00:00.000Z is needed") from None
