"""Token and webhook secret are replaced under a running process: no restart, nothing lost."""

import os
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import msgspec
import pytest
from pydantic import ValidationError

from chassis.clock import SystemClock
from chassis.errors import ConfigurationError
from chassis.testing import drain
from devstack.processes import ChildProcess
from devstack.testing import answers_ok, free_port
from gateway.adapters.telegram import Telegram, UnauthorizedError

pytestmark = pytest.mark.asyncio(loop_scope="module")
READY_SECONDS = 60
STOP_SECONDS = 30
HEADER = "X-Telegram-Bot-Api-Secret-Token"
WAIT_SECONDS = 3
OVERLAP_SECONDS = 8


class Mounted:
    """A Secret as the kubelet mounts it: one link is swapped, and all its files with it."""

    def __init__(self, folder, **texts):
        self.folder = folder
        self.number = 0
        self.swap(**texts)
        for name in texts:
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, **texts):
        self.number += 1
        version = self.folder / f"..{self.number}"
        version.mkdir()
        for name, text in texts.items():
            (version / name).write_text(text)
        draft = self.folder / "..data_tmp"
        draft.symlink_to(version.name)
        draft.rename(self.folder / "..data")

    def __getitem__(self, name):
        return self.folder / name


class Running:
    """The gateway as a process, and the lines it logs."""

    def __init__(self, platform, settings):
        given = {
            "telegram_api_url": platform.telegram.url,
            "database_url": platform.dsn,
            "nats_url": platform.nats_url,
            "catalogue_dir": platform.settings().catalogue_dir,
            "signatures": "off",
            "log_format": "json",
            "health_port": free_port(),
            "chat_sends_per_second": 100,
            **settings,
        }
        self.ready_url = f"http://127.0.0.1:{given['health_port']}/readyz"
        self.lines = []
        environment = {f"GATEWAY_{name}".upper(): str(value) for name, value in given.items()}
        self.process = ChildProcess(
            "gateway",
            (sys.executable, "-m", "gateway"),
            environment={**os.environ, **environment},
            output=self.lines.append,
        )

    def events(self, name):
        told = [msgspec.json.decode(line) for line in self.lines if line.startswith("{")]
        return [each for each in told if each["event"] == name]


@asynccontextmanager
async def running(platform, **settings):
    gateway = Running(platform, settings)
    gateway.process.start()
    try:
        await gateway.process.wait_ready(lambda: answers_ok(gateway.ready_url), READY_SECONDS)
        yield gateway
    finally:
        await gateway.process.terminate(STOP_SECONDS)


@pytest.fixture
def issued(platform):
    """What @BotFather gives: revoking makes another token, and the one before is worth nothing."""
    first = platform.telegram.token

    def revoke(token):
        platform.telegram._core.options.token = token

    yield revoke
    revoke(first)


async def answers(platform, person):
    return len([each for each in await platform.people.messages(person) if each["from"] == "bot"])


async def test_the_next_call_and_the_next_download_have_the_new_token(platform, issued, tmp_path):
    file = tmp_path / "token"
    second = platform.telegram.token + "-2"
    file.write_text(platform.telegram.token)
    token = platform.settings(bot_token="", bot_token_file=str(file)).token()
    telegram = Telegram(token=token, api_url=platform.telegram.url, timeout=timedelta(seconds=5))
    sent = await platform.people.send_file(1_000, b"y" * 10, name="a.bin", as_document=True)
    message = (await platform.people.messages(1_000, after=sent["message_id"] - 1))[0]
    issued(second)
    with pytest.raises(UnauthorizedError):
        await telegram.call("getMe")

    file.write_text(second)
    described = await telegram.call("getFile", {"file_id": message["raw"]["document"]["file_id"]})
    size = await telegram.download(
        described["file_path"], tmp_path / "a", bytes_max=10, timeout=timedelta(seconds=5)
    )

    assert size == 10
    await telegram.close()


async def test_a_token_is_replaced_under_a_running_process_and_nothing_is_lost(
    platform, person, issued, tmp_path
):
    first, second = platform.telegram.token, platform.telegram.token + "-2"
    mounted = Mounted(tmp_path, token=first)

    async with running(
        platform, bot_token_file=mounted["token"], polling_timeout=1, result_patience=600
    ) as gateway:
        pid = gateway.process.pid
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 1), what="the first answer")
        issued(second)
        for _ in range(3):
            await platform.people.say(person, "/help")
        await drain(lambda: gateway.events("polling_postponed"), what="the old token is refused")
        assert await answers(platform, person) == 1

        mounted.swap(token=second)
        await drain(lambda: _is(answers(platform, person), 4), what="the other three answers")

        assert gateway.process.pid == pid
        assert len(gateway.events("secret_changed")) == 1
        assert all(
            token.split(":")[1] not in line for token in (first, second) for line in gateway.lines
        )


async def test_another_bots_token_is_refused_and_the_old_one_kept(platform, person, tmp_path):
    mounted = Mounted(tmp_path, token=platform.telegram.token)

    async with running(platform, bot_token_file=mounted["token"], polling_timeout=1) as gateway:
        mounted.swap(token="42:" + platform.telegram.token.split(":")[1])
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 1), what="an answer")
        await drain(lambda: gateway.events("secret_not_taken"), what="the refusal")
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 2), what="another answer")

        (refused,) = gateway.events("secret_not_taken")
        assert refused["level"] == "error"
        assert refused["secret"] == "GATEWAY_BOT_TOKEN_FILE"
        assert refused["reason"].endswith("is another bot's: that one needs a shop of its own")


async def test_a_webhook_secret_is_replaced_while_people_write(platform, person, tmp_path):
    mounted = Mounted(tmp_path, secret="first-secret")
    port = free_port()
    url = f"http://127.0.0.1:{port}/telegram"

    async with (
        aiohttp.ClientSession() as session,
        running(
            platform,
            bot_token=platform.telegram.token,
            mode="webhook",
            webhook_port=port,
            webhook_url=url,
            webhook_secret_file=mounted["secret"],
            webhook_secret_wait=WAIT_SECONDS,
            webhook_secret_overlap=OVERLAP_SECONDS,
        ) as gateway,
    ):

        async def knocks(secret):
            """401 without the secret; with it, 400 for a body that is no update."""
            async with session.post(url, data=b"{}", headers={HEADER: secret}) as answer:
                return answer.status == 400

        async def told(secret):
            webhook = platform.telegram._core.webhooks.webhook
            return webhook is not None and (webhook.url, webhook.secret) == (url, secret)

        await drain(lambda: told("first-secret"), what="the webhook is set")
        assert [await knocks("first-secret"), await knocks("second-secret")] == [True, False]

        mounted.swap(secret="second-secret")
        swapped_at = time.monotonic()
        assert [await knocks("first-secret"), await knocks("second-secret")] == [True, True]
        # Other replicas may not have the file yet: Telegram goes on with the old one.
        assert await told("first-secret")
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 1), what="an answer by the old secret")
        await drain(lambda: told("second-secret"), what="the webhook is set again")
        assert time.monotonic() - swapped_at >= WAIT_SECONDS
        assert await knocks("first-secret")
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 2), what="an answer by the new secret")

        await drain(lambda: _not(knocks("first-secret")), what="the overlap ends")
        assert await knocks("second-secret")
        assert len(gateway.events("webhook_set")) == 2


async def test_a_token_of_another_day_has_the_webhook_set_again(platform, person, issued, tmp_path):
    """Whether Telegram keeps it for a new token is written nowhere."""
    mounted = Mounted(tmp_path, token=platform.telegram.token)
    port = free_port()
    url = f"http://127.0.0.1:{port}/telegram"
    settings = {"mode": "webhook", "webhook_port": port, "webhook_url": url}

    async with running(
        platform, bot_token_file=mounted["token"], webhook_secret="secret", **settings
    ) as gateway:
        await drain(lambda: gateway.events("webhook_set"), what="the webhook is set")
        second = platform.telegram.token + "-2"
        issued(second)
        await platform.telegram._core.webhooks.set(None)

        mounted.swap(token=second)
        await drain(lambda: len(gateway.events("webhook_set")) == 2, what="it is set again")
        await platform.people.say(person, "/help")
        await drain(lambda: _is(answers(platform, person), 1), what="an answer")


async def test_a_start_without_a_token_is_one_sentence(platform, tmp_path):
    """It waits for neither NATS nor Postgres to say so."""
    file = tmp_path / "token"
    gateway = Running(platform, {"bot_token_file": file, "nats_url": "nats://127.0.0.1:9"})

    gateway.process.start()
    await drain(lambda: not gateway.process.running, what="it ends by itself")

    await gateway.process.terminate(STOP_SECONDS)
    assert gateway.process.returncode == 2
    assert gateway.lines == [
        f"configuration: GATEWAY_BOT_TOKEN_FILE: {file} cannot be read: FileNotFoundError"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "is empty"), ("two words", "is no bot token"), ("1:to/ken", "is no bot token")],
    ids=["empty", "words", "no token"],
)
async def test_what_is_no_token_is_none(platform, tmp_path, text, sentence):
    file = tmp_path / "token"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=f"^GATEWAY_BOT_TOKEN_FILE: {file} {sentence}"):
        platform.settings(bot_token_file=str(file)).token()


async def test_a_secret_that_telegram_would_refuse_is_said_at_the_start(platform, tmp_path):
    file = tmp_path / "secret"
    file.write_text("not.for.telegram")
    given = platform.settings(mode="webhook", webhook_secret_file=str(file))

    with pytest.raises(ConfigurationError, match=r"GATEWAY_WEBHOOK_SECRET_FILE: .* is not what"):
        given.webhook_guard(SystemClock())


async def test_a_webhook_without_a_secret_and_a_bot_without_a_token_are_refused(platform):
    with pytest.raises(ValidationError, match="GATEWAY_WEBHOOK_SECRET or …_FILE is required"):
        platform.settings(mode="webhook")
    with pytest.raises(ValidationError, match="missing, and so is bot_token_file"):
        platform.settings(bot_token="")
    with pytest.raises(ValidationError, match="must be longer than webhook_secret_wait"):
        platform.settings(mode="webhook", webhook_secret="x", webhook_secret_overlap=100)


async def _is(count, wanted):
    return await count == wanted


async def _not(found):
    return not await found
