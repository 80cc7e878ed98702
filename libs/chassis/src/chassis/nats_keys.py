"""Makes what NATS and its users are known by: certificates, user keys, and the server's accounts.

The authority's own key is thrown away once it has signed: a renewal makes another authority, and
for a while both are believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from chassis import nats_accounts, nkey
from chassis.identity import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, SEED_FILE
from contracts import permissions

SERVER = "server"
NEXT = "next."
"""Before the name of a file that takes the place of another at the next step of a rotation."""
PREVIOUS_SEED = f"previous.{SEED_FILE}"
"""Of a user whose processes may not all have read the new one yet."""
AUTHORITY_NAME = "Vitrine NATS"
_END = b"-----END CERTIFICATE-----\n"

Files = Mapping[str, bytes]
"""By name, as they lie in a folder or a Secret."""
Keys = Mapping[str, Files]
"""By user; and those of the server."""


BELIEVED = "the new authority and keys are believed, not yet used"
USED = "the new certificates and keys are in use"
FORGOTTEN = "the old authority and keys are forgotten"


class Step(NamedTuple):
    """A step of a rotation: everybody's files after it, and what has been done."""

    keys: Keys
    done: str


def users() -> tuple[str, ...]:
    """Return everybody who has a key on every platform."""
    return permissions.USERS


def make(
    hosts: Sequence[str],
    now: datetime,
    lifetime: timedelta,
    *,
    more_users: Sequence[str] = (),
) -> Keys:
    """Make everybody's files anew. `hosts`: what clients call the server, names or addresses."""
    issuing = _Issuing(now, lifetime)
    keys = {
        user: {
            AUTHORITY_FILE: issuing.authority,
            **issuing.client(user),
            SEED_FILE: nkey.new_seed().encode(),
        }
        for user in (*permissions.USERS, *more_users)
    }
    keys[SERVER] = {AUTHORITY_FILE: issuing.authority, **issuing.server(hosts)}
    return with_rights(keys)


def rotate(keys: Keys, hosts: Sequence[str], now: datetime, lifetime: timedelta) -> Step:
    """Take the next of three steps; between them every process and the server read their files.

    1. All believe the next authority and know the next keys, which wait beside those in use.
    2. The next ones are used; what was before them is still believed.
    3. What was before is forgotten.

    The server keeps the names it has; `hosts` are further ones, for the first step.
    """
    if any(name.startswith(NEXT) for name in keys[SERVER]):
        return Step(with_rights(_switched(keys)), USED)
    if len(_certificates(keys[SERVER][AUTHORITY_FILE])) > 1:
        newest = {AUTHORITY_FILE: _certificates(keys[SERVER][AUTHORITY_FILE])[0]}
        finished = {user: {**_without_previous(files), **newest} for user, files in keys.items()}
        return Step(with_rights(finished), FORGOTTEN)
    issuing = _Issuing(now, lifetime)
    names = _server_names(keys[SERVER], hosts)
    believed = issuing.authority + keys[SERVER][AUTHORITY_FILE]
    prepared: dict[str, Files] = {}
    for user, files in keys.items():
        coming = issuing.server(names) if user == SERVER else issuing.client(user)
        if user != SERVER:
            coming[SEED_FILE] = nkey.new_seed().encode()
        waiting = {f"{NEXT}{name}": content for name, content in coming.items()}
        prepared[user] = {**files, AUTHORITY_FILE: believed, **waiting}
    return Step(with_rights(prepared), BELIEVED)


def _server_names(files: Files, more: Sequence[str]) -> list[str]:
    from chassis.authority import names_of

    return list(dict.fromkeys((*names_of(files[CERTIFICATE_FILE]), *more)))


def _switched(keys: Keys) -> Keys:
    switched = {}
    for user, files in keys.items():
        coming = {
            name.removeprefix(NEXT): content
            for name, content in files.items()
            if name.startswith(NEXT)
        }
        stays = {name: content for name, content in files.items() if not name.startswith(NEXT)}
        if user != SERVER:
            stays[PREVIOUS_SEED] = files[SEED_FILE]
        switched[user] = {**stays, **coming}
    return switched


def _without_previous(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != PREVIOUS_SEED}


def with_rights(keys: Keys) -> Keys:
    """Write anew what the server is told about everybody's rights; all keys stay."""
    known = public_keys(keys)
    written = {
        file: nats_accounts.block(known, mode=mode).encode()
        for mode, file in nats_accounts.FILES.items()
    }
    return {**keys, SERVER: {**keys[SERVER], **written}}


def public_keys(keys: Keys) -> dict[str, list[str]]:
    """By user: of every seed that is, was a moment ago, or is about to be in use."""
    names = (SEED_FILE, PREVIOUS_SEED, NEXT + SEED_FILE)
    return {
        user: [nkey.public_key(files[name].decode()) for name in names if name in files]
        for user, files in keys.items()
        if user != SERVER
    }


class _Issuing:
    """One authority, for as long as it takes to sign."""

    def __init__(self, now: datetime, lifetime: timedelta) -> None:
        from chassis.authority import Authority  # cryptography's X.509 costs a start 0.1 s

        self._now = now
        self._lifetime = lifetime
        self._authority = Authority.new(AUTHORITY_NAME, now, lifetime)
        self.authority = self._authority.certificate

    def client(self, user: str) -> dict[str, bytes]:
        from chassis.authority import CLIENT

        made = self._authority.issue(user, (user,), [CLIENT], self._now, self._lifetime)
        return {CERTIFICATE_FILE: made.certificate, KEY_FILE: made.key}

    def server(self, hosts: Sequence[str]) -> dict[str, bytes]:
        from chassis.authority import CLIENT
        from chassis.authority import SERVER as SERVING

        # Servers of a cluster are each other's clients.
        made = self._authority.issue(hosts[0], hosts, [SERVING, CLIENT], self._now, self._lifetime)
        return {CERTIFICATE_FILE: made.certificate, KEY_FILE: made.key}


def _certificates(bundle: bytes) -> list[bytes]:
    return [each + _END for each in bundle.split(_END) if each.strip()]


def write(folder: Path, keys: Keys) -> None:
    """Write everybody's files, one folder each, for the owner's eyes alone."""
    for user, files in keys.items():
        place = folder / user
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content in files.items():
            draft = place / f".{name}.new"
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_bytes(content)
            draft.replace(place / name)
        for old in place.iterdir():
            if old.name not in files:
                old.unlink()


def read(folder: Path) -> Keys:
    """Read back what `write` wrote."""
    return {
        place.name: {file.name: file.read_bytes() for file in place.iterdir()}
        for place in folder.iterdir()
        if place.is_dir()
    }
