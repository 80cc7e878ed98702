"""The core's configuration: the operator's, with people, statistics and a private API added."""

from __future__ import annotations

import copy
import hashlib
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec

from vpn.adapters.core.client import V2RAY, CoreUser
from vpn.agent import core_targets
from vpn.agent.core_targets import LOOPBACK, Limits

API_TAG = "vitrine-api"
OLD_FORMS = ("inbound", "inboundDetour", "outbound", "outboundDetour")
"""V2Ray still reads them; the rules that refuse know only of `inbounds` and `outbounds`."""


class BaseConfigError(Exception):
    """The operator's configuration cannot be used; the sentence says why."""


def plain_base(host: str, port: int, tag: str) -> dict[str, Any]:
    """Return VLESS over plain TCP: for tests and for trying out, behind no TLS of its own."""
    inbound = {
        "tag": tag,
        "listen": host,
        "port": port,
        "protocol": "vless",
        "settings": {"decryption": "none", "clients": []},
        "streamSettings": {"network": "tcp"},
    }
    return {"inbounds": [inbound], "outbounds": [{"protocol": "freedom", "tag": "direct"}]}


def read_base(path: Path, tag: str) -> dict[str, Any]:
    """Return the operator's configuration, checked to have the inbound that people use."""
    try:
        base = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise BaseConfigError(f"{path}: {error}") from error
    if not isinstance(base, dict):
        raise BaseConfigError(f"{path}: not an object")
    for old in OLD_FORMS:
        if old in base:
            raise BaseConfigError(f"{path}: {old!r} is the old form: use inbounds and outbounds")
    inbound = _inbound(base, tag)
    if inbound.get("protocol") != "vless":
        raise BaseConfigError(f"{path}: inbound {tag!r} is not vless")
    return base


def inbound_port(base: dict[str, Any], tag: str) -> int:
    """Return the port people connect to: the one whose connections may be cut."""
    port = _inbound(base, tag).get("port")
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdecimal():
        return int(port)
    raise BaseConfigError(f"inbound {tag!r} has no single port")


def has_clients(base: dict[str, Any], tag: str) -> bool:
    """Return whether the operator lets people pass whom the control plane knows nothing of."""
    return bool(_inbound(base, tag).get("settings", {}).get("clients"))


def _inbound(base: dict[str, Any], tag: str) -> dict[str, Any]:
    for inbound in base.get("inbounds", ()):
        if isinstance(inbound, dict) and inbound.get("tag") == tag:
            return inbound
    raise BaseConfigError(f"no inbound has the tag {tag!r}")


class Template:
    """Renders configurations that differ in people and API port alone."""

    def __init__(
        self,
        base: dict[str, Any],
        *,
        kind: str,
        tag: str,
        access_log: Path | None,
        limits: Limits,
    ) -> None:
        self._base = base
        self._kind = kind
        self._tag = tag
        self._access_log = access_log
        self._limits = limits

    @property
    def ports(self) -> int:
        """How many loopback ports the core needs for itself."""
        return 1 + core_targets.doors(self._base, self._kind, self._limits)

    def fingerprint(self, binary: str) -> str:
        """Return what changes when a running core was started from something else."""
        rendered = self._render((), range(self.ports), UUID(int=0)) + binary.encode()
        return hashlib.blake2b(rendered, digest_size=16).hexdigest()

    def render(self, users: Iterable[CoreUser], ports: Sequence[int]) -> bytes:
        """Return the configuration; the first port is the API's."""
        return self._render(users, ports, uuid4())

    def _render(self, users: Iterable[CoreUser], ports: Sequence[int], key: UUID) -> bytes:
        api_port, *again = ports
        config = copy.deepcopy(self._base)
        settings = _inbound(config, self._tag).setdefault("settings", {})
        ours = [_client(user) for user in users]
        emails = {client["email"] for client in ours}
        theirs = [one for one in settings.get("clients", ()) if one.get("email") not in emails]
        settings["clients"] = theirs + ours
        config["stats"] = config.get("stats", {})
        self._add_policy(config)
        self._add_log(config)
        core_targets.guard(config, api_port, self._limits, kind=self._kind, again=again, key=key)
        self._add_api(config, api_port)
        if self._kind != V2RAY and self._limits.allow_private:
            for outbound in config.get("outbounds", ()):
                if outbound.get("protocol") == "freedom":
                    settings = outbound.setdefault("settings", {})
                    settings["finalRules"] = [{"action": "allow"}]
        return msgspec.json.encode(config)

    def _add_policy(self, config: dict[str, Any]) -> None:
        levels = config.setdefault("policy", {}).setdefault("levels", {})
        level = levels.setdefault("0", {})
        level["statsUserUplink"] = level["statsUserDownlink"] = True
        if self._kind != V2RAY:
            level["statsUserOnline"] = True

    def _add_log(self, config: dict[str, Any]) -> None:
        # Where people went must never be on a disk: the access log goes into a pipe or nowhere.
        settings = config.setdefault("log", {})
        settings.setdefault("loglevel", "warning")
        settings["access"] = str(self._access_log) if self._access_log else "none"

    def _add_api(self, config: dict[str, Any], port: int) -> None:
        services = ["HandlerService", "StatsService"]
        if self._kind != V2RAY:
            config["api"] = {
                "tag": API_TAG,
                "listen": f"{LOOPBACK}:{port}",
                "services": services,
            }
            return
        config["api"] = {"tag": API_TAG, "services": services}
        config["inbounds"].append(
            {
                "tag": API_TAG,
                "listen": LOOPBACK,
                "port": port,
                "protocol": "dokodemo-door",
                "settings": {"address": LOOPBACK},
            }
        )
        rule = {"type": "field", "inboundTag": [API_TAG], "outboundTag": API_TAG}
        config.setdefault("routing", {}).setdefault("rules", []).insert(0, rule)


def _client(user: CoreUser) -> dict[str, Any]:
    client: dict[str, Any] = {"id": str(user.key), "email": user.email, "level": 0}
    if user.flow:
        client["flow"] = user.flow
    return client


def free_loopback_ports(count: int) -> list[int]:
    """Return ports nobody listens on now; a core that finds one taken is started with others."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
