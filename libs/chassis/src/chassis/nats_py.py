"""nats-py itself, loaded without what it does not need, and its parser repaired."""

from __future__ import annotations

import importlib
import re
import sys


def _import_nats() -> None:
    """Import nats-py without aiohttp, which it would load only for WebSocket URLs (20 MB)."""
    if "aiohttp" in sys.modules:
        return
    sys.modules["aiohttp"] = None  # type: ignore[assignment] # makes its import fail
    try:
        importlib.import_module("nats.aio.client")
    finally:
        del sys.modules["aiohttp"]


def _split_at_spaces_only() -> None:
    """Read delivery lines as the server writes them: fields end at a space and nowhere else.

    nats-py ends them at a form feed as well. The server lets one into a subject, and the delivery
    of such a message would break the connection, again at every redelivery.
    """
    parser = importlib.import_module("nats.protocol.parser")
    fields = rb" +([^ \r\n]+) +([^ \r\n]+) +(([^ \r\n]+) +)?"
    parser.MSG_RE = re.compile(rb"\AMSG" + fields + rb"(\d+)\r\n")  # type: ignore[attr-defined]
    parser.HMSG_RE = re.compile(rb"\AHMSG" + fields + rb"(\d+) +(\d+)\r\n")  # type: ignore[attr-defined]


_import_nats()
_split_at_spaces_only()

# Everybody else imports these from here, so that nothing of nats-py is loaded before.
from nats.aio.client import Client  # noqa: E402
from nats.errors import (  # noqa: E402
    AuthorizationError,
    ConnectionClosedError,
    OutboundBufferLimitError,
    UnexpectedEOF,
)
from nats.errors import Error as NatsError  # noqa: E402

__all__ = [
    "AuthorizationError",
    "Client",
    "ConnectionClosedError",
    "NatsError",
    "OutboundBufferLimitError",
    "UnexpectedEOF",
]
