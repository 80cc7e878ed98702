"""What a simulator is started with: arguments in a test, environment or flags as a program."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

YES = {"1", "true", "yes", "on"}


@dataclass(slots=True)
class ProviderOptions:
    # Where it listens; beyond loopback only inside a pod.
    host: str = "127.0.0.1"
    webhook_url: str = ""
    # Where pay pages are for a browser; empty: where the simulator listens.
    public_url: str = ""
    state: Path | None = None
    seed: int = 1
    latency_seconds: float = 0.0
    # Multiplies the waits between the attempts of a webhook; 0: no wait at all.
    time_scale: float = 1.0
    webhook_timeout_seconds: float = 10.0
    # Who asks for the money.
    app_name: str = "Vitrine"


@dataclass(frozen=True, slots=True)
class Setting:
    flag: str
    default: str
    help: str


COMMON = (
    Setting("port", "0", "0 chooses a free one"),
    Setting("host", "127.0.0.1", "0.0.0.0 only inside a pod"),
    Setting("app-name", "Vitrine", "who asks for the money"),
    Setting("webhook-url", "", "where webhooks are posted; empty: nowhere"),
    Setting("public-url", "", "base of the links to the pay page; empty: own address"),
    Setting("state", "", "keep what must survive a restart in this file"),
    Setting("seed", "1", "of the random faults"),
    Setting("latency-ms", "0", "delay of every answer"),
    Setting("time-scale", "1", "factor of the waits between webhook attempts"),
    Setting("webhook-timeout-seconds", "10", "how long one attempt may take"),
)


@dataclass(frozen=True, slots=True)
class Program:
    """How a provider's program is called."""

    name: str
    description: str
    environment_prefix: str
    settings: Iterable[Setting]

    def read(self, arguments: list[str] | None, environment: Mapping[str, str]) -> dict[str, str]:
        """Every setting: a flag wins over the environment, that over the default."""
        parser = argparse.ArgumentParser(prog=self.name, description=self.description)
        for setting in (*COMMON, *self.settings):
            variable = self.environment_prefix + setting.flag.upper().replace("-", "_")
            default = environment.get(variable, setting.default)
            parser.add_argument(
                f"--{setting.flag}", default=default, help=f"{setting.help} [{variable}]"
            )
        return vars(parser.parse_args(arguments))


def common(given: Mapping[str, str]) -> dict[str, Any]:
    """The fields of ProviderOptions."""
    return {
        "host": given["host"],
        "app_name": given["app_name"],
        "webhook_url": given["webhook_url"],
        "public_url": given["public_url"].rstrip("/"),
        "state": Path(given["state"]) if given["state"] else None,
        "seed": int(given["seed"]),
        "latency_seconds": float(given["latency_ms"]) / 1_000,
        "time_scale": float(given["time_scale"]),
        "webhook_timeout_seconds": float(given["webhook_timeout_seconds"]),
    }


def yes(word: str) -> bool:
    return word.lower() in YES
