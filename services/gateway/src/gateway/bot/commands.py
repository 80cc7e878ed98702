"""The command list Telegram shows, in every language the bot speaks."""

from __future__ import annotations

from aiogram import Bot
from aiogram.types import BotCommand, BotCommandScopeAllPrivateChats

from gateway.bot.texts import DEFAULT_LANGUAGE
from gateway.ports import Texts

COMMANDS = (
    "start",
    "balance",
    "topup",
    "vip",
    "vpn",
    "history",
    "draw",
    "promo",
    "gift",
    "invite",
    "cancel",
    "language",
    "timezone",
    "help",
    "terms",
    "paysupport",
)


async def publish_commands(bot: Bot, texts: Texts) -> None:
    """Set the list once per language, and the default language's for everybody else."""
    scope = BotCommandScopeAllPrivateChats()
    await bot.set_my_commands(_commands(texts, DEFAULT_LANGUAGE), scope=scope)
    for language in texts.languages:
        await bot.set_my_commands(_commands(texts, language), scope=scope, language_code=language)


def _commands(texts: Texts, language: str) -> list[BotCommand]:
    say = texts.say(language)
    return [BotCommand(command=name, description=say(f"command-{name}")) for name in COMMANDS]
