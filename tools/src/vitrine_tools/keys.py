"""`vitrine keys`: makes or rotates every key of an installation, as Secrets for Kubernetes."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from chassis import nats_keys, signing_keys
from chassis.clock import SystemClock
from chassis.nats_keys import NEXT, SERVER, Files, Keys
from contracts.permissions import USERS
from contracts.producers import PARTIES
from contracts.topology import OLD_KEYS_ACCEPTED
from vitrine_tools import installation
from vitrine_tools.installation import Installation

DAYS = 365
SIGNING_SECRET = "vitrine-signing-{party}"  # noqa: S105 - a name
VERIFY_KEYS = "vitrine-verify-keys"
PRIVATE = signing_keys.PRIVATE_NAME
LABELS = {"app.kubernetes.io/part-of": "vitrine"}
HAND_OUT = """\
Hand it out, when `| kubectl apply -f -` has not already; then nats-server's part.
NATS in a namespace of its own, whose pods read it anew by themselves:
  {copy}
The chart's own NATS (dev.nats) beside the platform:
  {restart}
{then}
"""
AFTERWARDS = {
    nats_keys.BELIEVED: "Two minutes later every pod has the files: the second step.\n  {again}",
    nats_keys.USED: f"{OLD_KEYS_ACCEPTED.days} days from now, and not before (what was signed with "
    "the old keys may wait so long, and would be parked): the last step.\n  {again}",
    nats_keys.FORGOTTEN: "The rotation is over.",
}
"""What is left to do after each step (docs/security.md, *Rotating keys*)."""
USED_SINCE = "vitrine/keys-used-since"
"""Noted on the server's Secret by the second step: the last one may not come too soon."""


class KeysError(Exception):
    """What was read is not an installation's keys."""


def add(parser: argparse.ArgumentParser) -> None:
    installation.add(parser)
    parser.add_argument("--days", type=float, default=DAYS, help="how long certificates are good")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name of nats-server, or an address of it; a rotation keeps those it has",
    )
    parser.add_argument(
        "--rotate",
        action="store_true",
        help="read the keys in use (kubectl get secrets,configmaps -o json) from standard input "
        "and take the next of three steps that replace them all",
    )
    parser.add_argument(
        "--force", action="store_true", help="take the last step although it is too early for it"
    )
    parser.add_argument(
        "--rights",
        action="store_true",
        help="read the same, and write anew what nats-server is told about everybody's rights: "
        "for a release that changes them; no key changes",
    )


def run(given: argparse.Namespace) -> None:
    """Print every object as YAML for `kubectl apply -f -`; on a rotation say what comes next."""
    if given.rotate and given.rights:
        raise KeysError("a rotation writes the rights as well: --rights is for keys that stay")
    here = installation.of(given)
    if given.rotate:
        made = _rotated(_read(sys.stdin), given, here)
    elif given.rights:
        made = _with_rights(_read(sys.stdin), here)
    else:
        hosts = (*here.server_names(), *given.host)
        keys = nats_keys.make(hosts, SystemClock().now(), timedelta(days=given.days))
        made = State({**_of_nats(keys, here), **_of_signing()})
    sys.stdout.write("".join(_documents(made, here)))


Objects = dict[tuple[str, str], Files]
"""By kind and name."""


class State(NamedTuple):
    """Of an installation's keys."""

    objects: Objects
    used_since: datetime | None = None
    """When the second step of a rotation was taken; None: nobody noted it."""


def _of_nats(keys: Keys, here: Installation) -> Objects:
    return {("Secret", here.secret(user)): files for user, files in keys.items()}


def _of_signing() -> Objects:
    objects: Objects = {}
    public: dict[str, bytes] = {}
    for party in PARTIES:
        made = signing_keys.new_key(party)
        name = SIGNING_SECRET.format(party=party)
        objects["Secret", name] = {PRIVATE: made.private_pem.encode()}
        public[made.public_name] = made.public_pem.encode()
    return {**objects, ("ConfigMap", VERIFY_KEYS): public}


def _rotated(before: State, given: argparse.Namespace, here: Installation) -> State:
    now = SystemClock().now()
    keys = _nats_keys(before.objects, here)
    hosts = (*here.server_names(), *given.host)
    step = nats_keys.rotate(keys, hosts, now, timedelta(days=given.days))
    if given.host and step.done != nats_keys.BELIEVED:
        raise KeysError("--host counts in the first step of a rotation, and this is a later one")
    if step.done == nats_keys.FORGOTTEN and not given.force:
        _check_patience(before.used_since, now)
    sys.stderr.write(f"With this {step.done}.\n{_afterwards(step.done, here)}")
    objects = {**_of_nats(step.keys, here), **_signing_rotated(before.objects)}
    return State(objects, now if step.done == nats_keys.USED else None)


def _check_patience(since: datetime | None, now: datetime) -> None:
    if since is None:
        raise KeysError(
            f"nothing notes when the second step was taken ({USED_SINCE}, which the server's "
            f"Secret lost or never had). Use --force once {OLD_KEYS_ACCEPTED.days} days have "
            "passed since then: what was signed with the old keys would be parked"
        )
    until = since + OLD_KEYS_ACCEPTED
    if now < until:
        raise KeysError(
            f"too early: the new keys are in use since {since:%Y-%m-%d %H:%M} UTC. What "
            f"was signed with the old ones may wait until {until:%Y-%m-%d %H:%M} UTC, and would be "
            "parked. --force forgets them all the same"
        )


def _with_rights(before: State, here: Installation) -> State:
    """Only nats-server's Secret."""
    keys = nats_keys.with_rights(_nats_keys(before.objects, here))
    return State({("Secret", here.secret(SERVER)): keys[SERVER]}, before.used_since)


def _nats_keys(objects: Objects, here: Installation) -> Keys:
    return {user: _found(objects, "Secret", here.secret(user)) for user in (*USERS, SERVER)}


def _afterwards(done: str, here: Installation) -> str:
    commands = here.commands(SERVER)
    return HAND_OUT.format(**commands, then=AFTERWARDS[done].format(**commands))


def _signing_rotated(before: Objects) -> Objects:
    """The same three steps: accept the next key, sign with it, accept the one before no more."""
    public = dict(_found(before, "ConfigMap", VERIFY_KEYS))
    objects: Objects = {}
    for party in PARTIES:
        name = SIGNING_SECRET.format(party=party)
        files = dict(_found(before, "Secret", name))
        own = {each for each in public if each.startswith(f"{party}.")}
        if NEXT + PRIVATE in files:
            files = {PRIVATE: files[NEXT + PRIVATE]}
        elif len(own) > 1:
            for old in own - {f"{party}.{_key_id(files[PRIVATE])}.pub"}:
                del public[old]
        else:
            made = signing_keys.new_key(party)
            files[NEXT + PRIVATE] = made.private_pem.encode()
            public[made.public_name] = made.public_pem.encode()
        objects["Secret", name] = files
    return {**objects, ("ConfigMap", VERIFY_KEYS): public}


def _key_id(private_pem: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=PRIVATE) as file:
        file.write(private_pem)
        file.flush()
        return signing_keys.read_private(Path(file.name)).id


def _read(source: TextIO) -> State:
    try:
        items = json.load(source)["items"]
        objects = {(each["kind"], each["metadata"]["name"]): _content(each) for each in items}
        noted = [(each["metadata"].get("annotations") or {}).get(USED_SINCE) for each in items]
        moments = [datetime.fromisoformat(each) for each in noted if each]
    except (ValueError, KeyError, TypeError) as error:
        raise KeysError(
            "standard input is not what `kubectl get secrets,configmaps -o json` prints"
        ) from error
    if any(each.tzinfo is None for each in moments):
        raise KeysError(
            f"{USED_SINCE} does not say in which zone: write the moment with +00:00, for UTC"
        )
    return State(objects, max((each.astimezone(UTC) for each in moments), default=None))


def _content(item: Mapping[str, Mapping[str, str]]) -> Files:
    data = item.get("data") or {}
    if str(item["kind"]) == "ConfigMap":
        return {name: text.encode() for name, text in data.items()}
    return {name: base64.b64decode(text) for name, text in data.items()}


def _found(objects: Objects, kind: str, name: str) -> Files:
    try:
        return objects[kind, name]
    except KeyError:
        raise KeysError(f"there is no {kind} {name} to rotate") from None


def _documents(made: State, here: Installation) -> Iterator[str]:
    for (kind, name), files in made.objects.items():
        secret = kind == "Secret"
        metadata: dict[str, Any] = {"name": name, "namespace": here.namespace, "labels": LABELS}
        if made.used_since is not None and name == here.secret(SERVER):
            metadata["annotations"] = {USED_SINCE: made.used_since.isoformat(timespec="seconds")}
        written = {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": metadata,
            **({"type": "Opaque"} if secret else {}),
            "data": {
                file: base64.b64encode(content).decode() if secret else content.decode()
                for file, content in sorted(files.items())
            },
        }
        # One object a document; JSON is YAML.
        yield f"---\n{json.dumps(written, indent=2)}\n"
