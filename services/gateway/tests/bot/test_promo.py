import pytest

from contracts import errors, rewards
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import OpenPage, pack


async def codes(chat):
    return [command.code for command in await chat.emitted(rewards.RedeemPromo)]


async def test_a_code_with_the_command_is_redeemed_at_once(chat):
    answers = await chat.send("/promo spring-26")

    assert await codes(chat) == ["SPRING-26"]
    assert "Checking <code>SPRING-26</code>" in answers[0].screen.text
    assert answers[0].key == keys.promo("SPRING-26")


async def test_the_menu_asks_for_the_code_and_takes_the_next_words(chat):
    asked = await chat.tap(pack(OpenPage(callbacks.PROMO)))
    answers = await chat.send("spring")

    assert "Send me your promo code" in asked[-1].screen.text
    assert await codes(chat) == ["SPRING"]
    assert "Checking" in answers[0].screen.text
    assert "Checking" not in (await chat.send("spring"))[0].screen.text


async def test_words_that_cannot_be_a_code_are_asked_for_again(chat):
    await chat.send("/promo")

    answers = await chat.send("two words")

    assert "does not look like" in answers[0].screen.text
    assert await codes(chat) == []
    await chat.send("ONEWORD")
    assert await codes(chat) == ["ONEWORD"]


@pytest.mark.parametrize("way", ["/cancel", "/start", "menu"])
async def test_leaving_means_that_words_are_words_again(chat, way):
    await chat.send("/promo")

    await (chat.tap(pack(OpenPage(callbacks.HOME))) if way == "menu" else chat.send(way))
    await chat.send("SPRING")

    assert await codes(chat) == []


async def test_a_link_redeems_for_newcomers_and_for_others(chat):
    new = await chat.send("/start promo_SPRING")
    known = await chat.send("/start promo_SUMMER")

    assert await codes(chat) == ["SPRING", "SUMMER"]
    assert ["Welcome" in answer.screen.text for answer in new] == [True, False]
    assert ["Checking" in answer.screen.text for answer in known] == [True]


async def test_what_the_code_brought_is_said_on_the_message_that_checked_it(chat):
    await chat.send("/promo SPRING")

    for kind, value in (("credits", 25), ("discount", 20), ("tier", 1)):
        await chat.receive(
            rewards.PromoRedeemed(
                user_id=chat.user_id,
                code="SPRING",
                kind=kind,
                value=value,
                tier="vip" if kind == "tier" else "",
                available_credits=45,
            )
        )

    told = await chat.deliveries("edit")
    assert {key for key, _ in told} == {keys.promo("SPRING")}
    texts = [screen.text for _, screen in told]
    assert "brought you 25 credits" in texts[0]
    assert "You have 45 credits now." in texts[0]
    assert "20% off" in texts[1]
    assert "1 day of VIP" in texts[2]


async def test_a_refused_code_says_why_and_offers_another_where_that_helps(chat):
    await chat.send("/promo SPRING")

    for reason in (errors.PROMO_UNKNOWN, errors.PROMO_TOO_MANY):
        await chat.receive(rewards.PromoRefused(user_id=chat.user_id, code="SPRING", reason=reason))

    (_, unknown), (_, too_many) = await chat.deliveries("edit")
    another = pack(OpenPage(callbacks.PROMO, fresh=True))
    assert "There is no promo code <code>SPRING</code>" in unknown.text
    assert another in [row[0].data for row in unknown.buttons]
    assert "too many wrong codes" in too_many.text
    assert another not in [row[0].data for row in too_many.buttons]
