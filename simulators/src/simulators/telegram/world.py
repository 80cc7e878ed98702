"""Who exists in the simulated Telegram and what was written there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.telegram.clock import SimClock
from simulators.telegram.errors import bad_request
from simulators.telegram.hub import Hub
from simulators.telegram.store import Store

Json = dict[str, Any]

# 2026-01-01. Ids grow with time from here, so a restart without a state file repeats none.
EPOCH = 1_767_225_600
MESSAGE_IDS_PER_SECOND = 20  # per chat; keeps message ids inside 32 bits, as the real ones are
UPDATE_IDS_PER_SECOND = 1_000


def first_id(now: float, per_second: int) -> int:
    return int((now - EPOCH) * per_second)


@dataclass(slots=True)
class User:
    id: int
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = "en"
    is_premium: bool = False
    started: bool = False
    blocked: bool = False

    def wire(self) -> Json:
        wire: Json = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        for name in ("last_name", "username", "language_code"):
            if value := getattr(self, name):
                wire[name] = value
        if self.is_premium:
            wire["is_premium"] = True
        return wire


@dataclass(slots=True)
class Chat:
    id: int
    type: str = "private"
    title: str | None = None
    username: str | None = None
    members: dict[str, str] = field(default_factory=dict)  # JSON keys: user id as text -> status
    last_message_id: int = 0
    keyboard: Json | None = None
    menu_button: Json | None = None
    draft: Json | None = None
    action: str | None = None
    action_until: float = 0.0


@dataclass(slots=True)
class Message:
    chat_id: int
    message_id: int
    sender: str  # "bot" or "user"
    wire: Json
    created_at: float
    seq: int = 0
    edit_count: int = 0
    edited_at: float | None = None
    deleted: bool = False
    callbacks: list[Json] = field(default_factory=list)
    reactions: list[Json] = field(default_factory=list)
    invoice_id: str | None = None


class World:
    def __init__(self, *, bot: Json, clock: SimClock, store: Store, hub: Hub) -> None:
        self.bot = bot
        self.clock = clock
        self.store = store
        self.hub = hub
        self.users: dict[int, User] = {}
        self.chats: dict[int, Chat] = {}
        self.messages: dict[int, dict[int, Message]] = {}
        self.seq = int(clock.now() * 1_000)
        self._message_id_floor = 0
        self._load()

    def _load(self) -> None:
        for body in self.store.load("user"):
            user = User(**body)
            self.users[user.id] = user
        for body in self.store.load("chat"):
            chat = Chat(**body)
            # A kill may have lost the last second: start above anything it could have used.
            fresh = first_id(self.clock.now(), MESSAGE_IDS_PER_SECOND)
            chat.last_message_id = max(chat.last_message_id, fresh)
            self.chats[chat.id] = chat
        for body in self.store.load("message"):
            message = Message(**body)
            self.messages.setdefault(message.chat_id, {})[message.message_id] = message
            self.seq = max(self.seq, message.seq)
        for chat_id, messages in self.messages.items():
            self.messages[chat_id] = dict(sorted(messages.items()))

    def clear(self) -> None:
        # A chat that comes back after a reset must not meet its old message ids.
        last_ids = [chat.last_message_id for chat in self.chats.values()]
        self._message_id_floor = max([self._message_id_floor, *last_ids])
        self.users.clear()
        self.chats.clear()
        self.messages.clear()

    # --- people and chats -------------------------------------------------------------------

    def ensure_user(self, user_id: int, **fields: Any) -> User:
        user = self.users.get(user_id)
        if user is None:
            user = self.users[user_id] = User(id=user_id, first_name=f"User {user_id}")
            self.chats[user_id] = Chat(id=user_id)
            self.store.save("chat", user_id, self.chats[user_id])
        for name, value in fields.items():
            setattr(user, name, value)
        self.store.save("user", user_id, user)
        self.announce({"type": "user", "user_id": user_id})
        return user

    def chat(self, chat_id: int) -> Chat:
        if (chat := self.chats.get(chat_id)) is None:
            raise bad_request("chat not found")
        return chat

    def chat_by_username(self, username: str) -> Chat:
        for chat in self.chats.values():
            if (chat.username or "").lower() == username.lower() and chat.type != "private":
                return chat
        raise bad_request("chat not found")

    def chat_wire(self, chat: Chat) -> Json:
        if chat.type != "private":
            wire: Json = {"id": chat.id, "type": chat.type, "title": chat.title or "Group"}
            if chat.username:
                wire["username"] = chat.username
            return wire
        user = self.users[chat.id]
        wire = {"id": chat.id, "type": "private", "first_name": user.first_name}
        for name in ("last_name", "username"):
            if value := getattr(user, name):
                wire[name] = value
        return wire

    def chat_changed(self, chat: Chat) -> None:
        self.store.save("chat", chat.id, chat)
        self.announce({"type": "chat", "chat_id": chat.id})

    # --- messages ---------------------------------------------------------------------------

    def next_message_id(self, chat: Chat) -> int:
        if chat.last_message_id == 0:
            fresh = first_id(self.clock.now(), MESSAGE_IDS_PER_SECOND)
            chat.last_message_id = max(fresh, self._message_id_floor)
        chat.last_message_id += 1
        return chat.last_message_id

    def add(self, chat: Chat, author: Json, content: Json) -> Message:
        message_id = self.next_message_id(chat)
        now = self.clock.now()
        wire: Json = {
            "message_id": message_id,
            "from": author,
            "chat": self.chat_wire(chat),
            "date": int(now),
            **content,
        }
        sender = "bot" if author["id"] == self.bot["id"] else "user"
        message = Message(chat.id, message_id, sender, wire, created_at=now)
        self.messages.setdefault(chat.id, {})[message_id] = message
        if sender == "bot":
            chat.action = chat.draft = None
        self.store.save("chat", chat.id, chat)
        self.touch(message)
        return message

    def find(self, chat_id: int, message_id: int) -> Message | None:
        message = self.messages.get(chat_id, {}).get(message_id)
        return None if message is None or message.deleted else message

    def history(self, chat_id: int) -> Iterator[Message]:
        return iter(list(self.messages.get(chat_id, {}).values()))

    def last(self, chat_id: int) -> Message | None:
        messages = reversed(self.messages.get(chat_id, {}).values())
        return next((message for message in messages if not message.deleted), None)

    def edited(self, message: Message) -> None:
        now = self.clock.now()
        message.edit_count += 1
        message.edited_at = now
        message.wire["edit_date"] = int(now)
        self.touch(message)

    def delete(self, message: Message) -> None:
        message.deleted = True
        self.touch(message)

    def touch(self, message: Message) -> None:
        self.seq += 1
        message.seq = self.seq
        self.store.save("message", f"{message.chat_id}:{message.message_id}", message)
        self.announce(
            {"type": "message", "chat_id": message.chat_id, "message_id": message.message_id}
        )

    def announce(self, event: Json) -> None:
        self.hub.publish(event)
        self.hub.wake()
