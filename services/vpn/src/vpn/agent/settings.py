"""What the agent can be told from outside: variables with the prefix VPN_AGENT_."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork, field_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from vpn import node_api
from vpn.domain import loopback


class AgentSettings(ServiceSettings):
    """The agent runs beside one core, as a user that may read the core's files."""

    model_config = SettingsConfigDict(env_prefix="VPN_AGENT_", extra="ignore")

    node: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """The node's name; its certificate carries `<name>.node.vpn.vitrine.internal`."""
    state_folder: Path
    """Kept between starts: the set, traffic counters, the core's configuration."""
    listen_host: str = "0.0.0.0"  # noqa: S104 - mutual TLS guards it
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8443
    certificate: Path
    key: Path
    ca: Path
    """A bundle: during a rotation it holds the old and the new authority."""
    client_name: str = node_api.CONTROL_NAME
    """The only name whose certificate is served."""

    core_binary: str = ""
    """Empty: xray or v2ray from PATH."""
    core_config: Path | None = None
    """The core's configuration without people; none: plain VLESS over TCP on vless_port."""
    core_api: str = ""
    """host:port, on loopback, of a core that somebody else runs; the agent then starts none."""
    inbound_tag: str = "vless"
    vless_host: str = "0.0.0.0"  # noqa: S104 - people connect here
    vless_port: Annotated[int, Field(ge=0, le=65535)] = 443
    allow_private_targets: bool = False
    """Whether people may reach private addresses (never the core's API); tests on loopback do."""
    allowed_targets: tuple[IPvAnyNetwork, ...] = ()
    """Networks that people may reach though they are private or the node's own, e.g. a web server
    beside the core. JSON: ["10.0.0.53/32"]."""
    own_addresses: tuple[IPvAnyAddress, ...] = ()
    """Addresses of the node that no interface of it has (1:1 NAT); others are found by themselves.
    """
    keep_core: bool = True
    """Leave the core running when the agent stops, so that its upgrade cuts nobody.

    Under systemd this needs KillMode=process; in a container core and agent end together anyway.
    """
    follow_connections: bool = True
    """Learn from the core's access log (a pipe, never a file) who is connected from where."""

    body_bytes_max: int = 64 * 1024 * 1024
    body_timeout: timedelta = timedelta(seconds=30)
    handshake_timeout: timedelta = timedelta(seconds=5)
    core_start_timeout: timedelta = timedelta(seconds=20)
    core_check_every: timedelta = timedelta(seconds=1)
    core_silence_max: timedelta = timedelta(seconds=15)
    """A core that lives but does not answer this long is killed and started anew."""
    core_compare_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=60)
    """How soon a core that can list is seen to hold otherwise than it was told."""
    traffic_every: timedelta = timedelta(seconds=30)
    certificate_check_every: timedelta = timedelta(seconds=2)

    @field_validator("core_api")
    @classmethod
    def _on_loopback(cls, address: str) -> str:
        if address and (problem := loopback.problem_of(address)):
            raise ValueError(problem)
        return address
