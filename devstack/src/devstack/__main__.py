"""`devstack up | down | reset | demo`: the platform from a terminal."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from devstack.errors import SettingsError
from devstack.settings import Lock, Passwords, Settings

if TYPE_CHECKING:
    from devstack.children import Platform
    from devstack.urls import Urls

PlatformOf = Callable[[Settings, "Urls", Passwords], "Platform"]
DOWN_TIMEOUT_SECONDS = 60.0


def up(settings: Settings, platform: PlatformOf | None = None) -> int:
    """Run the platform in the foreground; `platform` replaces the usual children."""
    lock = Lock(settings.state_dir)
    if not lock.take():
        print(f"Vitrine already runs here as process {lock.holder()}.{_chat_hint(settings)}")
        print("`make down` stops it; another clone needs another VITRINE_PORT_BASE.")
        return 1
    # Imported late: the answers above should not wait for an event loop and a database driver.
    import uvloop

    from devstack import children, service_containers
    from devstack.console import Console
    from devstack.supervisor import Supervisor

    async def run() -> int:
        console = Console(settings.state_dir / "logs", raw=settings.log_format == "json")
        usual = service_containers.platform if settings.images else children.platform
        return await Supervisor(settings, console, platform or usual).run()

    try:
        return uvloop.run(run())
    finally:
        lock.release()


def down(settings: Settings) -> int:
    lock = Lock(settings.state_dir)
    holder = lock.holder()
    if holder is None:
        print("Vitrine does not run here.")
        return 0
    os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_SECONDS
    while lock.holder() is not None:
        if time.monotonic() > deadline:
            print(f"process {holder} has not stopped after {DOWN_TIMEOUT_SECONDS:g} s")
            return 1
        time.sleep(0.05)
    print("Vitrine is stopped.")
    return 0


def reset(settings: Settings) -> int:
    if code := down(settings):
        return code
    from devstack.supervisor import own_postgres

    if settings.state_dir.exists():
        # The database may live elsewhere, where its unprivileged user can reach it.
        own_postgres(settings, Passwords(settings.state_dir / "passwords.json")).erase()
        shutil.rmtree(settings.state_dir)
    print("All state is forgotten.")
    return 0


def demo(settings: Settings) -> int:
    from devstack.demo import main as run_demo

    return run_demo(settings)


COMMANDS: dict[str, Callable[[Settings], int]] = {
    "up": up,
    "down": down,
    "reset": reset,
    "demo": demo,
}


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:  # noqa: PLR2004 (program and command)
        print(f"usage: devstack {' | '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return COMMANDS[sys.argv[1]](settings)


def _chat_hint(settings: Settings) -> str:
    from devstack import urls

    try:
        return f" The chat: {urls.read(settings.state_dir)['chat']}"
    except (FileNotFoundError, KeyError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
