"""Where everything of a running platform answers: one table, for people and for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from chassis.identity import Identity
from contracts.producers import OPERATOR
from devstack import nats_security
from devstack.ports import LOOPBACK
from devstack.settings import Settings, write_private

FILE_NAME = "urls.json"
TELEGRAM_API = "https://api.telegram.org"
TELEGRAM_CHAT = "https://t.me"
DATABASE = "vitrine"


class Port(IntEnum):
    """Distances from VITRINE_PORT_BASE."""

    TELEGRAM = 0
    COMFYUI = 1
    NATS = 2
    NATS_MONITORING = 3
    DATABASE = 4
    TRACES = 5
    CRYPTO_PAY = 6
    PAYMENT_WEBHOOKS = 7
    YOOKASSA = 8
    GATEWAY = 10
    BILLING = 11
    SCHEDULER = 12
    VPN = 13
    VPN_LINKS = 14
    GENERATOR = 20  # and upwards, one per ComfyUI server
    GATEWAY_MORE = 30  # and upwards, one per further replica
    WEBHOOK = 35  # and upwards, one per replica
    VPN_NODE = 40  # and upwards, one per node: the agent's API, mutual TLS
    VPN_NODE_HEALTH = 45  # the same
    VPN_NODE_PUBLIC = 50  # the same: VLESS


PORTS = 55
"""How many a platform may use, from its base upwards."""


@dataclass(frozen=True, slots=True)
class Urls:
    chat: str
    telegram_api: str
    telegram_control: str  # empty with a real bot
    comfyui: tuple[str, ...]
    nats: str
    nats_monitoring: str  # empty with a NATS of one's own
    nats_tls_dir: str  # of the operator; empty with a NATS of one's own
    nats_seed_file: str  # the same
    database: str
    traces: str
    crypto_pay: str  # the pay page of the stand-in; unused with a real app
    yookassa: str  # the same
    payment_webhooks: str
    vpn_links: str
    vpn_node: str  # the agent of the first node
    health: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "chat": self.chat,
            "telegram_api": self.telegram_api,
            "telegram_control": self.telegram_control,
            "comfyui": self.comfyui[0],
            "comfyui_servers": list(self.comfyui),
            "nats": self.nats,
            "nats_monitoring": self.nats_monitoring,
            "nats_tls_dir": self.nats_tls_dir,
            "nats_seed_file": self.nats_seed_file,
            "database": self.database,
            "traces": self.traces,
            "crypto_pay": self.crypto_pay,
            "yookassa": self.yookassa,
            "payment_webhooks": self.payment_webhooks,
            "vpn_links": self.vpn_links,
            "vpn_node": self.vpn_node,
            "health": dict(self.health),
        }

    def write(self, state_dir: Path) -> None:
        # Private: the database URL carries a password.
        write_private(state_dir / FILE_NAME, json.dumps(self.as_json(), indent=2) + "\n")


def plan(settings: Settings, database: str) -> Urls:
    """Every address, decided before anything is started; `database` is our own Postgres's DSN."""

    def at(port: int) -> str:
        return f"http://{LOOPBACK}:{settings.port_base + port}"

    operator = Identity(user=OPERATOR)
    if not settings.nats_url:
        operator = nats_security.identity(settings.state_dir, OPERATOR)
    telegram = at(Port.TELEGRAM)
    comfyui = settings.comfyui_urls or (at(Port.COMFYUI),)
    health = {numbered("gateway", 0, settings.gateways): at(Port.GATEWAY)}
    for number in range(1, settings.gateways):
        health[numbered("gateway", number, settings.gateways)] = at(Port.GATEWAY_MORE + number)
    health |= {
        "billing": at(Port.BILLING),
        "scheduler": at(Port.SCHEDULER),
        "vpn": at(Port.VPN),
    }
    for number, _ in enumerate(comfyui):
        health[numbered("generator", number, len(comfyui))] = at(Port.GENERATOR + number)
    return Urls(
        chat=TELEGRAM_CHAT if settings.bot_token else telegram,
        telegram_api=TELEGRAM_API if settings.bot_token else telegram,
        telegram_control="" if settings.bot_token else f"{telegram}/control",
        comfyui=comfyui,
        nats=settings.nats_url or f"tls://{LOOPBACK}:{settings.port_base + Port.NATS}",
        nats_monitoring="" if settings.nats_url else at(Port.NATS_MONITORING),
        nats_tls_dir=operator.tls_dir,
        nats_seed_file=operator.seed_file,
        database=settings.database_url or database,
        traces=at(Port.TRACES),
        crypto_pay=at(Port.CRYPTO_PAY),
        yookassa=at(Port.YOOKASSA),
        payment_webhooks=at(Port.PAYMENT_WEBHOOKS),
        vpn_links=at(Port.VPN_LINKS),
        vpn_node=at(Port.VPN_NODE).replace("http:", "https:"),
        health=health,
    )


def numbered(service: str, number: int, count: int) -> str:
    """The name of one of several processes of a service; a single one is just the service."""
    return service if count == 1 else f"{service}-{number + 1}"


def read(state_dir: Path) -> dict[str, Any]:
    """What the running platform wrote; FileNotFoundError when none ever ran."""
    content: dict[str, Any] = json.loads((state_dir / FILE_NAME).read_text())
    return content
