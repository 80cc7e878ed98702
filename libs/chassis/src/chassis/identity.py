"""Who a process is to NATS: a certificate and a key in files, read anew at every connect."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from chassis import nkey
from chassis.errors import ConfigurationError
from contracts import permissions
from contracts.producers import OPERATOR

if TYPE_CHECKING:
    from chassis.settings import ServiceSettings  # its libraries take a quarter of a second

AUTHORITY_FILE = "ca.crt"
CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"
SEED_FILE = "seed"
ANY_INBOX = "_INBOX"


def impatient(reason: str) -> None:
    """Give up instead of waiting until the server lets us in: somebody sits at a terminal."""
    raise ConfigurationError(reason)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A NATS user and where its files lie. Without folder or seed file: a server that asks none.

    What is on the disk when a connection is made counts, so keys are renewed without a restart.
    """

    user: str
    tls_dir: str = ""
    """Folder with ca.crt, tls.crt and tls.key."""
    seed_file: str = ""
    settings_prefix: str = ""
    """Of the environment variables, so that an error names the right one."""

    @classmethod
    def of(cls, settings: ServiceSettings, user: str) -> Self:
        return cls(
            user=user,
            tls_dir=settings.nats_tls_dir,
            seed_file=settings.nats_seed_file,
            settings_prefix=str(settings.model_config.get("env_prefix", "")),
        )

    @classmethod
    def in_folder(cls, folder: Path, user: str = OPERATOR) -> Self:
        """The files of one user side by side, as a Secret is mounted."""
        return cls(user=user, tls_dir=str(folder), seed_file=str(folder / SEED_FILE))

    @property
    def inbox_prefix(self) -> str:
        """A user with rights of its own may listen nowhere else."""
        return permissions.inbox_prefix(self.user) if self.seed_file else ANY_INBOX

    @property
    def tls_setting(self) -> str:
        return f"{self.settings_prefix}NATS_TLS_DIR"

    @property
    def seed_setting(self) -> str:
        return f"{self.settings_prefix}NATS_SEED_FILE"

    @classmethod
    def of_operator(cls, settings: ServiceSettings) -> Self:
        """A person's, whichever service's command line it is."""
        return cls.of(settings, OPERATOR)

    def check(self) -> None:
        """Read everything once. Raises ConfigurationError, which names the setting."""
        if self.tls_dir:
            self.tls_context()
        if self.seed_file:
            self.public_key()

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.3 or nothing, our authority alone, our certificate shown."""
        folder = Path(self.tls_dir)
        authority, certificate, key = (
            folder / name for name in (AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE)
        )
        for file in (authority, certificate, key):
            self._readable(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(authority)
        except ssl.SSLError:
            raise self._wrong_file(authority, "no certificates in it") from None
        try:
            # Without a password OpenSSL would ask at the terminal for that of a locked key.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError:
            reason = f"not a certificate that goes with {key.name}"
            raise self._wrong_file(certificate, reason) from None
        return context

    def public_key(self) -> str:
        return self._with_seed(nkey.public_key)

    def sign(self, nonce: str) -> str:
        return self._with_seed(lambda seed: nkey.sign(seed, nonce))

    def explain_refusal(self) -> str:
        """Say what an operator may have to change when the server does not let this user in."""
        if not self.seed_file:
            return f"nats-server wants to know who this is, and {self.seed_setting} is not set"
        return (
            f"nats-server does not know the key of {self.seed_setting}, "
            f"or it is not that of the user {self.user!r}"
        )

    def explain_tls(self, reason: str) -> str:
        """Say which setting a failed handshake is about."""
        if not self.tls_dir:
            return f"nats-server speaks TLS only, and {self.tls_setting} is not set ({reason})"
        return f"no TLS with nats-server by the files of {self.tls_setting}: {reason}"

    def _with_seed(self, use: Callable[[str], str]) -> str:
        file = Path(self.seed_file)
        self._readable(file, self.seed_setting)
        try:
            return use(file.read_text(encoding="ascii"))
        except UnicodeDecodeError:
            raise self._wrong_file(file, "not a seed", self.seed_setting) from None
        except nkey.SeedError as error:
            raise self._wrong_file(file, f"not a seed: {error}", self.seed_setting) from None

    def _readable(self, file: Path, setting: str = "") -> None:
        try:
            file.open("rb").close()
        except OSError as error:
            raise self._wrong_file(file, str(error.strerror), setting) from None

    def _wrong_file(self, file: Path, reason: str, setting: str = "") -> ConfigurationError:
        return ConfigurationError(f"{setting or self.tls_setting}: {file}: {reason}")
