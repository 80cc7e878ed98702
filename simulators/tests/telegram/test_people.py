"""What people do: buttons, blocking, groups, payments; and what the control API shows."""

import asyncio

import aiohttp
import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LabeledPrice

from simulators.telegram.testing import button

USER = 10
GO = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Go", callback_data="go:1")]])


@pytest.fixture(autouse=True)
async def chat(control):
    await control.say(USER, "/start")


async def test_a_press_becomes_a_query_and_its_answer_a_toast(bot, control, wait_update):
    await bot.send_message(USER, "ready?", reply_markup=GO)
    message = await control.wait_message(USER)

    pressed = await control.press(USER, message["message_id"], button(message, "Go"))
    query = (await wait_update(bot, "callback_query")).callback_query
    await bot.answer_callback_query(query.id, text="Started", show_alert=True)

    assert query.id == pressed["callback_query_id"]
    assert (query.data, query.message.text, query.from_user.id) == ("go:1", "ready?", USER)
    [entry] = (await control.wait_message(USER))["callbacks"]
    assert entry["answer"] == {"text": "Started", "show_alert": True, "url": None}


async def test_a_query_is_answered_once_and_in_time(bot, control):
    sent = await bot.send_message(USER, "ready?", reply_markup=GO)
    first = await control.press(USER, sent.message_id, "go:1")
    second = await control.press(USER, sent.message_id, "go:1")

    await bot.answer_callback_query(first["callback_query_id"])
    with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired"):
        await bot.answer_callback_query(first["callback_query_id"])
    await control.call("POST", "/clock", json={"advance": 3_600})
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await bot.answer_callback_query(second["callback_query_id"])


async def test_forged_data_and_buttons_of_deleted_messages_reach_the_bot(bot, control, wait_update):
    sent = await bot.send_message(USER, "ready?", reply_markup=GO)
    await bot.delete_message(USER, sent.message_id)

    await control.press(USER, sent.message_id, "forged")
    query = (await wait_update(bot, "callback_query")).callback_query

    assert query.data == "forged"
    assert query.message.date == 0


async def test_deleted_messages_leave_the_list_and_show_as_changes(bot, control):
    sent = await bot.send_message(USER, "oops")
    seq = (await control.call("GET", f"/chats/{USER}/messages"))["seq"]
    await bot.delete_message(USER, sent.message_id)

    listed = await control.messages(USER, after=sent.message_id - 1)
    changed = await control.messages(USER, changed_after=seq)

    assert listed == []
    assert [(m["message_id"], m["deleted"]) for m in changed] == [(sent.message_id, True)]


async def test_waiting_for_messages_ends_when_one_comes(bot, control):
    seq = (await control.call("GET", f"/chats/{USER}/messages"))["seq"]
    waiting = asyncio.create_task(control.messages(USER, changed_after=seq, wait=10))
    await asyncio.sleep(0.05)  # proves that it does not end: an answer at once would be here
    assert not waiting.done()

    await bot.send_message(USER, "here")

    assert [m["text"] for m in await waiting] == ["here"]


async def test_a_blocked_bot_gets_403_until_it_is_unblocked(bot, control):
    await control.call("POST", f"/users/{USER}/block")

    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(USER, "hi")
    [update] = [u for u in await bot.get_updates() if u.my_chat_member]
    assert update.my_chat_member.new_chat_member.status == "kicked"

    await control.call("POST", f"/users/{USER}/unblock")
    await bot.send_message(USER, "hi again")


async def test_users_have_names_and_languages(bot, control):
    await control.user(11, first_name="Анна", username="anna", language_code="ru")
    await control.say(11, "привет")

    update = (await bot.get_updates(offset=-1))[0]
    users = (await control.call("GET", "/users"))["users"]

    sender = update.message.from_user
    assert (sender.first_name, sender.username, sender.language_code) == ("Анна", "anna", "ru")
    assert {u["id"] for u in users} == {USER, 11}


async def test_groups(bot, control):
    await control.call("PUT", "/chats/-100", json={"title": "Alerts", "members": [USER]})
    await control.say(USER, "hello all", chat_id=-100)

    update = (await bot.get_updates(offset=-1))[0]
    await bot.send_message(-100, "an alert")

    assert (update.message.chat.id, update.message.chat.title) == (-100, "Alerts")
    assert (await control.wait_message(-100))["text"] == "an alert"
    await control.call("POST", f"/chats/-100/members/{bot.id}", json={"status": "kicked"})
    with pytest.raises(TelegramForbiddenError, match="bot was kicked from the supergroup chat"):
        await bot.send_message(-100, "hi")


async def test_edited_messages_and_drafts(bot, control):
    made = await control.say(USER, "helo")
    body = {"message_id": made["message_id"], "text": "hello"}
    await control.call("POST", f"/users/{USER}/edits", json=body)
    await bot.send_message_draft(USER, draft_id=3, text="thinking", can_stop=True)
    stopped = await control.call("POST", f"/users/{USER}/stop-draft")

    updates = await bot.get_updates(offset=-2)

    assert updates[0].edited_message.text == "hello"
    assert updates[1].update_id == stopped["update_id"]
    assert updates[1].stopped_message_generation.draft_id == 3


# --- payments --------------------------------------------------------------------------------


async def invoice(bot, **changes):
    wish = {
        "title": "100 credits",
        "description": "For pictures",
        "payload": "pay-1",
        "currency": "XTR",
        "prices": [LabeledPrice(label="100 credits", amount=50)],
    }
    return await bot.send_invoice(USER, **{**wish, **changes})


async def test_stars_are_paid_after_the_bots_yes(bot, control, wait_update):
    sent = await invoice(bot)
    assert sent.reply_markup.inline_keyboard[0][0].pay
    paying = asyncio.create_task(control.pay(USER, message_id=sent.message_id))

    query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query
    await bot.answer_pre_checkout_query(query.id, ok=True)
    outcome = await paying
    paid = (await bot.get_updates(offset=-1))[0].message.successful_payment

    assert (query.invoice_payload, query.total_amount, query.currency) == ("pay-1", 50, "XTR")
    assert outcome["status"] == "paid"
    assert paid.telegram_payment_charge_id == outcome["telegram_payment_charge_id"]
    assert (await bot.get_my_star_balance()).amount == 50
    await bot.refund_star_payment(USER, paid.telegram_payment_charge_id)
    with pytest.raises(TelegramBadRequest, match="CHARGE_ALREADY_REFUNDED"):
        await bot.refund_star_payment(USER, paid.telegram_payment_charge_id)
    transactions = (await bot.get_star_transactions()).transactions
    assert [(t.amount, t.source is None) for t in transactions] == [(50, False), (50, True)]
    assert (await bot.get_my_star_balance()).amount == 0


async def paid(bot, control, wait_update):
    sent = await invoice(bot)
    paying = asyncio.create_task(control.pay(USER, message_id=sent.message_id))
    query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query
    await bot.answer_pre_checkout_query(query.id, ok=True)
    return (await paying)["telegram_payment_charge_id"]


async def test_a_payer_can_have_the_money_called_back(bot, control, wait_update):
    told, silent = [await paid(bot, control, wait_update) for _ in range(2)]

    made = await control.charge_back(USER, told)
    nothing = await control.charge_back(USER, silent, silent=True)

    last = (await bot.get_updates(offset=-1))[0]
    assert (last.update_id, nothing["update_id"]) == (made["update_id"], None)
    assert last.message.refunded_payment.telegram_payment_charge_id == told
    transactions = (await bot.get_star_transactions()).transactions
    assert {each.id for each in transactions if each.receiver} == {told, silent}
    with pytest.raises(TelegramBadRequest, match="CHARGE_ALREADY_REFUNDED"):
        await bot.refund_star_payment(USER, silent)
    with pytest.raises(AssertionError, match="it went back before"):
        await control.charge_back(USER, told)


async def test_a_charge_back_can_be_ordered_before_anybody_pays(bot, control, wait_update):
    fault = {"kind": "charge_back", "chat_id": USER, "times": 1}
    await control.call("POST", "/faults", json=fault)

    first = await paid(bot, control, wait_update)
    await paid(bot, control, wait_update)

    transactions = (await bot.get_star_transactions()).transactions
    assert [each.id for each in transactions if each.receiver] == [first]
    assert (await bot.get_my_star_balance()).amount == 50


async def test_a_refused_checkout_costs_nothing(bot, control, wait_update):
    sent = await invoice(bot)
    paying = asyncio.create_task(control.pay(USER, message_id=sent.message_id))
    query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query

    await bot.answer_pre_checkout_query(query.id, ok=False, error_message="Sold out")

    outcome = await paying
    assert (outcome["status"], outcome["error_message"]) == ("refused", "Sold out")
    assert (await bot.get_my_star_balance()).amount == 0


async def test_a_silent_bot_loses_the_payment_after_ten_seconds(bot, control, wait_update):
    sent = await invoice(bot)
    paying = asyncio.create_task(control.pay(USER, message_id=sent.message_id))
    query = (await wait_update(bot, "pre_checkout_query")).pre_checkout_query

    await control.call("POST", "/clock", json={"advance": 10})

    assert (await paying)["status"] == "timeout"
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await bot.answer_pre_checkout_query(query.id, ok=True)


async def test_a_subscription_renews_under_a_new_charge(bot, control, pay_subscription):
    charge = await pay_subscription(bot, USER)

    renewed = await control.call("POST", f"/users/{USER}/charges/{charge}/renew")
    messages = [u.message for u in await bot.get_updates(offset=-2)]
    first, second = (message.successful_payment for message in messages)

    assert (first.is_first_recurring, second.is_first_recurring) == (True, None)
    assert second.telegram_payment_charge_id == renewed["telegram_payment_charge_id"] != charge
    assert first.invoice_payload == second.invoice_payload


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"payload": "x" * 129}, "INVOICE_PAYLOAD_INVALID"),
        ({"title": "x" * 33}, "INVOICE_TITLE_INVALID"),
        ({"prices": []}, "there must be at least one price"),
        ({"prices": [LabeledPrice(label="a", amount=1)] * 2}, "STARS_INVOICE_INVALID"),
        ({"currency": "EUR"}, "PAYMENT_PROVIDER_INVALID"),
    ],
)
async def test_wrong_invoices_are_refused(bot, changes, reason):
    with pytest.raises(TelegramBadRequest, match=reason):
        await invoice(bot, **changes)


# --- the control API itself ------------------------------------------------------------------


async def test_calls_are_logged_with_their_times(bot, control):
    await bot.send_message(USER, "hi")
    with pytest.raises(TelegramBadRequest):
        await bot.send_message(999, "hi")

    calls = await control.calls("sendMessage")
    later = await control.calls("sendMessage", after=calls[0]["id"])

    assert [(c["chat_id"], c["status"]) for c in calls] == [(USER, 200), (999, 400)]
    assert calls[0]["received_at"] < calls[1]["received_at"]
    assert calls[1]["error"] == "Bad Request: chat not found"
    assert later == calls[1:]


async def test_reset_forgets_everything(bot, control):
    await control.fault("500")
    await control.reset()

    assert (await control.call("GET", "/users"))["users"] == []
    assert await control.messages(USER) == []
    assert await bot.get_updates() == []


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", f"/users/{USER}/messages", {}, 400),
        ("POST", "/users/abc/messages", {"text": "x"}, 400),
        ("POST", f"/users/{USER}/callbacks", {"message_id": 1, "data": "x"}, 404),
        ("POST", f"/users/{USER}/photos", {}, 400),
        ("POST", f"/users/{USER}/pay", {"message_id": 1}, 404),
        ("PUT", f"/users/{USER}", {"colour": "red"}, 400),
        ("GET", "/chats/999", None, 404),
    ],
)
async def test_wrong_control_calls_say_what_is_wrong(sim, verb, path, body, status):
    async with aiohttp.ClientSession() as session:
        async with session.request(verb, f"{sim.url}/control{path}", json=body) as response:
            answer = await response.json()

    assert response.status == status
    assert answer["ok"] is False
    assert answer["error"]


async def test_events_tell_the_page_what_changed(sim, bot):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{sim.url}/control/events") as events:
            await events.content.readuntil(b"\n\n")
            await bot.send_message(USER, "live")
            async with asyncio.timeout(30):
                event = await events.content.readuntil(b"\n\n")

    assert b'"type": "message"' in event
    assert '"live"' in event.decode()
