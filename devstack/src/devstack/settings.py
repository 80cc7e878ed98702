"""What `make up` can be told by the environment, and where it keeps its state."""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.accounts import MODES, SHARED
from devstack.errors import SettingsError

PORT_BASE = 8500
PORT_BASE_MIN, PORT_BASE_MAX = 1_024, 65_000
GATEWAYS_MAX = 5
VPN_NODES_MAX = 5
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Settings:
    """An empty string or tuple means: the stand-in that comes with the devstack."""

    state_dir: Path
    port_base: int = PORT_BASE
    bot_token: str = ""
    comfyui_urls: tuple[str, ...] = ()
    database_url: str = ""
    nats_url: str = ""
    log_format: str = "console"
    crypto_pay_token: str = ""
    """Of a real Crypto Pay app, which then replaces the stand-in."""
    yookassa_shop_id: str = ""
    """Of a real YooKassa shop, which then replaces the stand-in."""
    yookassa_secret: str = ""
    gateways: int = 1
    """Replicas of the gateway; by webhook each listens on a port of its own (urls.Port)."""
    vpn_nodes: int = 1
    nats_accounts: str = SHARED
    """Whether everybody is in one NATS account (contracts.accounts)."""
    images: str = ""
    """What the names of built images begin with; the services then run as containers."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        given = environment.get("VITRINE_PORT_BASE", "") or str(PORT_BASE)
        if not given.isdigit() or not PORT_BASE_MIN <= int(given) <= PORT_BASE_MAX:
            raise SettingsError(
                f"VITRINE_PORT_BASE is {given!r}, not between {PORT_BASE_MIN} and {PORT_BASE_MAX}"
            )
        log_format = environment.get("VITRINE_LOG_FORMAT", "") or "console"
        if log_format not in {"console", "json"}:
            raise SettingsError(f"VITRINE_LOG_FORMAT is {log_format!r}, not console or json")
        gateways = _count(environment, "VITRINE_GATEWAYS", GATEWAYS_MAX)
        vpn_nodes = _count(environment, "VITRINE_VPN_NODES", VPN_NODES_MAX)
        shop_id, secret = (
            environment.get(name, "").strip() for name in ("YOOKASSA_SHOP_ID", "YOOKASSA_SECRET")
        )
        if bool(shop_id) != bool(secret):
            raise SettingsError("YOOKASSA_SHOP_ID and YOOKASSA_SECRET are given together")
        images = environment.get("VITRINE_IMAGES", "").strip()
        if images and os.geteuid() != 0:
            # Files that only their owner reads have to be given to the images' user.
            raise SettingsError("VITRINE_IMAGES needs root")
        nats_accounts = environment.get("VITRINE_NATS_ACCOUNTS", "").strip() or SHARED
        if nats_accounts not in MODES:
            raise SettingsError(
                f"VITRINE_NATS_ACCOUNTS is {nats_accounts!r}, not shared or separate"
            )
        servers = environment.get("COMFYUI_URL", "").split(",")
        return cls(
            state_dir=Path(environment.get("VITRINE_STATE_DIR", "") or REPOSITORY / ".vitrine"),
            port_base=int(given),
            bot_token=environment.get("BOT_TOKEN", "").strip(),
            comfyui_urls=tuple(url.strip().rstrip("/") for url in servers if url.strip()),
            database_url=environment.get("DATABASE_URL", "").strip(),
            nats_url=environment.get("NATS_URL", "").strip(),
            log_format=log_format,
            yookassa_shop_id=shop_id,
            yookassa_secret=secret,
            crypto_pay_token=environment.get("CRYPTO_PAY_TOKEN", "").strip(),
            gateways=gateways,
            vpn_nodes=vpn_nodes,
            nats_accounts=nats_accounts,
            images=images,
        )


def _count(environment: Mapping[str, str], name: str, at_most: int) -> int:
    given = environment.get(name, "") or "1"
    if not given.isdigit() or not 1 <= int(given) <= at_most:
        raise SettingsError(f"{name} is {given!r}, not between 1 and {at_most}")
    return int(given)


class Passwords:
    """Passwords made once per state folder and kept there for its owner alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def of(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = secrets.token_hex(16)
            write_private(self._file, json.dumps(self._known, indent=2))
        return self._known[name]


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step; nobody but its owner ever can read it."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)


class Lock:
    """Says who runs on a state folder; the kernel lets go of it however its holder ends."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "supervisor.pid"
        self._descriptor = -1

    def take(self) -> bool:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go; the file stays, because a lock on a deleted file would lock nobody out."""
        os.close(self._descriptor)
        self._descriptor = -1

    def holder(self) -> int | None:
        """The process that holds the lock now; a number left by a dead one is not believed."""
        if not self._file.exists():
            return None
        descriptor = os.open(self._file, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 32) or b"0") or None
        finally:
            os.close(descriptor)
        return None
