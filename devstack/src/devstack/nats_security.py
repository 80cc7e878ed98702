"""The platform's own NATS: keys made once per state folder, rights written at every start."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from chassis import nats_accounts, nats_keys
from chassis.clock import SystemClock
from chassis.identity import Identity
from contracts.accounts import SHARED
from devstack.ports import LOOPBACK
from devstack.settings import write_private

FOLDER = "nats-keys"
TESTS = "tests"
"""A user of the devstack alone, with every right: tests play strangers, services and people."""
LIFETIME = timedelta(days=365)
RENEW_SECONDS = 300 * 24 * 3600
HOSTS = (LOOPBACK, "localhost")
KNOWN_FILE = "users.json"


class Security(NamedTuple):
    """What a nats-server is started with."""

    tls_dir: Path
    accounts: str


def prepare(state_dir: Path, mode: str = SHARED) -> Security:
    """Make keys where there are none, or they grow old; return the server's part of them.

    `mode`: of the accounts (contracts.accounts).
    """
    known = _known(state_dir / FOLDER / KNOWN_FILE)
    if not all(user in known for user in (*nats_keys.users(), TESTS)):
        made = nats_keys.make(HOSTS, SystemClock().now(), LIFETIME, more_users=[TESTS])
        known = remember(state_dir, made)
    accounts = nats_accounts.block(known, [TESTS], mode)
    return Security(state_dir / FOLDER / nats_keys.SERVER, accounts)


def _known(file: Path) -> Mapping[str, list[str]]:
    """Everybody's public keys; kept apart because to compute them costs a start 50 ms."""
    if not file.exists() or time.time() - file.stat().st_mtime > RENEW_SECONDS:
        return {}
    known: dict[str, list[str]] = json.loads(file.read_text())
    return known


def remember(state_dir: Path, keys: nats_keys.Keys) -> Mapping[str, list[str]]:
    """Write everybody's files; return the public keys that the server is to know."""
    folder = state_dir / FOLDER
    nats_keys.write(folder, keys)
    known = nats_keys.public_keys(keys)
    write_private(folder / KNOWN_FILE, json.dumps(known, indent=2))
    return known


def identity(state_dir: Path, user: str = TESTS) -> Identity:
    """Who a program of the devstack is to the platform's own NATS."""
    return Identity.in_folder(state_dir / FOLDER / user, user)


def options(known: Identity) -> dict[str, Any]:
    """The same for a plain nats-py client."""
    return {
        "tls": known.tls_context(),
        "nkeys_seed": known.seed_file,
        "inbox_prefix": known.inbox_prefix,
    }


def settings_of(state_dir: Path, user: str) -> Mapping[str, str]:
    """The settings that make a process this user, without their prefix."""
    known = identity(state_dir, user)
    return {"NATS_TLS_DIR": known.tls_dir, "NATS_SEED_FILE": known.seed_file}
