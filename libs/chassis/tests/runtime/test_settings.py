"""Settings from the environment: durations in seconds, nothing secret in an error."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from chassis.settings import DatabaseSettings


class Toy(DatabaseSettings):
    model_config = SettingsConfigDict(env_prefix="TOY_", extra="ignore")


@pytest.mark.parametrize(
    ("given", "expected"), [("5", 5), ("2.5", 2.5), ("PT1M", 60), ("00:02:00", 120)]
)
def test_a_duration_may_be_a_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: float
) -> None:
    monkeypatch.setenv("TOY_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("TOY_SHUTDOWN_GRACE", given)

    assert Toy().shutdown_grace == timedelta(seconds=expected)


def test_a_secret_has_no_default() -> None:
    with pytest.raises(ValidationError, match="database_url"):
        Toy()


def test_a_file_with_the_login_is_read_whenever_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "url"
    settings = Toy(database_url_file=str(file), database_url="postgresql://from.the/environment")

    file.write_text("postgresql://one\n")
    assert settings.login() == "postgresql://one"
    file.write_text("postgresql://two")
    assert settings.login() == "postgresql://two"
    assert Toy(database_url="postgresql://x").login() == "postgresql://x"


def test_a_migration_takes_nothing_unless_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_DATABASE_URL", "postgresql://x")

    assert Toy().migration_phase == "pre"
    with pytest.raises(ValidationError, match="migration_phase"):
        Toy(migration_phase="post")
