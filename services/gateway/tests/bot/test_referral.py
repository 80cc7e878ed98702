from datetime import UTC, datetime

from contracts import billing, rewards
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def told(chat):
    return [screen.text for _, screen in await chat.deliveries("send")]


async def test_the_link_and_what_it_brought_are_shown(chat):
    chat.billing[rewards.GetRewards] = rewards.Rewards(
        referral_code="q7Xw", invited=3, earned_credits=21, pending_credits=2
    )

    screen = (await chat.send("/invite"))[0].screen

    assert chat.asked == [rewards.GetRewards(user_id=chat.user_id)]
    assert "<code>https://t.me/vitrine_bot?start=ref_q7Xw</code>" in screen.text
    assert "3 people came by it." in screen.text
    assert "You earned 21 credits." in screen.text
    assert "On the way: 2 credits." in screen.text
    assert "start%3Dref_q7Xw" in screen.buttons[0][0].url


async def test_the_menu_button_shows_the_same(chat):
    chat.billing[rewards.GetRewards] = rewards.Rewards(referral_code="q7Xw")

    answers = await chat.tap(pack(OpenPage(callbacks.INVITE)))

    text = next(answer.screen.text for answer in answers if answer.kind == "edit")
    assert "Nobody came by it yet." in text
    assert "On the way" not in text


async def test_without_a_code_or_a_name_there_is_no_broken_link(chat):
    assert "not answering" in (await chat.send("/invite"))[0].screen.text
    chat.billing[rewards.GetRewards] = rewards.Rewards(referral_code="")
    assert "not answering" in (await chat.send("/invite"))[0].screen.text
    chat.billing[rewards.GetRewards] = rewards.Rewards(referral_code="q7Xw")
    chat.links.name = ""

    answers = await chat.tap(pack(OpenPage(callbacks.INVITE)))

    assert [answer.kind for answer in answers] == ["toast"]


async def test_a_referral_link_counts_for_newcomers_only(chat):
    await chat.send("/start ref_q7Xw")
    again = await chat.send("/start ref_other")

    opened = await chat.emitted(billing.OpenAccount)
    assert [command.deep_link for command in opened] == ["ref_q7Xw"]
    assert ["Welcome" in answer.screen.text for answer in again] == [True]


async def test_both_are_told_of_an_invitation(chat):
    await chat.send("/start")
    referrer, newcomer = chat.user_id, chat.user_id + 1
    chat.user_id = newcomer
    await chat.send("/start ref_q7Xw")

    for credits_ in (5, 0):
        await chat.receive(
            rewards.ReferralJoined(
                user_id=referrer, newcomer_id=newcomer, newcomer_credits=credits_
            )
        )

    assert await told(chat) == ["🎁 You came by invitation: 5 credits on top."]
    chat.user_id = referrer
    texts = await told(chat)
    assert texts == ["👋 Somebody new came by your link!"] * 2


async def test_earnings_are_told(chat):
    await chat.send("/start")

    await chat.receive(rewards.ReferralEarned(user_id=chat.user_id, newcomer_id=1, credits=4))

    assert await told(chat) == ["💰 Your invitation brought you 4 credits."]


async def test_credits_that_will_expire_are_told_with_the_time_of_the_person(chat):
    chat.language_code = "ru"
    await chat.send("/start")

    await chat.receive(
        rewards.LotExpiring(user_id=chat.user_id, lot="bonus", credits=21, expires_at=NOW)
    )

    assert await told(chat) == [
        "⏳ 21 кредит (бонус) сгорит 21 нояб., 15:00 (Europe/Moscow). Успейте потратить!"
    ]
