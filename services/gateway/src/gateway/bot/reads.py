"""What an update's router will need from billing and vpn: asked before the transaction opens."""

from __future__ import annotations

from aiogram.types import Update

from contracts.billing import GetBalance, GetHistory, GetPrice
from contracts.envelope import Request
from contracts.ids import UserId
from contracts.payments import GetCharges, GetOffers
from contracts.rewards import GetDrawProof, GetRewards
from contracts.vpn import GetAccess
from gateway.domain import callbacks
from gateway.domain.access_buttons import ChooseAccess, SetOption
from gateway.domain.callbacks import (
    CheckDraw,
    ChooseGift,
    ChooseWorkflow,
    DrawNow,
    OpenHistory,
    OpenPage,
    parse,
)
from gateway.domain.purchase_buttons import ChangeRenewals, ChoosePack, ChoosePlan, TopUpFor

_CALLBACK_BYTES_MAX = 64


def wanted(update: Update) -> list[Request]:
    """The requests whose replies the runner hands to the router as `reads`."""
    if update.callback_query is not None:
        return _of_tap(update.callback_query.data or "", UserId(update.callback_query.from_user.id))
    message = update.message
    if message is None or message.from_user is None or not message.text:
        return []
    user_id = UserId(message.from_user.id)
    match message.text.split(maxsplit=1)[0].partition("@")[0]:
        case "/balance" | "/gift":
            return [GetBalance(user_id=user_id)]
        case "/history":
            return [GetHistory(user_id=user_id)]
        case "/topup" | "/vip":
            return [GetOffers(user_id=user_id)]
        case "/vpn":
            return [GetAccess(user_id=user_id), GetOffers(user_id=user_id)]
        case "/paysupport":
            return [GetCharges(user_id=user_id)]
        case "/draw" | "/invite":
            return [GetRewards(user_id=user_id)]
    return []


def _of_tap(data: str, user_id: UserId) -> list[Request]:
    if len(data.encode()) > _CALLBACK_BYTES_MAX:
        return []
    match parse(data):
        case OpenPage(page=callbacks.BALANCE | callbacks.GIFT | callbacks.GIFT_OWN) | ChooseGift():
            return [GetBalance(user_id=user_id)]
        case OpenPage(page=callbacks.DRAW | callbacks.INVITE) | DrawNow():
            return [GetRewards(user_id=user_id)]
        case OpenPage(page=callbacks.TOP_UP | callbacks.VIP) | TopUpFor() | ChoosePack():
            return [GetOffers(user_id=user_id)]
        case ChoosePlan() | ChangeRenewals():
            return [GetOffers(user_id=user_id)]
        case OpenPage(page=callbacks.VPN | callbacks.VPN_PLANS) | ChooseAccess():
            return [GetAccess(user_id=user_id), GetOffers(user_id=user_id)]
        case SetOption():
            return [GetAccess(user_id=user_id), GetOffers(user_id=user_id)]
        case CheckDraw(day=day):
            return [GetDrawProof(user_id=user_id, day=day)]
        case OpenHistory(cursor=cursor):
            return [GetHistory(user_id=user_id, before=cursor)]
        case ChooseWorkflow(workflow_id=workflow_id):
            return [GetPrice(user_id=user_id, workflow_id=workflow_id)]
    return []
