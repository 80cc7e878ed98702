"""What an update's router will need from billing: asked before the transaction opens."""

from __future__ import annotations

from aiogram.types import Update

from contracts.billing import GetBalance, GetHistory, GetPrice
from contracts.envelope import Request
from gateway.domain import callbacks
from gateway.domain.callbacks import ChooseWorkflow, OpenHistory, OpenPage, parse

_CALLBACK_BYTES_MAX = 64


def wanted(update: Update) -> list[Request]:
    """The requests whose replies the runner hands to the router as `reads`."""
    if update.callback_query is not None:
        return _of_tap(update.callback_query.data or "", update.callback_query.from_user.id)
    message = update.message
    if message is None or message.from_user is None or not message.text:
        return []
    user_id = message.from_user.id
    match message.text.split(maxsplit=1)[0].partition("@")[0]:
        case "/balance":
            return [GetBalance(user_id=user_id)]
        case "/history":
            return [GetHistory(user_id=user_id)]
    return []


def _of_tap(data: str, user_id: int) -> list[Request]:
    if len(data.encode()) > _CALLBACK_BYTES_MAX:
        return []
    match parse(data):
        case OpenPage(page=callbacks.BALANCE):
            return [GetBalance(user_id=user_id)]
        case OpenHistory(cursor=cursor):
            return [GetHistory(user_id=user_id, before=cursor)]
        case ChooseWorkflow(workflow_id=workflow_id):
            return [GetPrice(user_id=user_id, workflow_id=workflow_id)]
    return []
