"""VPN access in the chat: what is shown, what is bought, what a person may choose."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts import payments
from contracts.access import AccessPlan, BuyAccess
from contracts.ids import OrderId, uuid7_time
from contracts.payments import CreatePayment, GetOffers, Method, Offers, Pack
from contracts.vpn import Access, GetAccess, NodeStatus, RotateKey, SetAccessOptions
from gateway.domain.access_buttons import ChooseAccess, ReplaceKey, SetOption, SetZone
from gateway.domain.callbacks import OpenPage, SetLanguage, pack, parse
from gateway.domain.purchase_buttons import ChoosePack, PayWith, TopUpFor

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNTIL = datetime(2026, 12, 21, 12, tzinfo=UTC)
MONTH = AccessPlan(id="vpn_30", price_credits=200, days=30, traffic_gib=100, devices=3)
TRIAL = AccessPlan(id="vpn_trial", price_credits=0, kind="trial", days=3)
TRAFFIC = AccessPlan(id="vpn_50_gib", price_credits=40, kind="traffic", traffic_gib=50)
PACK = Pack(id="credits_300", credits=300, prices={"XTR": 275})
LINK = "https://vpn.example/sub/secret-token"
ACTIVE = Access(
    exists=True,
    subscription_id=uuid4(),
    state="active",
    plan="vpn_30",
    trial_used=True,
    until=UNTIL,
    link=LINK,
    auto_renew=True,
    used_bytes=5 << 29,
    limit_bytes=100 << 30,
    devices=3,
    devices_online=1,
    nodes=(NodeStatus(name="nl-1", region="Netherlands", up=True),),
)


@pytest.fixture(autouse=True)
def shop(chat):
    chat.billing[GetAccess] = Access()
    chat.billing[GetOffers] = offers()


def offers(available=500):
    return Offers(
        access=(TRIAL, MONTH, TRAFFIC),
        packs=(PACK,),
        methods=(Method(provider="stars", currency="XTR"),),
        priced_at=NOW,
        available_credits=available,
    )


def buttons(screen):
    return [button for row in screen.buttons for button in row]


def taps_of(screen, kind):
    return [parse(each.data) for each in buttons(screen) if isinstance(parse(each.data), kind)]


def edited(answers):
    return [answer.screen for answer in answers if answer.kind == "edit"][-1]


def toasts(answers):
    return [answer.text for answer in answers if answer.kind == "toast"]


async def test_a_newcomer_sees_the_trial_and_the_plans_but_no_traffic(chat):
    (answer,) = await chat.send("/vpn")

    chosen = taps_of(answer.screen, ChooseAccess)
    assert chosen == [ChooseAccess("vpn_trial"), ChooseAccess("vpn_30")]
    assert "VPN, 30 days – 200 credits, 100 GB, 3 devices" in answer.screen.text


async def test_whoever_had_the_trial_is_not_offered_it_again(chat):
    chat.billing[GetAccess] = Access(trial_used=True, exists=True, state="ended")

    (answer,) = await chat.send("/vpn")
    tapped = await chat.tap(pack(ChooseAccess("vpn_trial")))

    assert taps_of(answer.screen, ChooseAccess) == [ChooseAccess("vpn_30")]
    assert "had your trial" in toasts(tapped)[0]
    assert await chat.emitted(BuyAccess) == []


async def test_the_trial_is_one_tap(chat):
    answers = await chat.tap(pack(ChooseAccess("vpn_trial")))

    (order,) = await chat.emitted(BuyAccess)
    assert (order.plan_id, order.price_credits, order.user_id) == ("vpn_trial", 0, chat.user_id)
    assert "Switching it on" in edited(answers).text


async def test_a_plan_is_bought_once_at_the_price_that_was_shown(chat):
    shown = edited(await chat.tap(pack(ChooseAccess("vpn_30"))))
    (pay,) = taps_of(shown, PayWith)

    first = await chat.tap(pack(pay))
    again = await chat.tap(pack(pay))

    (order,) = await chat.emitted(BuyAccess)
    assert (order.plan_id, order.price_credits, order.priced_at) == ("vpn_30", 200, NOW)
    assert order.order_id == OrderId(pay.checkout_id)
    assert "Switching it on" in edited(first).text
    assert toasts(again) == ["Your payment is already being prepared."]


async def test_short_of_credits_the_order_goes_on_after_the_top_up(chat):
    chat.billing[GetOffers] = offers(available=10)
    shown = edited(await chat.tap(pack(ChooseAccess("vpn_30"))))
    (waits,) = taps_of(shown, TopUpFor)
    assert taps_of(shown, PayWith) == []
    packs = next(each.screen for each in await chat.tap(pack(waits)) if each.screen)
    assert "190 credits more" in packs.text
    (choice,) = taps_of(packs, ChoosePack)
    (stars,) = taps_of(edited(await chat.tap(pack(choice))), PayWith)
    await chat.tap(pack(stars))
    (asked,) = await chat.emitted(CreatePayment)
    assert asked.order_id == waits.order_id

    for _ in range(2):
        await chat.receive(
            payments.PaymentCredited(
                payment_id=asked.payment_id,
                charge_id="charge",
                user_id=chat.user_id,
                provider="stars",
                product="pack",
                product_id="credits_300",
                credits=300,
                amount_minor=275,
                currency="XTR",
                available_credits=310,
                order_id=asked.order_id,
            )
        )

    (order,) = await chat.emitted(BuyAccess)
    assert (order.order_id, order.price_credits) == (waits.order_id, 200)
    assert order.priced_at > NOW


async def test_somebody_elses_screen_buys_nothing(chat):
    shown = edited(await chat.tap(pack(ChooseAccess("vpn_30"))))
    (pay,) = taps_of(shown, PayWith)

    answers = await chat.tap(pack(pay), user_id=chat.user_id + 1)

    assert "somebody else" in toasts(answers)[0]
    assert await chat.emitted(BuyAccess) == []


async def test_a_subscription_is_shown_with_its_link_and_what_is_left(chat):
    chat.billing[GetAccess] = ACTIVE

    (answer,) = await chat.send("/vpn")

    text = answer.screen.text
    assert "Active until Dec 21 2026, 15:00" in text
    assert "2.5 of 100 GB" in text
    assert "1 of 3" in text
    assert "🟢 Netherlands" in text
    assert LINK in text
    assert LINK in [each.url for each in buttons(answer.screen)]


async def test_an_address_telegram_would_refuse_becomes_no_button(chat):
    chat.billing[GetAccess] = Access(
        exists=True, state="active", until=UNTIL, link="http://127.0.0.1:1/sub/x"
    )

    (answer,) = await chat.send("/vpn")

    assert "http://127.0.0.1:1/sub/x" in answer.screen.text
    assert [each.url for each in buttons(answer.screen) if each.url] == []


async def test_options_say_how_it_shall_be(chat):
    chat.billing[GetAccess] = ACTIVE
    (answer,) = await chat.send("/vpn")
    renew, remind = taps_of(answer.screen, SetOption)

    shown = edited(await chat.tap(pack(renew)))
    await chat.tap(pack(remind))

    assert "Renews by itself: off" in [each.text for each in buttons(shown)][2]
    first, second = await chat.emitted(SetAccessOptions)
    assert (first.auto_renew, first.reminders) == (False, None)
    assert (second.auto_renew, second.reminders) == (None, False)
    assert (first.language, second.language) == ("en", "en")


async def test_vpn_learns_the_language_of_who_looks_at_a_plan_or_changes_it(chat):
    await chat.tap(pack(ChooseAccess("vpn_30")))
    await chat.tap(pack(SetLanguage("ru")))

    told = await chat.emitted(SetAccessOptions)
    assert [(each.user_id, each.language, each.time_zone) for each in told] == [
        (chat.user_id, language, None) for language in ("en", "ru")
    ]


async def test_a_key_is_replaced_only_when_that_is_confirmed(chat):
    asked = edited(await chat.tap(pack(ReplaceKey(confirmed=False))))
    assert await chat.emitted(RotateKey) == []
    key_only, _ = taps_of(asked, ReplaceKey)

    shown = edited(await chat.tap(pack(key_only)))

    (command,) = await chat.emitted(RotateKey)
    assert (command.user_id, command.link_too) == (chat.user_id, False)
    assert shown.text == "🔑 Replacing your key…"


async def test_a_link_that_leaked_is_replaced_with_its_key(chat):
    asked = edited(await chat.tap(pack(ReplaceKey(confirmed=False))))
    _, both = taps_of(asked, ReplaceKey)

    shown = edited(await chat.tap(pack(both)))

    (command,) = await chat.emitted(RotateKey)
    assert (command.user_id, command.link_too) == (chat.user_id, True)
    assert shown.text == "🔑 Replacing your key and your link…"


def test_a_button_of_before_still_replaces_the_key_alone():
    assert parse("vk:1:do") == ReplaceKey(confirmed=True, link_too=False)
    assert parse("vk:1:ask") == ReplaceKey(confirmed=False)


async def test_vpn_silent_means_try_again(chat):
    del chat.billing[GetAccess]

    (answer,) = await chat.send("/vpn")
    tapped = await chat.tap(pack(OpenPage("vpn")))

    assert "not answering" in answer.screen.text
    assert "not answering" in toasts(tapped)[0]


async def test_nothing_on_offer_says_so(chat):
    chat.billing[GetOffers] = Offers()

    (answer,) = await chat.send("/vpn")

    assert "not on offer" in answer.screen.text


async def test_a_zone_is_chosen_by_button_or_name_and_told_to_vpn(chat):
    await chat.send("/timezone Europe/Berlin")
    shown = edited(await chat.tap(pack(SetZone("Asia/Tokyo"))))
    (unknown,) = await chat.send("/timezone Middle/Earth")

    first, second = await chat.emitted(SetAccessOptions)
    assert (first.time_zone, second.time_zone) == ("Europe/Berlin", "Asia/Tokyo")
    assert "Asia/Tokyo" in shown.text
    assert "do not know" in unknown.screen.text
    assert await chat.one(
        "SELECT time_zone = 'Asia/Tokyo' FROM persons WHERE user_id = $1", chat.user_id
    )


@pytest.mark.parametrize(
    "tap",
    [
        ChooseAccess("vpn_30"),
        ReplaceKey(confirmed=True),
        ReplaceKey(confirmed=True, link_too=True),
        ReplaceKey(confirmed=False),
        SetOption("renew", on=True),
        SetOption("remind", on=False),
        SetZone("America/Argentina/ComodRivadavia"),
    ],
)
def test_buttons_mean_what_they_were_packed_from(tap):
    assert parse(pack(tap)) == tap


@pytest.mark.parametrize("data", ["va:1:", "vk:1:now", "vo:1:renew:maybe", "vo:1:x:on", "vz:1:;"])
def test_cut_and_forged_data_means_nothing(data):
    assert parse(data) is None


@pytest.mark.parametrize("plan", ["vpn_trial", "vpn_30"])
async def test_a_purchase_goes_on_as_said_when_it_was_tapped(chat, plan):
    """Two whose updates change places are judged by it, whichever is held first."""
    came = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)

    answers = await chat.tap(pack(ChooseAccess(plan)), came=came)
    for pay in taps_of(edited(answers), PayWith):
        await chat.tap(pack(pay), came=came)

    async with chat.outbox.database.read() as connection:
        rows = await connection.fetch(
            "SELECT id, body FROM outbox WHERE subject = $1", BuyAccess.subject
        )
    mine = [row for row in rows if BuyAccess.decode(row["body"]).user_id == chat.user_id]
    assert [uuid7_time(row["id"]) for row in mine] == [came]
