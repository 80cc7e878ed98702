"""The processes of the platform as plain data: what is started, with which environment.

Values of the caller's own environment win, so `BILLING_LOG_LEVEL=debug make up` works.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from devstack import nats_security, signing, vpn_node
from devstack.ports import LOOPBACK
from devstack.settings import REPOSITORY, Passwords, Settings
from devstack.urls import Port, Urls, numbered

# The simulator takes any token; this one looks like a real one to the client library.
SIMULATED_BOT_TOKEN = "1000000001:simulated-bot-of-the-vitrine-devstack"  # noqa: S105
SIMULATED_SHOP_ID = "506751"
SIMULATED_SHOP_SECRET = "test_simulated-secret-of-the-devstack"  # noqa: S105
SIMULATED_CRYPTO_PAY_TOKEN = "12345:AAsimulated-crypto-pay-of-the-devstack"  # noqa: S105
WEBHOOK_SEGMENT = "payment webhooks"
"""Names the secret part of the path that payment providers post to."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_url: str = ""
    """Answers 200 once the child is at work; empty: nobody waits for it."""
    migrate_command: Sequence[str] = ()
    """Runs to its end before every start of the platform."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything the supervisor starts, Postgres and nats-server apart."""

    stand_ins: Sequence[Child]
    """Need nothing, so they start at once."""
    bootstrap: Child
    """Runs to its end once NATS answers."""
    services: Sequence[Child]
    """Start when bootstrap and every migration are done."""


def platform(settings: Settings, urls: Urls, passwords: Passwords) -> Platform:
    signing.prepare(settings.state_dir)
    if not settings.nats_url:
        # Before services start: on the second start they do not wait for the server.
        nats_security.prepare(settings.state_dir)
    return Platform(
        stand_ins=stand_ins(settings, urls, passwords),
        bootstrap=Child(
            "bootstrap",
            module("chassis.bootstrap"),
            {"NATS_URL": urls.nats, **nats_user(settings, "bootstrap")},
        ),
        services=services(settings, urls, passwords),
    )


def module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def stand_ins(settings: Settings, urls: Urls, passwords: Passwords) -> list[Child]:
    """What replaces the outside world, and the collector of traces."""
    traces = Child(
        name="traces",
        command=module("devstack.traces", "--port", port_of(urls.traces)),
        ready_url=f"{urls.traces}/healthz",
    )
    found = [traces]
    if not settings.bot_token:
        state = settings.state_dir / "telegram"
        state.mkdir(parents=True, exist_ok=True)
        found.append(
            Child(
                name="telegram",
                command=module(
                    "simulators.telegram",
                    *("--port", port_of(urls.telegram_api)),
                    *("--token", SIMULATED_BOT_TOKEN),
                    *("--state", str(state / "state.json")),
                ),
                ready_url=f"{urls.telegram_control}/users",
            )
        )
    if not settings.comfyui_urls:
        found.append(
            Child(
                name="comfyui",
                command=module(
                    "simulators.comfyui",
                    *("--port", port_of(urls.comfyui[0])),
                    *("--data-dir", str(settings.state_dir / "comfyui")),
                ),
                ready_url=f"{urls.comfyui[0]}/system_stats",
            )
        )
    found += vpn_node_agents(settings)
    return found + payment_providers(settings, urls, passwords)


def vpn_node_agents(settings: Settings) -> list[Child]:
    """Nodes are not waited for: a first start may have to fetch their core."""
    folder = vpn_node.prepare(settings)
    found = vpn_node.nodes(settings)
    return [
        Child(
            name=numbered("vpn-node", number, len(found)),
            command=module("devstack.vpn_node"),
            environment=prefixed("vpn_agent", of_agent(node, folder)),
        )
        for number, node in enumerate(found)
    ]


def of_agent(node: vpn_node.Node, folder: Path) -> dict[str, str]:
    return {
        "NODE": node.name,
        "STATE_FOLDER": str(folder / node.name),
        "LISTEN_HOST": LOOPBACK,
        "LISTEN_PORT": str(node.agent_port),
        "HEALTH_PORT": str(node.health_port),
        "VLESS_HOST": LOOPBACK,
        "VLESS_PORT": str(node.vless_port),
        "CERTIFICATE": str(folder / f"{node.name}.crt"),
        "KEY": str(folder / f"{node.name}.key"),
        "CA": str(folder / "ca.crt"),
        "ALLOW_PRIVATE_TARGETS": "true",
        # A platform that was stopped leaves nothing behind.
        "KEEP_CORE": "false",
        "LOG_FORMAT": "json",
    }


def payment_providers(settings: Settings, urls: Urls, passwords: Passwords) -> list[Child]:
    """Those a customer pays at, in the browser; each tells billing by webhook."""
    segment = passwords.of(WEBHOOK_SEGMENT)
    found = []
    if not settings.crypto_pay_token:
        state = settings.state_dir / "crypto_pay"
        state.mkdir(parents=True, exist_ok=True)
        found.append(
            Child(
                name="crypto_pay",
                command=module(
                    "simulators.crypto_pay",
                    *("--port", port_of(urls.crypto_pay)),
                    *("--token", SIMULATED_CRYPTO_PAY_TOKEN),
                    *("--webhook-url", f"{urls.payment_webhooks}/pay/crypto_pay/{segment}"),
                    *("--state", str(state / "state.sqlite")),
                ),
                ready_url=f"{urls.crypto_pay}/health",
            )
        )
    if not settings.yookassa_shop_id:
        state = settings.state_dir / "yookassa"
        state.mkdir(parents=True, exist_ok=True)
        found.append(
            Child(
                name="yookassa",
                command=module(
                    "simulators.yookassa",
                    *("--port", port_of(urls.yookassa)),
                    *("--shop-id", SIMULATED_SHOP_ID),
                    *("--secret", SIMULATED_SHOP_SECRET),
                    *("--webhook-url", f"{urls.payment_webhooks}/pay/yookassa/{segment}"),
                    *("--state", str(state / "state.sqlite")),
                ),
                ready_url=f"{urls.yookassa}/health",
            )
        )
    return found


def services(settings: Settings, urls: Urls, passwords: Passwords) -> list[Child]:
    """The five services: as many gateways as asked for, one generator per ComfyUI server."""
    found = [gateway(settings, urls, passwords, number) for number in range(settings.gateways)]
    found.append(billing(settings, urls, passwords))
    found.append(with_database("scheduler", "scheduler", settings, urls, passwords))
    found.append(vpn(settings, urls, passwords))
    for number, server in enumerate(urls.comfyui):
        name = numbered("generator", number, len(urls.comfyui))
        values = {
            **common(settings, urls, urls.health[name]),
            **nats_user(settings, "generator"),
            **signing.settings_of(settings.state_dir, "generator"),
            "COMFYUI_URL": server,
        }
        found.append(
            Child(
                name=name,
                command=module("generator"),
                environment=prefixed("generator", values),
                # With its ComfyUI: who starts a shop wants to be told of one that is away.
                ready_url=f"{urls.health[name]}/readyz?all",
            )
        )
    return found


def gateway(settings: Settings, urls: Urls, passwords: Passwords, number: int) -> Child:
    child = with_database(
        numbered("gateway", number, settings.gateways),
        "gateway",
        settings,
        urls,
        passwords,
        BOT_TOKEN=settings.bot_token or SIMULATED_BOT_TOKEN,
        TELEGRAM_API_URL=urls.telegram_api,
        WEBHOOK_PORT=str(settings.port_base + Port.WEBHOOK + number),
    )
    return child if number == 0 else replace(child, migrate_command=())


def billing(settings: Settings, urls: Urls, passwords: Passwords) -> Child:
    """Sells for Stars, and through the providers; its secrets are made once per state folder."""
    return with_database(
        "billing",
        "billing",
        settings,
        urls,
        passwords,
        STARS="true",
        PAYLOAD_SECRET=passwords.of("invoice payloads"),
        WEBHOOK_PORT=port_of(urls.payment_webhooks),
        WEBHOOK_SECRET=passwords.of(WEBHOOK_SEGMENT),
        CRYPTO_PAY_TOKEN=settings.crypto_pay_token or SIMULATED_CRYPTO_PAY_TOKEN,
        CRYPTO_PAY_API_URL="" if settings.crypto_pay_token else urls.crypto_pay,
        YOOKASSA_SHOP_ID=settings.yookassa_shop_id or SIMULATED_SHOP_ID,
        YOOKASSA_SECRET=settings.yookassa_secret or SIMULATED_SHOP_SECRET,
        YOOKASSA_API_URL="" if settings.yookassa_shop_id else f"{urls.yookassa}/v3",
        YOOKASSA_RETURN_URL=urls.chat,
    )


def vpn(settings: Settings, urls: Urls, passwords: Passwords) -> Child:
    folder = settings.state_dir / vpn_node.FOLDER
    return with_database(
        "vpn",
        "vpn",
        settings,
        urls,
        passwords,
        NODES_FILE=str(folder / "nodes.toml"),
        NODES_CERTIFICATE=str(folder / "control.crt"),
        NODES_KEY=str(folder / "control.key"),
        NODES_CA=str(folder / "ca.crt"),
        LINKS_PORT=port_of(urls.vpn_links),
        LINKS_URL=urls.vpn_links,
    )


def with_database(
    name: str, service: str, settings: Settings, urls: Urls, passwords: Passwords, **own: str
) -> Child:
    """One process of a service that has a schema and a login of its own."""
    values = {
        **common(settings, urls, urls.health[name]),
        **nats_user(settings, service),
        **signing.settings_of(settings.state_dir, service),
        "DATABASE_URL": with_login(urls.database, service, passwords.of(service)),
        "MIGRATION_DATABASE_URL": urls.database,
        "MIGRATION_PHASE": "all",  # no other release is at work here
        **own,
    }
    return Child(
        name=name,
        command=module(service),
        environment=prefixed(service, values),
        ready_url=f"{urls.health[name]}/readyz",
        migrate_command=module(service, "migrate"),
    )


def common(settings: Settings, urls: Urls, health_url: str) -> dict[str, str]:
    """What every service is told; each under its own prefix."""
    return {
        "NATS_URL": urls.nats,
        "HEALTH_PORT": port_of(health_url),
        "OTLP_ENDPOINT": urls.traces,
        # The supervisor turns JSON lines into readable ones, unless told to leave them alone.
        "LOG_FORMAT": "json",
        "CATALOGUE_DIR": str(catalogue_dir(settings)),
    }


def nats_user(settings: Settings, user: str) -> Mapping[str, str]:
    """Its files, for our own NATS; whoever brings another one says in the environment how."""
    return {} if settings.nats_url else nats_security.settings_of(settings.state_dir, user)


def catalogue_dir(settings: Settings) -> Path:
    local = settings.state_dir / "catalogue"
    return local if local.is_dir() else REPOSITORY / "catalogue"


def prefixed(service: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"{service.upper()}_{name}": value for name, value in values.items()}


def port_of(url: str) -> str:
    return str(urlsplit(url).port)


def with_login(dsn: str, user: str, password: str) -> str:
    """The same database, entered as somebody else."""
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{password}@{place}").geturl()
