"""The control API: plain HTTP, no token; acts as the people and looks at what the bot did."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from simulators.telegram import people, purchases
from simulators.telegram.core import Core
from simulators.telegram.errors import ControlError
from simulators.telegram.params import Params
from simulators.telegram.requests import (
    base_url,
    json_response,
    path_id,
    read_body,
    read_uploads,
    user_id,
)
from simulators.telegram.views import chat_view, message_view, messages_view, user_view
from simulators.telegram.world import Chat

Json = dict[str, Any]

WAIT_MAX_SECONDS = 60.0
USER_FIELDS = {"first_name", "last_name", "username", "language_code", "is_premium", "started"}


class Control:
    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        user = "/control/users/{user_id}"
        chat = "/control/chats/{chat_id}"
        return [
            web.get("/control/users", self.users),
            web.get(user, self.user),
            web.put(user, self.put_user),
            web.post(user, self.put_user),
            web.post(user + "/messages", self.say),
            web.post(user + "/edits", self.edit),
            web.post(user + "/photos", self.photos),
            web.post(user + "/callbacks", self.press),
            web.post(user + "/inline", self.inline),
            web.post(user + "/reactions", self.react),
            web.post(user + "/stop-draft", self.stop_draft),
            web.post(user + "/block", self.block),
            web.post(user + "/unblock", self.unblock),
            web.post(user + "/pay", self.pay),
            web.get("/control/invoices/{invoice_id}", self.invoice),
            web.get(user + "/charges", self.charges),
            web.post(user + "/charges/{charge_id}/renew", self.renew),
            web.post(user + "/charges/{charge_id}/state", self.charge_state),
            web.post(user + "/charges/{charge_id}/charge-back", self.charge_back),
            web.put(chat, self.put_chat),
            web.post(chat, self.put_chat),
            web.get(chat, self.chat),
            web.post(chat + "/members/{user_id}", self.member),
            web.get(chat + "/messages", self.messages),
            web.get(chat + "/messages/{message_id}", self.message),
            web.delete(chat + "/messages/{message_id}", self.delete_message),
        ]

    # --- people -----------------------------------------------------------------------------

    async def users(self, request: web.Request) -> web.Response:
        core = self._core
        base = base_url(request)
        views = [user_view(core, user, base) for user in core.world.users.values()]
        groups = [
            chat_view(core, chat, base)
            for chat in core.world.chats.values()
            if chat.type != "private"
        ]
        return json_response({"ok": True, "users": views, "groups": groups})

    async def user(self, request: web.Request) -> web.Response:
        user = self._core.world.users.get(path_id(request, "user_id"))
        if user is None:
            raise ControlError("no such user", 404)
        return json_response({"ok": True, "user": user_view(self._core, user, base_url(request))})

    async def put_user(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        if unknown := body.keys() - USER_FIELDS:
            raise ControlError(f"unknown field {min(unknown)!r}")
        user = self._core.world.ensure_user(user_id(request), **body)
        return json_response({"ok": True, "user": user_view(self._core, user, base_url(request))})

    async def say(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        text = body.get("text")
        if not isinstance(text, str) or not text:
            raise ControlError("text is needed")
        made = people.say(
            self._core,
            user_id(request),
            text,
            chat_id=body.get("chat_id"),
            reply_to=body.get("reply_to"),
        )
        return json_response({"ok": True, **made})

    async def edit(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        made = people.edit(
            self._core,
            user_id(request),
            int(body["message_id"]),
            str(body["text"]),
            body.get("chat_id"),
        )
        return json_response({"ok": True, **made})

    async def photos(self, request: web.Request) -> web.Response:
        uploads, values = await read_uploads(request)
        if not uploads:
            raise ControlError("a multipart part named file is needed")
        params = Params(values)
        made = await people.send_files(
            self._core,
            user_id(request),
            uploads,
            caption=params.text("caption"),
            as_document=params.flag("as_document"),
            chat_id=int(values["chat_id"]) if "chat_id" in params else None,
        )
        return json_response({"ok": True, **made[0], "messages": made})

    async def press(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        if "message_id" not in body or "data" not in body:
            raise ControlError("message_id and data are needed")
        made = people.press(
            self._core,
            user_id(request),
            int(body["message_id"]),
            str(body["data"]),
            body.get("chat_id"),
        )
        return json_response({"ok": True, **made})

    async def inline(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        made = people.ask_inline(self._core, user_id(request), str(body.get("query", "")))
        return json_response({"ok": True, **made})

    async def react(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        message_id = int(body.get("message_id") or 0)
        made = people.react(self._core, user_id(request), message_id, body.get("emoji"))
        return json_response({"ok": True, **made})

    async def stop_draft(self, request: web.Request) -> web.Response:
        return json_response({"ok": True, **people.stop_draft(self._core, user_id(request))})

    async def block(self, request: web.Request) -> web.Response:
        made = people.set_blocked(self._core, user_id(request), blocked=True)
        return json_response({"ok": True, **made})

    async def unblock(self, request: web.Request) -> web.Response:
        made = people.set_blocked(self._core, user_id(request), blocked=False)
        return json_response({"ok": True, **made})

    # --- payments ---------------------------------------------------------------------------

    async def pay(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return json_response(
            {"ok": True, **await purchases.pay(self._core, user_id(request), body)}
        )

    async def invoice(self, request: web.Request) -> web.Response:
        """What a client shows of an invoice link before it is paid."""
        invoice = self._core.payments.invoices.get(request.match_info["invoice_id"])
        if invoice is None:
            raise ControlError("there is no such invoice", 404)
        view = {**invoice.wire(), "subscription_seconds": invoice.subscription_seconds}
        return json_response({"ok": True, "invoice": view})

    async def charges(self, request: web.Request) -> web.Response:
        payer = user_id(request)
        charges = self._core.payments.charges.values()
        mine = [asdict(charge) for charge in charges if charge.user_id == payer]
        return json_response({"ok": True, "charges": mine})

    async def renew(self, request: web.Request) -> web.Response:
        charge_id = request.match_info["charge_id"]
        made = purchases.renew(self._core, user_id(request), charge_id)
        return json_response({"ok": True, **made})

    async def charge_state(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        made = purchases.change_subscription(
            self._core,
            user_id(request),
            request.match_info["charge_id"],
            str(body.get("state", "")),
        )
        return json_response({"ok": True, **made})

    async def charge_back(self, request: web.Request) -> web.Response:
        """`{"silent": true}`: only the statement shows it."""
        silent = bool((await read_body(request)).get("silent", False))
        charge_id = request.match_info["charge_id"]
        made = purchases.charge_back(self._core, user_id(request), charge_id, silent=silent)
        return json_response({"ok": True, **made})

    # --- chats ------------------------------------------------------------------------------

    async def put_chat(self, request: web.Request) -> web.Response:
        """Make or change a group; private chats come with their user."""
        core = self._core
        body = await read_body(request)
        chat_id = path_id(request, "chat_id")
        if chat_id >= 0:
            raise ControlError("a group's id is negative; a private chat is its user")
        chat = core.world.chats.setdefault(chat_id, Chat(id=chat_id, type="supergroup"))
        chat.type = str(body.get("type", chat.type))
        chat.title = body.get("title", chat.title)
        chat.username = body.get("username", chat.username)
        for member in body.get("members", []):
            chat.members[str(core.world.ensure_user(int(member)).id)] = "member"
        if str(core.bot_id) not in chat.members:
            chat.members[str(core.bot_id)] = "administrator"
        core.world.chat_changed(chat)
        return json_response({"ok": True, "chat": chat_view(core, chat, base_url(request))})

    async def member(self, request: web.Request) -> web.Response:
        core = self._core
        body = await read_body(request)
        chat = core.world.chat(path_id(request, "chat_id"))
        member_id = path_id(request, "user_id")
        actor = core.world.ensure_user(int(body.get("by") or 0) or _first_member(core, chat))
        status = str(body.get("status", "member"))
        made = people.set_member(core, chat, member_id, status, actor)
        return json_response({"ok": True, **made})

    async def chat(self, request: web.Request) -> web.Response:
        chat = self._core.world.chat(path_id(request, "chat_id"))
        view = chat_view(self._core, chat, base_url(request))
        return json_response({"ok": True, "chat": view, "commands": self._core.commands})

    async def messages(self, request: web.Request) -> web.Response:
        """Messages after N, or changed after a sequence; `wait` seconds for the first of them."""
        core = self._core
        chat_id = path_id(request, "chat_id")
        after = int(request.query.get("after", 0))
        changed = request.query.get("changed_after")
        changed_after = int(changed) if changed else None
        loop_time = core.clock.now
        deadline = loop_time() + min(float(request.query.get("wait", 0)), WAIT_MAX_SECONDS)
        while True:
            views = messages_view(
                core, chat_id, base_url(request), after=after, changed_after=changed_after
            )
            left = deadline - loop_time()
            if views or left <= 0 or not await core.hub.wait_change(left):
                break
        chat = core.world.chats.get(chat_id)
        view = chat_view(core, chat, base_url(request)) if chat else None
        return json_response({"ok": True, "messages": views, "seq": core.world.seq, "chat": view})

    async def message(self, request: web.Request) -> web.Response:
        messages = self._core.world.messages.get(path_id(request, "chat_id"), {})
        message = messages.get(path_id(request, "message_id"))
        if message is None:
            raise ControlError("no such message", 404)
        view = message_view(self._core, message, base_url(request))
        return json_response({"ok": True, "message": view})

    async def delete_message(self, request: web.Request) -> web.Response:
        chat_id = path_id(request, "chat_id")
        message = self._core.world.find(chat_id, path_id(request, "message_id"))
        if message is None:
            raise ControlError("no such message", 404)
        self._core.world.delete(message)
        return json_response({"ok": True})


def _first_member(core: Core, chat: Chat) -> int:
    people_ids = [int(member) for member in chat.members if int(member) != core.bot_id]
    if not people_ids:
        raise ControlError("name the acting user as `by`")
    return people_ids[0]
