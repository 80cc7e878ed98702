"""Containers as Kubernetes will run them: nothing to write to, no right, and a limit on all."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from vitrine_tools.images import podman

USER = 10001
LABEL = "vitrine.trial"
PIDS_MAX = 64
MEMORY = "256m"
POLL_SECONDS = 0.05
RESTRICTED = (
    "--network=host",
    "--read-only",
    # With what podman mounts of itself there would be more to write to than in a pod.
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:rw,size=512m,mode=1777",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--user={USER}:{USER}",
    f"--pids-limit={PIDS_MAX}",
)


def words(
    image: str,
    command: Sequence[str] = (),
    *,
    name: str,
    environment: Mapping[str, str] | None = None,
    mounts: Sequence[str] = (),
    memory: str = MEMORY,
) -> list[str]:
    """What follows `podman`: run this image, restricted."""
    return [
        "run",
        *(f"--name={name}", f"--label={LABEL}=yes", *RESTRICTED),
        *(f"--memory={memory}", f"--memory-swap={memory}"),
        *(f"--env={key}={value}" for key, value in (environment or {}).items()),
        *(f"--volume={each}" for each in mounts),
        image,
        *command,
    ]


class Container:
    """One started container; `remove` it whatever happens."""

    def __init__(
        self,
        image: str,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        mounts: Sequence[str] = (),
        memory: str = MEMORY,
    ) -> None:
        self.name = f"vitrine-trial-{uuid4().hex[:12]}"
        run = words(
            image,
            command,
            name=self.name,
            environment=environment,
            mounts=mounts,
            memory=memory,
        )
        podman.run(run[0], "--detach", *run[1:])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(podman.run("inspect", self.name))[0]["State"]
        return found

    def logs(self) -> str:
        done = subprocess.run(
            ["podman", "logs", self.name],
            env=podman.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def wait(self, seconds: float) -> int:
        """Return its exit code; TimeoutExpired when it does not end in time."""
        return int(podman.run("wait", self.name, timeout=seconds))

    def wait_for_log(self, text: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.logs():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {text!r} in:\n{self.logs()}")
            time.sleep(POLL_SECONDS)

    def signal(self, name: str) -> None:
        podman.run("kill", f"--signal={name}", self.name)

    def start(self) -> None:
        """Once more, as a kubelet does after a crash."""
        podman.run("start", self.name)

    def remove(self) -> None:
        podman.run("rm", "--force", "--time=0", self.name)


def remove_all() -> None:
    """Take away whatever an interrupted trial left."""
    left = podman.run("ps", "--all", "--quiet", f"--filter=label={LABEL}=yes").split()
    if left:
        podman.run("rm", "--force", "--time=0", *left)


def readable(path: Path) -> None:
    """Give a folder to the images' user: what a mount hides from it, a pod could read."""
    subprocess.run(["chown", "-R", f"{USER}:{USER}", str(path)], check=True)
