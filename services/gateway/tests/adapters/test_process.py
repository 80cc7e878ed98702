"""The process as it is started: wired by build(), ready, answering a person, stopped."""

from pathlib import Path

import pytest

from chassis.errors import ConfigurationError
from contracts import catalogue
from devstack.testing import running_service
from gateway import consumers
from gateway.main import started

CATALOGUE = Path(__file__).parents[4] / "catalogue"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_build_wires_the_catalogue_and_both_streams(platform):
    async with started(platform.settings()) as (_service, gateway):
        streams = [each.stream for each in consumers.table(gateway.shop, gateway.sweep)]

    assert sorted(streams) == ["EVENTS", "GATEWAY"]
    assert set(gateway.shop.catalogue) == set(catalogue.load(CATALOGUE))


async def test_a_catalogue_that_cannot_be_read_stops_the_start(platform, tmp_path):
    with pytest.raises(ConfigurationError, match="no workflow"):
        async with started(platform.settings(catalogue_dir=tmp_path)):
            pass


async def test_the_process_becomes_ready_answers_a_person_and_stops(platform, person):
    settings = {
        "bot_token": platform.telegram.token,
        "telegram_api_url": platform.telegram.url,
        "database_url": platform.dsn,
        "nats_url": platform.nats_url,
        "catalogue_dir": platform.settings().catalogue_dir,
    }

    async with running_service("gateway", settings) as process:
        await platform.people.say(person, "/help")
        answer = await platform.people.wait_message(person)

    assert "How it works" in answer["text"]
    assert process.returncode == 0
