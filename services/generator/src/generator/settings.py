"""What one generator process can be told from outside. One process serves one ComfyUI."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings

REPOSITORY_CATALOGUE = Path(__file__).resolve().parents[4] / "catalogue"


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GENERATOR_", extra="ignore")

    comfyui_url: str = "http://127.0.0.1:8188"
    server_name: str = ""
    """The lease's name. Empty: made of the URL, the same for every pod given that server."""
    pools: str = "image,video"
    """Comma-separated: what this server's models and nodes can run."""
    catalogue_dir: Path = REPOSITORY_CATALOGUE
    late_window: timedelta = timedelta(seconds=2)
    """How long before the running job's expected end the next one may be claimed."""
    ahead_patience: timedelta = timedelta(seconds=5)
    elsewhere_patience: timedelta = timedelta(seconds=10)
    """How long a job that failed here is left to other servers before it is tried here again."""
    claim_silence: timedelta = timedelta(seconds=30)
    interrupt_patience: timedelta = timedelta(seconds=5)
    request_timeout: timedelta = timedelta(seconds=5)
    """For one answer of ComfyUI; its worst measured pause is below one second."""
    unreachable_patience: timedelta = timedelta(seconds=10)
    zombie_patience: timedelta = timedelta(seconds=5)
    quarantine: timedelta = timedelta(seconds=60)
    """How long a server that answers but fails gets no job, unless it is seen to restart."""
    probe_every: timedelta = timedelta(seconds=5)

    def server(self) -> str:
        plain = self.comfyui_url.split("://", 1)[-1].rstrip("/")
        made = "".join(char if char.isalnum() else "-" for char in plain)
        return self.server_name or made

    def pool_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, map(str.strip, self.pools.split(",")))))
