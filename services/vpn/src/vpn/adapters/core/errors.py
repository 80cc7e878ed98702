"""What a core can answer besides yes, in words that do not depend on its wire texts."""

from __future__ import annotations

import grpc

from chassis.errors import TransientError


class CoreUnreachableError(TransientError):
    """The core did not answer in time: whether it did what was asked is not known."""


class CoreRefusedError(Exception):
    """The core said no for a reason we do not know, e.g. an inbound that does not exist."""


class UserExistsError(CoreRefusedError):
    """A user with this email is there already, with whatever key."""


class UserMissingError(CoreRefusedError):
    """No user with this email is there."""


class UnsupportedError(CoreRefusedError):
    """The core is too old for the call."""


_UNREACHABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
    }
)


def translated(error: grpc.aio.AioRpcError) -> CoreUnreachableError | CoreRefusedError:
    """Return our error for theirs. Both cores answer UNKNOWN with an English sentence."""
    text = error.details() or ""
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return UnsupportedError(text)
    if error.code() in _UNREACHABLE:
        return CoreUnreachableError(f"{error.code().name.lower()}: {text}")
    if "already exists" in text:
        return UserExistsError(text)
    if "not found" in text and "User " in text:
        return UserMissingError(text)
    return CoreRefusedError(text or error.code().name.lower())
