from datetime import UTC, datetime

from contracts import billing, gateway, topology
from gateway import consumers

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def told(chat):
    return [screen.text for _, screen in await chat.deliveries("send")]


async def test_a_newcomer_hears_of_the_trial(chat):
    await chat.send("/start")

    await chat.receive(billing.AccountOpened(user_id=chat.user_id, trial_credits=20))

    assert await told(chat) == ["🎁 20 trial credits are yours. Try them: send me a photo."]


async def test_an_account_without_a_trial_is_opened_silently(chat):
    await chat.send("/start")

    await chat.receive(billing.AccountOpened(user_id=chat.user_id, trial_credits=0))

    assert await told(chat) == []


async def test_notices_speak_the_persons_language(chat):
    chat.language_code = "ru"
    await chat.send("/start")

    await chat.receive(
        billing.CreditsGranted(user_id=chat.user_id, credits=2, lot="bonus", reason="x")
    )
    await chat.receive(billing.TrialRenewed(user_id=chat.user_id, credits=20, expires_at=NOW))

    assert await told(chat) == [
        "➕ Вам начислено 2 кредита.",
        "🎁 Пробный период обновлён: 20 кредитов до 21 нояб., 15:00.",
    ]


async def test_a_tier_is_told_with_its_end(chat):
    await chat.send("/start")

    await chat.receive(billing.TierSet(user_id=chat.user_id, tier="black_gold", until=NOW))
    await chat.receive(billing.TierSet(user_id=chat.user_id, tier="none"))

    texts = await told(chat)
    assert "Black Gold</b> until Nov 21, 15:00" in texts[0]
    assert "ended" in texts[1]


async def test_one_who_never_spoke_to_the_bot_is_told_nothing(chat):
    await chat.receive(
        billing.CreditsGranted(user_id=chat.user_id, credits=2, lot="bonus", reason="x")
    )

    assert await chat.deliveries() == []


async def test_one_who_blocked_the_bot_is_told_nothing(chat):
    await chat.send("/start")
    await chat.one(
        "UPDATE persons SET blocked_at = now() WHERE user_id = $1 RETURNING 1", chat.user_id
    )

    await chat.receive(billing.AccountOpened(user_id=chat.user_id, trial_credits=20))

    assert await told(chat) == []


async def test_a_sweep_tick_asks_the_sweeper(chat):
    await chat.receive(gateway.SweepMedia(due_at=NOW))

    assert chat.sweeper.asked == 1


def test_every_event_the_topology_brings_has_a_handler(chat):
    routes = {
        subscription.stream: {route.message.subject for route in subscription.routes}
        for subscription in consumers.table(chat.shop, chat.sweeper)
    }

    assert routes["EVENTS"] == set(topology.GATEWAY_EVENTS)
    assert routes["GATEWAY"] == {
        kind.subject
        for kind in (
            gateway.DeliverResult,
            gateway.SweepMedia,
            gateway.RefundStars,
            gateway.EditStarsSubscription,
            gateway.ReadStarsStatement,
        )
    }
