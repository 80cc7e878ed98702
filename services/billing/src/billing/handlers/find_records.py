"""find: everything recorded under an id, for operators to read."""

from __future__ import annotations

from billing.domain.errors import InvalidError
from billing.ports.operators import Search
from contracts.operators import FindRecords, Records

QUERY_MAX = 200
LIMIT_MAX = 500


async def find_records(request: FindRecords, *, search: Search) -> Records:
    """Raises InvalidError for a query that can be no id."""
    query = request.query.strip()
    if not query or len(query) > QUERY_MAX or not query.isprintable():
        raise InvalidError("an id has 1 to 200 printable characters")
    limit = max(1, min(request.limit, LIMIT_MAX))
    facts = await search.find(query, limit + 1)
    return Records(facts=tuple(facts[:limit]), cut=len(facts) > limit)
