"""Writes accounts, their users and what they let each other see as nats-server reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from contracts import accounts, permissions
from contracts.accounts import SEPARATE, SHARED, Account, Export, Import
from contracts.permissions import Grants

FILES: Mapping[str, str] = {SHARED: "auth.conf", SEPARATE: "auth-separate.conf"}
"""By mode. The server's Secret holds all of them; its configuration includes one."""


def block(
    known: Mapping[str, Sequence[str]], everything: Iterable[str] = (), mode: str = SHARED
) -> str:
    """Return the server's `accounts` block: who may do what. `known`: public keys by user.

    `everything`: users with every right in the account of the streams, for tests.
    """
    more = [f"{{ nkey: {key} }}" for user in everything for key in known[user]]
    lines = [f"# Written from contracts.permissions, accounts {mode}.", "accounts {"]
    for account in accounts.accounts(mode, asking=bool(more)):
        lines += _account(account, known, more if account.owns_streams else ())
    return "\n".join((*lines, "}", ""))


def _account(
    account: Account, known: Mapping[str, Sequence[str]], more: Iterable[str]
) -> Iterator[str]:
    users = [_user(key, grants) for grants in account.users for key in known[grants.user]]
    yield f"  {account.name} {{"
    yield f"    limits: {json.dumps(dict(permissions.ACCOUNT_LIMITS))}"
    if account.owns_streams:
        yield f"    jetstream: {json.dumps(dict(permissions.JETSTREAM_LIMITS))}"
    yield from _list("users", [*users, *more])
    yield from _list("exports", map(_export, account.exports))
    yield from _list("imports", map(_import, account.imports))
    yield "  }"


def _list(name: str, written: Iterable[str]) -> Iterator[str]:
    entries = [f"      {each}" for each in written]
    if entries:
        yield f"    {name}: ["
        yield from entries
        yield "    ]"


def _user(key: str, grants: Grants) -> str:
    publish = {"allow": list(grants.publish)}
    if grants.publish_never:
        publish["deny"] = list(grants.publish_never)
    rights: dict[str, object] = {
        "publish": publish,
        "subscribe": {"allow": list(grants.subscribe)},
    }
    if grants.responses_within is not None:
        seconds = int(grants.responses_within.total_seconds())
        rights["allow_responses"] = {"max": 1, "expires": f"{seconds}s"}
    # JSON is a subset of what the server reads.
    ways = json.dumps(permissions.CONNECTION_TYPES)
    return (
        f"{{ nkey: {key}, allowed_connection_types: {ways},"
        f" permissions: {json.dumps(rights)} }}  # {grants.user}"
    )


def _export(export: Export) -> str:
    written: dict[str, object] = {export.kind: export.subject, "accounts": list(export.to)}
    if export.several_answers:
        written["response_type"] = "stream"
    if export.answer_within is not None:
        written["response_threshold"] = f"{int(export.answer_within.total_seconds())}s"
    return json.dumps(written)


def _import(wanted: Import) -> str:
    return json.dumps({wanted.kind: {"account": wanted.account, "subject": wanted.subject}})
