from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from contracts import billing
from gateway.domain.callbacks import OpenHistory, OpenPage, pack
from gateway.domain.screens import account

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_balance_shows_what_is_there_what_is_reserved_and_what_expires(chat):
    lots = (billing.LotBalance(lot="trial", remaining_credits=20, expires_at=NOW),)
    chat.billing[billing.GetBalance] = billing.Balance(
        user_id=chat.user_id,
        available_credits=20,
        held_credits=10,
        spent_today_credits=30,
        tier="vip",
        tier_until=NOW,
        lots=lots,
    )

    text = (await chat.send("/balance"))[0].screen.text

    assert chat.asked == [billing.GetBalance(user_id=chat.user_id)]
    assert "Available: <b>20 credits</b>" in text
    assert "Reserved for running orders: 10 credits" in text
    assert "Spent today: 30 credits" in text
    assert "20 credits (trial), until Nov 21, 15:00" in text
    assert "<b>VIP</b> until" in text


async def test_history_goes_page_by_page(chat):
    entry = billing.HistoryEntry(
        at=NOW, kind="hold", credits=-10, amount_credits=10, workflow_id="image.product_scene"
    )
    chat.billing[billing.GetHistory] = billing.History(entries=(entry,), next_before="77")

    first = (await chat.send("/history"))[0].screen
    await chat.tap(first.buttons[0][0].data)

    assert "<b>−10</b> · reserved" in first.text
    assert "Product scene" in first.text
    assert chat.asked == [
        billing.GetHistory(user_id=chat.user_id),
        billing.GetHistory(user_id=chat.user_id, before="77"),
    ]


@pytest.mark.parametrize(("language", "name"), [("en", "VPN access"), ("ru", "VPN")])
async def test_history_names_access_by_what_it_is(chat, language, name):
    chat.language_code = language
    entries = tuple(
        billing.HistoryEntry(
            at=NOW, kind=kind, credits=moved, amount_credits=150, workflow_id="vpn_30"
        )
        for kind, moved in (("hold", -150), ("post", 0), ("void", 150), ("credit_back", 150))
    )
    chat.billing[billing.GetHistory] = billing.History(entries=entries)

    lines = (await chat.send("/history"))[0].screen.text.splitlines()[2:]

    assert len(lines) == 4
    assert all(line.endswith(f" · {name}") for line in lines)


async def test_billing_that_does_not_answer_is_said_plainly(chat):
    for command in ("/balance", "/history"):
        assert "not answering" in (await chat.send(command))[0].screen.text
    for tap in (OpenPage("balance"), OpenHistory("5")):
        answers = await chat.tap(pack(tap))
        assert [answer.kind for answer in answers] == ["toast"]
        assert "not answering" in answers[0].text


@pytest.mark.parametrize(
    ("kind", "reason", "english", "russian"),
    [
        ("revoke", "refund", "taken back", "отозвано"),
        ("restore", "", "restored", "снова ваши"),
        ("adjust", "a mistake", "corrected by the shop", "исправлено магазином"),
        ("gift", "", "a gift from somebody", "подарок от кого-то"),
        ("gift_back", "", "a gift came back", "подарок вернулся"),
        ("credit_back", "it was late", "given back by the shop", "возвращено магазином"),
        ("grant", "payment", "bought", "куплено"),
        ("grant", "payment_bonus", "bonus for your payment", "бонус за оплату"),
        ("grant", "promo", "promo code", "промокод"),
        ("grant", "referral", "invited friends", "за приглашённых друзей"),
        ("grant", "newcomer", "welcome gift", "подарок новичку"),
        ("grant", "gift", "a gift from somebody", "подарок от кого-то"),
        ("grant", "an operator's words", "received", "начислено"),
    ],
)
async def test_history_has_words_for_money(chat, kind, reason, english, russian):
    entry = billing.HistoryEntry(at=NOW, kind=kind, credits=5, amount_credits=5, reason=reason)
    chat.billing[billing.GetHistory] = billing.History(entries=(entry,))

    for language, words in (("en", english), ("ru", russian)):
        say = chat.shop.texts.say(language)
        page = account.history(
            say, chat.billing[billing.GetHistory], titles={}, zone=ZoneInfo("UTC"), newest=True
        )
        assert words in page.text
        assert "+5" in page.text


@pytest.mark.parametrize(
    ("fields", "english", "russian"),
    [
        ({"kind": "discount", "reason": "draw", "percent": 50}, "won in the draw", "в розыгрыше"),
        ({"kind": "discount", "reason": "promo", "percent": 50}, "50% off", "скидка 50 %"),
        ({"kind": "tier", "tier": "vip", "until": NOW, "reason": "payment"}, "paid", "оплачено"),
        ({"kind": "tier", "tier": "vip", "until": NOW, "reason": "promo"}, "promo", "промокод"),
        ({"kind": "tier", "tier": "vip", "until": NOW}, "until", "до"),
        ({"kind": "tier", "tier": "black_gold"}, "Black Gold", "Black Gold"),
        ({"kind": "tier", "tier": "none"}, "status ended", "статус закончился"),
        ({"kind": "hold", "percent": 50}, "reserved", "резерв"),
        ({"kind": "hold", "percent": 50}, "−50%", "−50 %"),
    ],
)
async def test_history_has_words_for_what_moves_no_credits(chat, fields, english, russian):
    entry = billing.HistoryEntry(at=NOW, credits=0, amount_credits=0, **fields)

    for language, words in (("en", english), ("ru", russian)):
        say = chat.shop.texts.say(language)
        found = billing.History(entries=(entry,))
        page = account.history(say, found, titles={}, zone=ZoneInfo("UTC"), newest=True)
        assert words in page.text
