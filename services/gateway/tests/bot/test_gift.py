from datetime import UTC, datetime

import pytest

from chassis.errors import TransientError
from contracts import billing, errors, rewards
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import ChooseGift, ConfirmGift, OpenPage, pack, parse

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def bought(amount):
    lots = (billing.LotBalance(lot="paid", remaining_credits=amount),)
    return billing.Balance(user_id=1, available_credits=amount, lots=lots)


def taps(screen):
    return [parse(button.data) for row in screen.buttons for button in row]


def shown(answers):
    return next(answer.screen for answer in answers if answer.screen is not None)


def made(chat, gift_id):
    return rewards.GiftMade(
        gift_id=gift_id,
        user_id=chat.user_id,
        credits=50,
        code="AbC-12_x",
        expires_at=NOW,
        available_credits=10,
    )


async def confirmed(chat):
    """The screen that asks whether 50 credits are really meant; returns its ConfirmGift."""
    chat.billing[billing.GetBalance] = bought(60)
    confirm = taps(shown(await chat.tap(pack(ChooseGift(50)))))[0]
    assert isinstance(confirm, ConfirmGift)
    return confirm


async def test_only_amounts_one_has_are_offered(chat):
    chat.billing[billing.GetBalance] = bought(60)

    screen = (await chat.send("/gift"))[0].screen

    offered = [tap for tap in taps(screen) if isinstance(tap, ChooseGift)]
    assert offered == [ChooseGift(10), ChooseGift(50)]
    assert "up to 60 credits" in screen.text


async def test_who_bought_nothing_can_give_nothing(chat):
    lots = (billing.LotBalance(lot="trial", remaining_credits=20),)
    chat.billing[billing.GetBalance] = billing.Balance(user_id=1, available_credits=20, lots=lots)

    screen = (await chat.send("/gift"))[0].screen
    answers = await chat.tap(pack(ChooseGift(10)))

    assert "Only credits you bought" in screen.text
    assert not any(isinstance(tap, ChooseGift) for tap in taps(screen))
    assert [answer.kind for answer in answers] == ["toast"]


async def test_nothing_is_given_before_it_is_confirmed(chat):
    confirm = await confirmed(chat)

    assert confirm.credits == 50
    assert await chat.emitted(rewards.MakeGift) == []


async def test_five_taps_ask_for_one_gift(chat):
    confirm = await confirmed(chat)

    for _ in range(5):
        answers = await chat.tap(pack(confirm))
        assert [answer.text for answer in answers if answer.kind == "toast"] == [
            "Setting the credits aside…"
        ]

    asked = await chat.emitted(rewards.MakeGift)
    expected = rewards.MakeGift(gift_id=confirm.gift_id, user_id=chat.user_id, credits=50)
    assert set(asked) == {expected}


async def test_two_screens_are_two_gifts(chat):
    first, second = await confirmed(chat), await confirmed(chat)

    assert first.gift_id != second.gift_id


async def test_an_amount_of_ones_own_is_typed(chat):
    chat.billing[billing.GetBalance] = bought(60)
    await chat.tap(pack(OpenPage(callbacks.GIFT_OWN)))

    wrong = await chat.send("61")
    right = await chat.send("37")
    later = await chat.send("37")

    assert "from 1 to 60" in wrong[0].screen.text
    confirm = taps(right[0].screen)[0]
    assert isinstance(confirm, ConfirmGift)
    assert confirm.credits == 37
    assert not any(isinstance(tap, ConfirmGift) for tap in taps(later[0].screen))


async def test_cancel_leaves_the_question_for_an_amount(chat):
    chat.billing[billing.GetBalance] = bought(60)
    await chat.tap(pack(OpenPage(callbacks.GIFT_OWN)))

    await chat.send("/cancel")
    answers = await chat.send("37")

    assert not any(isinstance(tap, ConfirmGift) for tap in taps(answers[0].screen))


async def test_the_confirming_message_becomes_the_link(chat):
    confirm = await confirmed(chat)
    await chat.tap(pack(confirm))

    await chat.receive(made(chat, confirm.gift_id))

    ((key, screen),) = await chat.deliveries("edit")
    assert key == keys.gift(confirm.gift_id)
    assert "<code>https://t.me/vitrine_bot?start=gift_AbC-12_x</code>" in screen.text
    assert "You have 10 credits now." in screen.text
    assert screen.buttons[0][0].url.startswith("https://t.me/share/url?url=https%3A%2F%2Ft.me")


async def test_a_link_that_cannot_be_written_yet_is_tried_again(chat):
    await chat.send("/start")
    chat.links.name = ""

    with pytest.raises(TransientError):
        await chat.receive(made(chat, chat.shop.new_id()))

    assert await chat.deliveries() == []


async def test_a_gifts_link_opens_it_for_newcomers_and_for_others(chat):
    new = await chat.send("/start gift_AbC-12_x")
    known = await chat.send("/start gift_other")

    opened = await chat.emitted(rewards.OpenGift)
    assert [command.code for command in opened] == ["AbC-12_x", "other"]
    assert ["Welcome" in answer.screen.text for answer in new] == [True, False]
    assert ["Opening the gift" in answer.screen.text for answer in known] == [True]


async def test_both_are_told_that_a_gift_was_opened(chat):
    await chat.send("/start")
    giver = chat.user_id
    opened = rewards.GiftOpened(
        gift_id=chat.shop.new_id(),
        user_id=giver + 1,
        giver_id=giver,
        credits=50,
        available_credits=70,
    )
    chat.user_id = giver + 1
    await chat.send("/start gift_AbC")

    await chat.receive(opened)

    ((_, received),) = await chat.deliveries("send")
    chat.user_id = giver
    ((_, taken),) = await chat.deliveries("send")
    assert "The gift is yours: 50 credits!" in received.text
    assert "You have 70 credits now." in received.text
    assert "Your gift was opened: 50 credits." in taken.text
    assert str(giver + 1) not in taken.text


async def test_refusals_and_returns_are_told(chat):
    await chat.send("/start")

    for reason in (errors.GIFT_OWN, errors.INSUFFICIENT_CREDITS):
        await chat.receive(rewards.GiftRefused(user_id=chat.user_id, reason=reason))
    returned = rewards.GiftReturned(gift_id=chat.shop.new_id(), user_id=chat.user_id, credits=50)
    await chat.receive(returned)

    own, insufficient, back = [screen.text for _, screen in await chat.deliveries("send")]
    assert "your own gift" in own
    assert "that many bought credits" in insufficient
    assert "50 credits came back" in back


async def test_a_withdrawn_gift_says_why_it_came_back(chat):
    await chat.send("/start")

    back = rewards.GiftReturned(
        gift_id=chat.shop.new_id(), user_id=chat.user_id, credits=50, withdrawn=True
    )
    await chat.receive(back)

    ((_, told),) = await chat.deliveries("send")
    assert "The payment your gift was made of is being given back" in told.text
    assert "50 credits came back to you" in told.text
    assert "Nobody opened" not in told.text


async def test_a_gift_that_was_not_made_is_refused_on_the_message_that_asked_for_it(chat):
    confirm = await confirmed(chat)
    await chat.tap(pack(confirm))

    for reason in (errors.INSUFFICIENT_CREDITS, errors.GIFT_OWN):
        refused = rewards.GiftRefused(user_id=chat.user_id, reason=reason, gift_id=confirm.gift_id)
        await chat.receive(refused)

    ((key, screen),) = await chat.deliveries("edit")
    assert key == keys.gift(confirm.gift_id)
    assert "that many bought credits" in screen.text
    ((_, own),) = await chat.deliveries("send")
    assert "your own gift" in own.text, "the message with the link stays"


async def test_billing_that_does_not_answer_is_said_plainly(chat):
    assert "not answering" in (await chat.send("/gift"))[0].screen.text
    for tap in (OpenPage(callbacks.GIFT), OpenPage(callbacks.GIFT_OWN), ChooseGift(10)):
        answers = await chat.tap(pack(tap))
        assert [answer.kind for answer in answers] == ["toast"]
        assert "not answering" in answers[0].text


async def test_a_forged_amount_is_asked_of_billing_for_the_tapper_only(chat):
    confirm = await confirmed(chat)
    giver = chat.user_id
    await chat.tap(pack(confirm))

    await chat.tap(pack(confirm), user_id=giver + 1)

    chat.user_id = giver + 1
    (foreign,) = await chat.emitted(rewards.MakeGift)
    assert foreign.user_id == giver + 1
    chat.user_id = giver
    assert len(await chat.emitted(rewards.MakeGift)) == 1
