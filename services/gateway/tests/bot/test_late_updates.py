"""An update worked after a newer one (a killed replica's, a parked one) is an older word."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.clock import new_id
from contracts.ids import uuid7_time
from contracts.payments import ChangeSubscription, GetOffers, Offers, Subscribed
from contracts.vpn import Access, GetAccess, SetAccessOptions
from gateway.domain.access_buttons import AUTO_RENEW, SetOption, SetZone
from gateway.domain.callbacks import SetLanguage, pack
from gateway.domain.packed_ids import mark
from gateway.domain.purchase_buttons import ChangeRenewals
from gateway.domain.screens import menu


@pytest.fixture
def newer():
    return datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
def older(newer):
    return newer - timedelta(seconds=3)


def edited(answers):
    return [answer.screen.text for answer in answers if answer.kind == "edit"][-1]


def toasts(answers):
    return [answer.text for answer in answers if answer.kind == "toast"]


async def ids_of(chat, kind):
    """The ids under which a person's commands of one kind go out."""
    async with chat.outbox.database.read() as connection:
        rows = await connection.fetch(
            "SELECT id, body FROM outbox WHERE subject = $1 ORDER BY id", kind.subject
        )
    return [row["id"] for row in rows if kind.decode(row["body"]).user_id == chat.user_id]


async def test_an_older_choice_of_the_language_changes_nothing(chat, older, newer):
    await chat.tap(pack(SetLanguage("ru")), came=newer)

    answers = await chat.tap(pack(SetLanguage("en")), came=older)

    assert await chat.one("SELECT language FROM persons WHERE user_id = $1", chat.user_id) == "ru"
    assert [each.language for each in await chat.emitted(SetAccessOptions)] == ["ru"]
    assert edited(answers) == menu.home(chat.shop.texts.say("ru")).text
    assert toasts(answers) == [""]


async def test_an_older_choice_of_the_zone_changes_nothing(chat, older, newer):
    await chat.tap(pack(SetZone("Asia/Tokyo")), came=newer)

    answers = await chat.tap(pack(SetZone("Europe/Berlin")), came=older)

    zone = "SELECT time_zone FROM persons WHERE user_id = $1"
    assert await chat.one(zone, chat.user_id) == "Asia/Tokyo"
    assert [each.time_zone for each in await chat.emitted(SetAccessOptions)] == ["Asia/Tokyo"]
    assert "Asia/Tokyo" in edited(answers)


async def test_a_late_choice_stands_if_nothing_newer_was_chosen(chat, older, newer):
    """VPN hears it under an id of now: the zone's command, of before, named the old language."""
    await chat.tap(pack(SetZone("Asia/Tokyo")), came=newer)

    await chat.tap(pack(SetLanguage("ru")), came=older)

    assert [each.language for each in await chat.emitted(SetAccessOptions)] == ["en", "ru"]
    first, second = await ids_of(chat, SetAccessOptions)
    assert uuid7_time(first) > newer
    assert uuid7_time(second) >= uuid7_time(first)


async def test_who_started_the_bot_again_is_not_taken_for_gone(chat, older, newer):
    await chat.send("/start")
    await chat.membership("member", came=newer)

    await chat.membership("kicked", came=older)

    blocked = "SELECT blocked_at FROM persons WHERE user_id = $1"
    assert await chat.one(blocked, chat.user_id) is None


async def test_what_was_said_before_the_bot_was_stopped_does_not_start_it(chat, older, newer):
    await chat.membership("kicked", came=newer)

    await chat.tap(pack(SetZone("Asia/Tokyo")), came=older)

    blocked = "SELECT blocked_at FROM persons WHERE user_id = $1"
    assert await chat.one(blocked, chat.user_id) is not None
    await chat.send("/help")
    assert await chat.one(blocked, chat.user_id) is None


async def test_an_option_goes_on_as_said_when_it_was_tapped(chat, older, newer):
    """Else vpn, which goes by the id's time, would take it for newer than what it heard since."""
    chat.billing[GetOffers] = Offers()
    chat.billing[GetAccess] = Access(exists=True, state="active", auto_renew=True)

    await chat.tap(pack(SetOption(AUTO_RENEW, on=False)), came=newer)
    late = await chat.tap(pack(SetOption(AUTO_RENEW, on=True)), came=older)

    assert [each.auto_renew for each in await chat.emitted(SetAccessOptions)] == [False]
    (said,) = await ids_of(chat, SetAccessOptions)
    assert abs(uuid7_time(said) - newer) <= timedelta(milliseconds=1)
    assert toasts(late) == [""]


@pytest.fixture
def wish(chat):
    """Tap what shall become of renewals that are in some state."""
    charge = f"stx{new_id()}"

    async def tap(*, cancelled, state, came):
        until = came + timedelta(days=3)
        known = Subscribed(charge_id=charge, plan_id="vip_30", state=state, until=until)
        chat.billing[GetOffers] = Offers(subscriptions=(known,))
        return await chat.tap(pack(ChangeRenewals(mark(charge), cancelled=cancelled)), came=came)

    return tap


async def test_of_two_wishes_about_renewals_the_newer_one_is_asked(chat, wish, older, newer):
    """They reach billing with the times of the taps, in whatever order they are worked."""
    first = await wish(cancelled=True, state="active", came=newer)
    late = await wish(cancelled=False, state="cancelled", came=older)

    assert [each.cancelled for each in await chat.emitted(ChangeSubscription)] == [True]
    (said,) = await ids_of(chat, ChangeSubscription)
    assert abs(uuid7_time(said) - newer) <= timedelta(milliseconds=1)
    assert toasts(first) == ["Asking Telegram…"]
    assert toasts(late) != toasts(first)


async def test_a_wish_that_all_shall_stay_as_it_is_outlives_an_older_one(chat, wish, older, newer):
    await wish(cancelled=False, state="active", came=newer)

    await wish(cancelled=True, state="active", came=older)

    assert [each.cancelled for each in await chat.emitted(ChangeSubscription)] == [False]


async def test_who_changes_their_mind_while_the_first_wish_is_under_way(chat, wish, older, newer):
    """Resume is on its way to Telegram, billing still says stopped: "so already" is not enough."""
    await wish(cancelled=False, state="cancelled", came=older)

    await wish(cancelled=True, state="cancelled", came=newer)

    asked = await chat.emitted(ChangeSubscription)
    assert [each.cancelled for each in asked] == [False, True]
