from datetime import UTC, date, datetime

from contracts import rewards
from gateway.domain import callbacks, keys
from gateway.domain.callbacks import CheckDraw, DrawNow, OpenPage, pack, parse

DAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SEAL = "5e" * 32


def today(**changes):
    fields = {"referral_code": "abc", "draw_day": DAY, "draw_commitment": SEAL}
    return rewards.Rewards(**{**fields, **changes})


def toasts(answers):
    return [answer.text for answer in answers if answer.kind == "toast"]


def edits(answers):
    return [answer for answer in answers if answer.kind == "edit"]


async def drawn(chat, **changes):
    fields = {"prize": "SR", "percent": 30, "valid_until": NOW, "commitment": SEAL}
    event = rewards.DrawTaken(**{"user_id": chat.user_id, "day": DAY, **fields, **changes})
    await chat.receive(event)
    return await chat.deliveries("edit")


async def test_the_prizes_and_the_seal_are_shown_before_anything_is_drawn(chat):
    chat.billing[rewards.GetRewards] = today()

    screen = (await chat.send("/draw"))[0].screen

    assert chat.asked == [rewards.GetRewards(user_id=chat.user_id)]
    assert "SSR</b>: 50% off, with a chance of 5%" in screen.text
    assert SEAL[:16] in screen.text
    assert parse(screen.buttons[0][0].data) == DrawNow(DAY)
    assert await chat.emitted(rewards.TakeDraw) == []


async def test_a_tap_draws_and_its_message_shows_what_was_won(chat):
    chat.billing[rewards.GetRewards] = today()

    answers = await chat.tap(pack(DrawNow(DAY)))
    deliveries = await drawn(chat)

    (asked,) = await chat.emitted(rewards.TakeDraw)
    assert (asked.user_id, asked.day) == (chat.user_id, DAY)
    assert toasts(answers) == ["Drawing…"]
    (shown,) = edits(answers)
    assert shown.key == keys.draw(DAY)
    assert "Drawing" in shown.screen.text
    ((key, screen),) = deliveries
    assert key == keys.draw(DAY)
    assert "You won <b>SR</b>: <b>30% off</b>" in screen.text
    assert "Nov 21, 15:00 (Europe/Moscow)" in screen.text
    assert SEAL[:16] in screen.text


async def test_the_message_that_was_tapped_is_the_one_that_is_edited(chat):
    chat.billing[rewards.GetRewards] = today()

    await chat.tap(pack(DrawNow(DAY)))

    remembered = await chat.one(
        "SELECT message_id FROM messages WHERE chat_id = $1 AND key = $2",
        chat.user_id,
        keys.draw(DAY),
    )
    assert remembered is not None


async def test_drawing_again_shows_what_was_won(chat):
    await chat.send("/start")

    ((_, screen),) = await drawn(chat, repeated=True)

    assert "already drawn today: <b>SR</b>" in screen.text


async def test_a_tap_after_the_draw_draws_nothing(chat):
    chat.billing[rewards.GetRewards] = today(draw_prize="R", draw_percent=15, draw_used=True)

    answers = await chat.tap(pack(DrawNow(DAY)))

    assert await chat.emitted(rewards.TakeDraw) == []
    assert toasts(answers) == ["You have already drawn today."]
    assert "<b>R</b>" in edits(answers)[0].screen.text
    assert "used already" in edits(answers)[0].screen.text


async def test_yesterdays_button_draws_nothing_and_shows_today(chat):
    chat.billing[rewards.GetRewards] = today()

    answers = await chat.tap(pack(DrawNow(date(2026, 11, 20))))

    assert await chat.emitted(rewards.TakeDraw) == []
    assert toasts(answers) == ["A new day has begun. Here is today’s draw."]
    assert parse(edits(answers)[0].screen.buttons[0][0].data) == DrawNow(DAY)


async def test_yesterdays_draw_can_be_verified(chat):
    chat.billing[rewards.GetRewards] = today()
    chat.billing[rewards.GetDrawProof] = rewards.DrawProof(
        day=date(2026, 11, 20), commitment=SEAL, seed="ab" * 32, prize="C", percent=5
    )
    before = (await chat.send("/draw"))[0].screen
    verify = next(button for row in before.buttons for button in row if "yesterday" in button.text)

    answers = await chat.tap(verify.data)

    assert chat.asked[-1] == rewards.GetDrawProof(user_id=chat.user_id, day=date(2026, 11, 20))
    text = next(answer.screen.text for answer in answers if answer.kind == "send")
    assert "ab" * 32 in text
    assert SEAL in text
    assert f"{chat.user_id}:2026-11-20" in text


async def test_billing_that_does_not_answer_is_said_plainly(chat):
    assert "not answering" in (await chat.send("/draw"))[0].screen.text
    for tap in (OpenPage(callbacks.DRAW), DrawNow(DAY), CheckDraw(DAY)):
        answers = await chat.tap(pack(tap))
        assert [answer.kind for answer in answers] == ["toast"]
        assert "not answering" in answers[0].text
    assert await chat.emitted(rewards.TakeDraw) == []
