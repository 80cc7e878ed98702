"""A person writes, the bot answers: by polling and by webhook."""

from contracts.billing import OpenAccount

from chassis.testing import drain


async def test_start_is_answered_and_opens_an_account(platform):
    await platform.start()

    await platform.people.say(77, "/start")
    answer = await platform.people.wait_message(77)

    assert answer["buttons"]
    commands = await platform.rows("SELECT body FROM outbox WHERE subject = $1", OpenAccount.subject)
    assert [OpenAccount.decode(row["body"]).user_id for row in commands] == [77]


async def test_a_webhook_update_is_answered(platform, free_port):
    await platform.start(
        mode="webhook",
        webhook_port=free_port,
        webhook_secret="s3cret",
        webhook_url=f"http://127.0.0.1:{free_port}/telegram",
    )

    await platform.people.say(78, "/balance")
    answer = await platform.people.wait_message(78)

    assert "20" in answer["text"]
    await drain(lambda: _no_updates_waiting(platform), what="the update is acknowledged")


async def _no_updates_waiting(platform) -> bool:
    state = await platform.broker.api("STREAM.INFO.UPDATES")
    return state["state"]["messages"] == 0
