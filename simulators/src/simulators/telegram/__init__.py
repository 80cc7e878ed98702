"""A Bot API server on loopback, with people to talk to the bot and faults to order."""

from simulators.telegram.server import TelegramSimulator

__all__ = ["TelegramSimulator"]
