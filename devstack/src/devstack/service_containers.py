"""The same services as containers: built images in place of this environment's processes.

`VITRINE_IMAGES=localhost/vitrine- make up` runs them as a cluster would: no rights, nothing to
write to but /tmp, and a limit on memory and processes. Servers and stand-ins stay processes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from devstack import children
from devstack.children import Child, Platform
from devstack.settings import REPOSITORY, Passwords, Settings
from devstack.urls import Urls
from devstack.v2ray import find_v2ray

USER = 10001
LABEL = "vitrine.devstack"
CORE = "/usr/local/bin/v2ray"
MEMORY = {"gateway": "512m", "generator": "512m"}
MEMORY_OTHERWISE = "256m"
PIDS_MAX = 128
RESTRICTED = (
    "--network=host",
    "--read-only",
    "--tmpfs=/tmp:rw,size=512m,mode=1777",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--user={USER}:{USER}",
    f"--pids-limit={PIDS_MAX}",
)


def platform(settings: Settings, urls: Urls, passwords: Passwords) -> Platform:
    """What children.platform says, with containers where there are images."""
    plain = children.platform(settings, urls, passwords)
    core = find_v2ray()
    return replace(
        plain,
        stand_ins=[
            agent(each, settings, core) if core and each.name.startswith("vpn-node") else each
            for each in plain.stand_ins
        ],
        # Any image holds it.
        bootstrap=contained(plain.bootstrap, "billing", settings, "NATS_*"),
        services=[service(each, settings) for each in plain.services],
    )


def service(child: Child, settings: Settings) -> Child:
    name = child.name.split("-")[0]
    return contained(child, name, settings, f"{name.upper()}_*")


def agent(child: Child, settings: Settings, core: str) -> Child:
    """A VPN node's agent, with the core of this machine."""
    environment = {**child.environment, "VPN_AGENT_CORE_BINARY": CORE}
    Path(environment["VPN_AGENT_STATE_FOLDER"]).mkdir(parents=True, exist_ok=True, mode=0o700)
    known = replace(child, environment=environment, command=("vpn-agent",))
    return contained(known, "vpn", settings, "VPN_AGENT_*", f"--volume={core}:{CORE}:ro")


def contained(child: Child, image: str, settings: Settings, variables: str, *more: str) -> Child:
    """The same child, run by podman; its variables are inherited, so that no value is listed."""
    environment = {
        name: value
        for name, value in child.environment.items()
        # The image has its own.
        if value != str(REPOSITORY / "catalogue")
    }
    memory = MEMORY.get(image, MEMORY_OTHERWISE)
    run = [
        *("podman", "run", "--rm", "--replace", f"--label={LABEL}={settings.port_base}"),
        *(f"--memory={memory}", f"--memory-swap={memory}", f"--env={variables}"),
        *RESTRICTED,
        *(f"--volume={each}" for each in _mounts(environment, settings)),
        *more,
    ]
    place = [f"{settings.images}{image}"]

    def command(words: Sequence[str], name: str) -> tuple[str, ...]:
        return (*run, f"--name=vitrine-{settings.port_base}-{name}", *place, *_inside(words))

    migrate = child.migrate_command
    return replace(
        child,
        command=command(child.command, child.name),
        migrate_command=command(migrate, f"{child.name}-migrate") if migrate else (),
        environment=environment,
    )


def _inside(words: Sequence[str]) -> Sequence[str]:
    """The command as the image knows it: its own Python."""
    return ("python", *words[1:]) if words[0].endswith(("python", "python3")) else words


def _mounts(environment: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """Every file and folder of the platform's state that a variable names, at the same place."""
    for name, value in environment.items():
        path = Path(value)
        if path.is_absolute() and path.is_relative_to(settings.state_dir) and path.exists():
            _give(path)
            yield f"{path}:{path}" if name.endswith("_STATE_FOLDER") else f"{path}:{path}:ro"


def _give(path: Path) -> None:
    for each in (path, *path.rglob("*")):
        os.chown(each, USER, USER)
