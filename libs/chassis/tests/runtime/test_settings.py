"""Settings from the environment: durations in seconds, nothing secret in an error."""

from datetime import timedelta

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
