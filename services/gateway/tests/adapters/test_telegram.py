"""The Bot API client: every failure gets the name of what to do next, none names the token."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
import pytest_asyncio

from devstack.testing import free_port
from gateway.adapters.polling import Polling
from gateway.adapters.telegram import (
    BlockedError,
    ConflictError,
    FileTooLargeError,
    GoneError,
    RejectedError,
    StaleFileError,
    Telegram,
    ThrottledError,
    UnauthorizedError,
    UnchangedError,
    UnreachableError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECOND = timedelta(seconds=1)


def client(platform, **changes) -> Telegram:
    settings = {"token": lambda: platform.telegram.token, "api_url": platform.telegram.url}
    return Telegram(**{**settings, "timeout": SECOND, **changes})


@pytest_asyncio.fixture(loop_scope="module")
async def telegram(platform):
    telegram = client(platform)
    yield telegram
    await telegram.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "429", "retry_after": 7}, ThrottledError),
        ({"kind": "403"}, BlockedError),
        ({"kind": "400", "description": "Bad Request: chat not found"}, BlockedError),
        ({"kind": "400", "description": "Bad Request: message is not modified"}, UnchangedError),
        ({"kind": "400", "description": "Bad Request: message to edit not found"}, GoneError),
        ({"kind": "400", "description": "Bad Request: wrong file identifier"}, StaleFileError),
        ({"kind": "400", "description": "Bad Request: can't parse entities"}, RejectedError),
        ({"kind": "500"}, UnreachableError),
        ({"kind": "502", "html": True}, UnreachableError),
        ({"kind": "reset"}, UnreachableError),
        ({"kind": "hang", "seconds": 5}, UnreachableError),
    ],
)
async def test_a_failure_has_a_name(platform, person, telegram, fault, expected):
    kind = fault.pop("kind")
    await platform.people.fault(kind, method="sendMessage", times=1, **fault)

    with pytest.raises(expected) as raised:
        await telegram.call("sendMessage", {"chat_id": person, "text": "hi"})

    assert raised.type is expected
    assert platform.telegram.token not in str(raised.value)
    if expected is ThrottledError:
        assert raised.value.retry_after == timedelta(seconds=7)


async def test_a_wrong_token_and_a_dead_server_never_name_the_token(platform):
    wrong = client(platform, token=lambda: "1:wrong-secret")
    dead = client(platform, api_url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(UnauthorizedError) as refused:
        await wrong.call("getMe")
    with pytest.raises(UnreachableError) as unreachable:
        await dead.call("getMe")

    for raised in (refused, unreachable):
        assert "secret" not in repr(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert await dead.ready() is not None or dead.problem
    await wrong.close()
    await dead.close()


async def test_polling_beside_a_webhook_is_a_conflict(platform, telegram):
    await telegram.call("setWebhook", {"url": "http://127.0.0.1:9/x", "secret_token": "s"})

    with pytest.raises(ConflictError):
        await telegram.call("getUpdates", {"timeout": 0})

    await telegram.call("deleteWebhook")


async def test_a_local_servers_file_is_taken_from_its_disk(platform, tmp_path):
    local = client(platform, local=True)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 1_000)

    size = await local.download(str(source), target, bytes_max=1_000, timeout=SECOND)

    assert size == 1_000
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(FileTooLargeError):
        await local.download(str(source), target, bytes_max=999, timeout=SECOND)
    await local.close()


async def test_a_download_stops_at_the_limit_whatever_was_announced(
    platform, person, telegram, tmp_path
):
    sent = await platform.people.send_file(person, b"y" * 300_000, name="a.bin", as_document=True)
    message = (await platform.people.messages(person, after=sent["message_id"] - 1))[0]
    file = await telegram.call("getFile", {"file_id": message["raw"]["document"]["file_id"]})

    with pytest.raises(FileTooLargeError):
        await telegram.download(
            file["file_path"], tmp_path / "a", bytes_max=299_999, timeout=SECOND
        )


async def test_a_leader_that_no_longer_asks_for_updates_is_not_alive():
    """Whatever else is still sent: only its own loop counts."""
    now = asyncio.get_running_loop().time()
    sending, lease = SimpleNamespace(bot_id=1, attempted_at=now), SimpleNamespace(held=True)
    needs = {"owner": "a", "timeout": timedelta(seconds=25), "make_lease": lambda *_, **__: lease}
    polling = Polling(sending, None, None, None, **needs)

    polling._asked_at = now - 170
    assert await polling.stalled() is None
    polling._asked_at = now - 190
    assert (await polling.stalled()).startswith("no call for updates in 190 s")
    lease.held = False
    assert await polling.stalled() is None
