"""`vitrine keys`: makes or rotates every key of an installation, as Secrets for Kubernetes."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

from chassis import nats_keys, signing_keys
from chassis.clock import SystemClock
from chassis.nats_keys import NEXT, SERVER, Files, Keys
from contracts.permissions import USERS
from contracts.producers import PARTIES
from contracts.topology import OLD_KEYS_ACCEPTED

DAYS = 365
NATS_SECRET = "vitrine-nats-{user}"  # noqa: S105 - a name
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
COPY = (
    "kubectl -n {namespace} get secret vitrine-nats-server -o json "
    "| jq '.metadata |= {{name}}' | kubectl -n nats apply -f -"
)
RESTART = "kubectl -n {namespace} rollout restart statefulset/vitrine-nats"
AGAIN = (
    "kubectl -n {namespace} get secrets,configmaps -o json "
    "| vitrine keys --namespace {namespace} --rotate | kubectl apply -f -"
)
AFTERWARDS = {
    nats_keys.BELIEVED: "Two minutes later every pod has the files: the second step.\n  {again}",
    nats_keys.USED: f"{OLD_KEYS_ACCEPTED.days} days from now, and not before (what was signed with "
    "the old keys may wait so long, and would be parked): the last step.\n  {again}",
    nats_keys.FORGOTTEN: "The rotation is over.",
}
"""What is left to do after each step (docs/security.md, *Rotating keys*)."""


class KeysError(Exception):
    """What was read is not an installation's keys."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", required=True, help="where Vitrine runs")
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


def run(given: argparse.Namespace) -> None:
    """Print every object as YAML for `kubectl apply -f -`; on a rotation say what comes next."""
    now, lifetime = SystemClock().now(), timedelta(days=given.days)
    if given.rotate:
        objects = _rotated(sys.stdin, given, now, lifetime)
    else:
        hosts = (*server_names(given.namespace), *given.host)
        objects = {**_of_nats(nats_keys.make(hosts, now, lifetime)), **_of_signing()}
    sys.stdout.write("".join(_documents(objects, given.namespace)))


def server_names(namespace: str) -> tuple[str, ...]:
    """What clients call nats-server: that of the chart for laptops, and that of its own chart."""
    ours = [f"vitrine-nats.{namespace}"]
    return (
        "localhost",
        "127.0.0.1",
        "vitrine-nats",
        "nats",
        *(f"{place}{end}" for place in (*ours, "nats.nats") for end in ("", *_CLUSTER_ENDS)),
        *(f"*.nats-headless.nats{end}" for end in ("", *_CLUSTER_ENDS)),
        *(f"nats-headless.nats{end}" for end in ("", *_CLUSTER_ENDS)),
    )


_CLUSTER_ENDS = (".svc", ".svc.cluster.local")
Objects = dict[tuple[str, str], Files]
"""By kind and name."""


def _of_nats(keys: Keys) -> Objects:
    return {("Secret", NATS_SECRET.format(user=user)): files for user, files in keys.items()}


def _of_signing() -> Objects:
    objects: Objects = {}
    public: dict[str, bytes] = {}
    for party in PARTIES:
        made = signing_keys.new_key(party)
        name = SIGNING_SECRET.format(party=party)
        objects["Secret", name] = {PRIVATE: made.private_pem.encode()}
        public[made.public_name] = made.public_pem.encode()
    return {**objects, ("ConfigMap", VERIFY_KEYS): public}


def _rotated(
    source: TextIO, given: argparse.Namespace, now: datetime, lifetime: timedelta
) -> Objects:
    before = _read(source)
    keys = {
        user: _found(before, "Secret", NATS_SECRET.format(user=user)) for user in (*USERS, SERVER)
    }
    hosts = (*server_names(given.namespace), *given.host)
    step = nats_keys.rotate(keys, hosts, now, lifetime)
    if given.host and step.done != nats_keys.BELIEVED:
        raise KeysError("--host counts in the first step of a rotation, and this is a later one")
    sys.stderr.write(f"With this {step.done}.\n{_afterwards(step.done, given.namespace)}")
    return {**_of_nats(step.keys), **_signing_rotated(before)}


def _afterwards(done: str, namespace: str) -> str:
    copy, restart, again = (each.format(namespace=namespace) for each in (COPY, RESTART, AGAIN))
    return HAND_OUT.format(copy=copy, restart=restart, then=AFTERWARDS[done].format(again=again))


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


def _read(source: TextIO) -> Objects:
    try:
        items = json.load(source)["items"]
        return {(each["kind"], each["metadata"]["name"]): _content(each) for each in items}
    except (ValueError, KeyError, TypeError) as error:
        raise KeysError(
            "standard input is not what `kubectl get secrets,configmaps -o json` prints"
        ) from error


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


def _documents(objects: Objects, namespace: str) -> Iterator[str]:
    for (kind, name), files in objects.items():
        secret = kind == "Secret"
        written = {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": LABELS},
            **({"type": "Opaque"} if secret else {}),
            "data": {
                file: base64.b64encode(content).decode() if secret else content.decode()
                for file, content in sorted(files.items())
            },
        }
        # One object a document; JSON is YAML.
        yield f"---\n{json.dumps(written, indent=2)}\n"
