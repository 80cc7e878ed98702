"""What of an update's answers may still be shown: what was said since stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chassis.clock import id_floor
from chassis.database import Connection
from contracts.ids import UserId
from gateway.ports import EDIT, Answer

_EDITED = """
    SELECT d.key, coalesce((d.body->>'message_id')::bigint, 0) AS message_id
    FROM deliveries d
    WHERE d.id > $5 AND d.user_id = $3 AND d.kind = 'edit' AND d.created_at > $4
    UNION ALL
    SELECT coalesce(a.answer->>'key', ''), coalesce((a.answer->>'message_id')::bigint, 0)
    FROM updates u, jsonb_array_elements(u.answers) AS a(answer)
    WHERE u.bot_id = $1 AND {later} AND u.user_id = $6 AND u.handled_at > $4
      AND a.answer->>'kind' = 'edit'
"""
_EDITED_SINCE_HANDLED = _EDITED.format(later="u.update_id > $2")
_EDITED_SINCE_IT_CAME = _EDITED.format(later="u.update_id <> $2 AND u.received_at > $4")
_NAMED = "SELECT key, message_id FROM messages WHERE chat_id = $1 AND key = ANY($2)"
Place = tuple[str, int]
"""A message by its name, its number, or both."""


async def still_true(
    connection: Connection,
    answers: Sequence[Answer],
    *,
    bot_id: int,
    update_id: int,
    user_id: UserId,
    chat_id: int,
    came_at: datetime | None = None,
) -> tuple[Answer, ...]:
    """The answers of a handled update without edits of messages that were edited since.

    Said late or once more, such an edit would take back what an event, or the answer to a later
    update, has put there: the button to pay, or the end of an order. `came_at`: it is worked only
    now, so since then counts; Telegram may have begun its update ids anew meanwhile.
    """
    if not any(each.kind == EDIT for each in answers):
        return tuple(answers)
    since = came_at or await connection.fetchval(
        "SELECT handled_at FROM updates WHERE bot_id = $1 AND update_id = $2", bot_id, update_id
    )
    if since is None:
        return tuple(answers)
    query = _EDITED_SINCE_HANDLED if came_at is None else _EDITED_SINCE_IT_CAME
    rows = await connection.fetch(
        query, bot_id, update_id, chat_id, since, id_floor(since), user_id
    )
    edited: list[Place] = [(row["key"], row["message_id"]) for row in rows]
    if not edited:
        return tuple(answers)
    places = [*edited, *((each.key, each.message_id) for each in answers)]
    found = await connection.fetch(_NAMED, chat_id, [key for key, _ in places if key])
    numbers: dict[str, int] = {row["key"]: row["message_id"] for row in found}
    taken = {_name(place, numbers) for place in edited}
    return tuple(
        each
        for each in answers
        if each.kind != EDIT or _name((each.key, each.message_id), numbers) not in taken
    )


def _name(place: Place, numbers: dict[str, int]) -> int | str:
    """The same for the same message, whether it is meant by name or by number."""
    key, message_id = place
    return message_id or numbers.get(key, key)
