"""Where the operator's command line finds the platform."""

from __future__ import annotations

import getpass
import shlex
from pathlib import Path

import msgspec
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.identity import Identity
from chassis.signatures import Signatures, of_operator
from chassis.signing_keys import private_file
from contracts.producers import OPERATOR

URLS_FILE = Path(".vitrine/urls.json")
KEY_FILE = private_file(Path(".vitrine/signing"), OPERATOR)
"""What `make up` keeps."""


class Settings(BaseSettings):
    """Environment variables with the prefix VITRINE_; else what `make up` wrote."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", extra="ignore")

    nats_url: str = ""
    nats_tls_dir: str = ""
    """Folder with ca.crt, tls.crt and tls.key of the operator."""
    nats_seed_file: str = ""
    actor: str = ""
    signing_key_file: str = ""
    """The operator's private key: orders are signed with it."""
    signatures: str = ""
    """`off`: to a platform that asks for none."""

    def broker_url(self) -> str:
        """Return the given URL, else that of a platform started here; raise SystemExit."""
        return self.nats_url or _started_here()["nats"]

    def identity(self) -> Identity:
        """Return who the operator is to NATS."""
        known = {} if self.nats_url else _started_here()
        return Identity(
            user=OPERATOR,
            tls_dir=self.nats_tls_dir or known.get("nats_tls_dir", ""),
            seed_file=self.nats_seed_file or known.get("nats_seed_file", ""),
            settings_prefix="VITRINE_",
        )

    def signing(self) -> Signatures | None:
        """Return what orders are signed with; None: there is no key, so only questions work."""
        found = "" if self.nats_url or not KEY_FILE.exists() else str(KEY_FILE)
        return of_operator(mode=self.signatures, key_file=self.signing_key_file or found)

    def who(self) -> str:
        """Return who acts, for the audit trail."""
        return self.actor or getpass.getuser()


class Databases(BaseSettings):
    """Logins by service, as the services' own command lines read them; else that of `make up`."""

    model_config = SettingsConfigDict(extra="ignore")

    gateway: SecretStr = Field(default=SecretStr(""), validation_alias="GATEWAY_DATABASE_URL")
    billing: SecretStr = Field(default=SecretStr(""), validation_alias="BILLING_DATABASE_URL")
    scheduler: SecretStr = Field(default=SecretStr(""), validation_alias="SCHEDULER_DATABASE_URL")
    vpn: SecretStr = Field(default=SecretStr(""), validation_alias="VPN_DATABASE_URL")

    def url_of(self, service: str) -> str:
        given: SecretStr = getattr(self, service)
        return (
            given.get_secret_value() or _started_here(f"{service.upper()}_DATABASE_URL")["database"]
        )


def exports() -> str:
    """Return, for a shell, what services' own command lines need of the platform started here."""
    known = _started_here()
    files = {
        "NATS_TLS_DIR": known.get("nats_tls_dir", ""),
        "NATS_SEED_FILE": known.get("nats_seed_file", ""),
        "SIGNING_KEY_FILE": str(KEY_FILE) if KEY_FILE.exists() else "",
    }
    settings = {
        "NATS_URL": known["nats"],
        "DATABASE_URL": known["database"],
        **{name: str(Path(file).absolute()) for name, file in files.items() if file},
    }
    return "".join(
        f"export {service.upper()}_{name}={shlex.quote(value)}\n"
        for service in Databases.model_fields
        for name, value in settings.items()
    )


def _started_here(setting: str = "VITRINE_NATS_URL") -> dict[str, str]:
    try:
        urls = msgspec.json.decode(URLS_FILE.read_bytes(), type=dict[str, object])
        return {name: value for name, value in urls.items() if isinstance(value, str)} | {
            "nats": str(urls["nats"])
        }
    except (OSError, KeyError, msgspec.DecodeError) as error:
        raise SystemExit(f"no platform found: set {setting}, or run `make up` here") from error
