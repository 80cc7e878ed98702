"""Who is in which NATS account, and what one lets another see: `shared` or `separate`.

Separate accounts have no list of their own. Whatever contracts.permissions lets a user publish or
hear and does not stay within the user's account becomes one export there and one import here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import msgspec

from contracts import permissions, topology
from contracts.permissions import ACCOUNT, Grants

SHARED = "shared"
"""Everybody in the account of the streams: a request's reply subject may be anybody's."""
SEPARATE = "separate"
"""An account for each user: a reply subject is looked up where it was named, and nowhere else."""
MODES = (SHARED, SEPARATE)

SERVICE = "service"
"""Publishes into the other account; an answer comes back."""
STREAM = "stream"
"""Hears what is published in the other account."""

ANSWERS = "_R_.>"
"""Where questions from other accounts want their answers: names the server makes up."""
_STREAMS_OWN = ("$JS.", "$KV.", "$O.")
_HAS_STREAMS = "$JS.API.INFO"
"""Without this import the server gives an account an API of its own beside the one it imports, and
answers every request there that the account has no streams. No user may ask for it."""
_PULL = "$JS.API.CONSUMER.MSG.NEXT."
_SEVERAL_ANSWERS = (_PULL, "$JS.API.DIRECT.GET.")
PULL_REMEMBERED = timedelta(seconds=45)
"""How long the server keeps the way back of a pull that nothing came on: longer than a pull waits,
and than the pause between its heartbeats."""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of another account, under the same name here."""

    kind: str
    account: str
    subject: str


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One subject, for those accounts and nobody else."""

    kind: str
    subject: str
    to: tuple[str, ...]
    several_answers: bool = False
    answer_within: timedelta | None = None
    """When the server forgets who asked; None: as it does by itself, after two minutes."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    users: tuple[Grants, ...] = ()
    owns_streams: bool = False
    imports: tuple[Import, ...] = ()
    exports: tuple[Export, ...] = ()


def account_of(user: str, mode: str) -> str:
    """The account a user is in."""
    return ACCOUNT if mode == SHARED else user.upper()


def accounts(mode: str, *, asking: bool = False) -> tuple[Account, ...]:
    """Every account of a mode; the one with the streams comes first, and has one name in both.

    `asking`: whoever is in that one asks the services too, and hears what they tell; for tests.
    """
    everybody = permissions.grants()
    if mode == SHARED:
        return (
            Account(name=ACCOUNT, users=everybody, owns_streams=True),
            # Nobody is in them. An account that a reload brings has no imports before the next one
            # (nats-server 2.15), so they are there for the reload that makes everybody move.
            *(Account(name=account_of(each.user, SEPARATE)) for each in everybody),
        )
    if mode != SEPARATE:
        raise ValueError(f"accounts are {' or '.join(MODES)}, not {mode!r}")
    imports = {
        each.user.upper(): tuple(dict.fromkeys(_imports(each, everybody))) for each in everybody
    }
    imports[ACCOUNT] = tuple(_of_a_test()) if asking else ()
    exports = _exports(imports)
    streams = Account(
        name=ACCOUNT,
        owns_streams=True,
        imports=imports[ACCOUNT],
        exports=exports.get(ACCOUNT, ()),
    )
    return (streams, *(_account(each, imports, exports) for each in everybody))


def _account(
    grants: Grants,
    imports: Mapping[str, tuple[Import, ...]],
    exports: Mapping[str, tuple[Export, ...]],
) -> Account:
    name = account_of(grants.user, SEPARATE)
    return Account(
        name=name,
        users=(_answering_strangers(grants),),
        imports=imports[name],
        exports=exports.get(name, ()),
    )


def _of_a_test() -> Iterator[Import]:
    for service in permissions.ANSWERING:
        yield Import(kind=SERVICE, account=service.upper(), subject=f"{service}.rpc.>")
    for service, told in permissions.HINTS.items():
        for subject in told:
            yield Import(kind=STREAM, account=service.upper(), subject=subject)


def _imports(grants: Grants, everybody: Iterable[Grants]) -> Iterator[Import]:
    yield Import(kind=SERVICE, account=ACCOUNT, subject=_HAS_STREAMS)
    for subject in grants.publish:
        if subject.startswith("_INBOX_"):
            continue  # answers take the server's own way back
        if _is_request(subject):
            for owner, asked in _answered_by(subject):
                yield Import(kind=SERVICE, account=owner.upper(), subject=asked)
        elif _is_stored(subject):
            yield Import(kind=SERVICE, account=ACCOUNT, subject=subject)
    for subject in grants.subscribe:
        if subject == f"{permissions.inbox_prefix(grants.user)}.>":
            if any(bucket.watched for bucket in permissions.BUCKETS.get(grants.user, ())):
                # A watch is delivered to the inbox by the streams' account.
                yield Import(kind=STREAM, account=ACCOUNT, subject=subject)
        elif not _is_request(subject):
            for other in everybody:
                # What a user tells itself, by another process, never leaves its account.
                if other.user != grants.user and _tells(other, subject):
                    yield Import(kind=STREAM, account=other.user.upper(), subject=subject)


def _is_request(subject: str) -> bool:
    return subject.partition(".")[2].startswith("rpc.")


def _is_stored(subject: str) -> bool:
    if subject.startswith(_STREAMS_OWN):
        return True
    return any(overlap(subject, kept) for each in topology.streams() for kept in each.subjects)


def _tells(grants: Grants, subject: str) -> bool:
    return any(overlap(subject, told) for told in grants.publish if not _is_request(told))


def _answered_by(subject: str) -> Iterator[tuple[str, str]]:
    """Who answers a request: one import cannot be for several accounts."""
    owner, _, rest = subject.partition(".")
    for service in permissions.ANSWERING if owner == "*" else (owner,):
        yield service, f"{service}.{rest}"


def _exports(imports: Mapping[str, tuple[Import, ...]]) -> dict[str, tuple[Export, ...]]:
    """What everybody imports, turned round."""
    importers: dict[tuple[str, str, str], list[str]] = {}
    for importer, wanted in imports.items():
        for each in wanted:
            importers.setdefault((each.account, each.kind, each.subject), []).append(importer)
    found: dict[str, tuple[Export, ...]] = {}
    for (account, kind, subject), to in importers.items():
        export = Export(
            kind=kind,
            subject=subject,
            to=tuple(to),
            several_answers=subject.startswith(_SEVERAL_ANSWERS),
            answer_within=_answer_within(account, kind, subject),
        )
        found[account] = (*found.get(account, ()), export)
    return found


def _answer_within(account: str, kind: str, subject: str) -> timedelta | None:
    if subject.startswith(_PULL):
        return PULL_REMEMBERED
    if kind == SERVICE and account.lower() in permissions.SLOW_ANSWERS:
        return permissions.SLOW_ANSWERS_WITHIN
    return None


def _answering_strangers(grants: Grants) -> Grants:
    """The same rights, with slow answers going where the server passes them on."""
    if grants.user not in permissions.SLOW_ANSWERS:
        return grants
    kept = (subject for subject in grants.publish if not subject.startswith("_INBOX_"))
    return msgspec.structs.replace(grants, publish=(*kept, ANSWERS))


def overlap(one: str, other: str) -> bool:
    """Whether some subject matches both patterns."""
    ones, others = one.split("."), other.split(".")
    for mine, theirs in zip(ones, others, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(ones) == len(others)
