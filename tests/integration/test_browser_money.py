"""A person in a browser and money: paid in every way, won, given, sent back; and its history."""

import asyncio
import os
from datetime import UTC, datetime
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest

from billing.domain.draws import number_of, prize_of
from devstack.browser_chat import Screen
from devstack.stage import Stage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("platform"),
    pytest.mark.asyncio(loop_scope="session"),
]

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "money.png"
BESIDE = 1003
PAY = "Pay ⭐️"
"""Of the invoice itself: Telegram's own word, whatever language the shop speaks."""
# What is tapped, what is said, and the lines of /history, in both languages.
PHRASES = {
    "trial": ("trial credits", "пробных кредитов"),
    "pack": ("300 credits", "300 кредитов"),
    "by stars": ("Telegram Stars – ⭐ 275", "Telegram Stars – ⭐ 275"),
    "drop": ("Not this payment", "Не платить"),
    "dropped": ("All right", "Хорошо"),
    "declined": ("You cancelled this payment", "Вы отменили эту оплату"),
    "bought": ("+330 credits", "+330 кредитов"),
    "small pack": ("100 credits", "100 кредитов"),
    "small by stars": ("Telegram Stars – ⭐ 100", "Telegram Stars – ⭐ 100"),
    "by crypto": ("Crypto Pay – 1.99 USD", "Crypto Pay – 1.99 USD"),
    "pay crypto": ("Pay 1.99 USD", "Оплатить 1.99 USD"),
    "small bought": ("+100 credits", "+100 кредитов"),
    "refunded": ("⭐ 275 went back to you", "Вам возвращено ⭐ 275"),
    "taken": ("Taken back for it: 330 credits", "За это отозвано 330 кредитов"),
    "plan": ("Black Gold, 30 days", "Black Gold, 30 дней"),
    "plan by stars": ("Telegram Stars – ⭐ 750", "Telegram Stars – ⭐ 750"),
    "subscribe": ("Pay ⭐ 750", "Оплатить ⭐ 750"),
    "subscribed": ("Black Gold until", "Black Gold до"),
    "renewed": ("Black Gold is renewed until", "Black Gold: продлено до"),
    "stop": ("Stop renewals", "Остановить продление"),
    "stopped": ("no longer renews", "больше не продлевается"),
    "resume": ("Resume renewals", "Возобновить продление"),
    "resumed": ("Your subscription renews on", "Подписка продлится"),
    "draw": ("Draw!", "Тянуть!"),
    "won": ("You won SSR: 50% off", "Вам выпало SSR: скидка 50 %"),
    "scene": ("Product scene", "Товар в кадре"),
    "cheaper": ("Price: 5 credits 10", "Цена: 5 кредитов 10"),
    "confirm": ("Confirm – 5 credits", "Подтвердить – 5 кредитов"),
    "charged": ("Charged: 5 credits", "Списано 5 кредитов"),
    "again": ("Once more", "Ещё раз"),
    "full price": ("Price: 10 credits", "Цена: 10 кредитов"),
    "used": ("It is used already", "Она уже использована"),
    "promo": ("brought you 40 credits", "начислено 40 кредитов"),
    "promo again": ("You have used", "Вы уже использовали"),
    "share": ("Share the link", "Поделиться ссылкой"),
    "by invitation": ("You came by invitation: 10 credits", "Вы пришли по приглашению: 10 кред"),
    "joined": ("Somebody new came by your link", "По вашей ссылке пришёл кто-то новый"),
    "invite": ("Your link", "Ваша ссылка"),
    "pending": ("On the way: 10 credits", "В пути: 10 кредитов"),
    "ten": ("10 credits", "10 кредитов"),
    "give": ("Give 10 credits", "Подарить 10 кредитов"),
    "gift": ("Your gift is ready: 10 credits", "Подарок готов: 10 кредитов"),
    "gift is theirs": ("The gift is yours: 10 credits", "Подарок ваш: 10 кредитов"),
    "gift opened": ("Your gift was opened: 10 credits", "Ваш подарок открыли: 10 кредитов"),
    "history": ("History", "История"),
    "line: pack": ("+300 · bought", "+300 · куплено"),
    "line: bonus": ("+30 · bonus for your payment", "+30 · бонус за оплату"),
    "line: small pack": ("+100 · bought", "+100 · куплено"),
    "line: taken back": ("−330 · taken back", "−330 · отозвано"),
    "line: plan": ("⭐ Black Gold until", "⭐ Black Gold до"),
    "line: paid": ("· paid ·", "· оплачено ·"),
    "line: won": ("🎲 50% off · won in the draw", "🎲 скидка 50 % · выиграна в розыгрыше"),
    "line: hold": ("−5 · reserved", "−5 · резерв"),
    "line: cheaper": ("· −50% · Product scene", "· −50 % · Товар в кадре"),
    "line: post": ("charged 5 from the reserve", "списано из резерва 5 кредитов"),
    "line: promo": ("+40 · promo code", "+40 · промокод"),
    "line: welcome": ("+10 · welcome gift", "+10 · подарок новичку"),
    "line: gift": ("−10 · a gift for somebody", "−10 · подарок кому-то"),
    "line: given": ("+10 · a gift from somebody", "+10 · подарок от кого-то"),
}


class Words:
    """What the shop says and what is tapped, in one person's language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = ["en", "ru"].index(language)

    def __getitem__(self, key: str) -> str:
        return PHRASES[key][self._column]


IN_BOTH = (Words("en"), Words("ru"))


async def history_of(screen: Screen, words: Words) -> str:
    return await screen.ask("/history", words["history"])


async def buy(screen: Screen, words: Words, pack: str, method: str) -> None:
    """Choose a pack and a way to pay; the invoice is there afterwards."""
    await screen.say("/topup")
    await screen.tap(words[pack])
    await screen.tap(words[method])
    await screen.button(words["drop"]).wait_for()


async def test_stars_buy_credits_and_a_refund_takes_them_back(
    steady: Stage, open_chat: Any
) -> None:
    await asyncio.gather(*(stars_and_back(steady, open_chat, words) for words in IN_BOTH))


async def stars_and_back(steady: Stage, open_chat: Any, words: Words) -> None:
    async with open_chat("Anna", words.language) as (screen, customer):
        await screen.start(words["trial"])
        await buy(screen, words, "pack", "by stars")
        await screen.tap(words["drop"])
        await screen.hears(words["dropped"])
        await screen.tap(PAY)
        declined = await screen.pays_in_vain()
        await buy(screen, words, "pack", "by stars")
        await screen.sees(PAY, 2)
        await screen.tap(PAY)
        await screen.pay()
        await screen.hears(words["bought"])
        bought = await history_of(screen, words)
        user_id = customer.chat.user_id
        code, said = await steady.run(
            *("vitrine", "refund", "stars", await charge_of(steady, user_id), str(user_id)),
            *("--reason", "asked for it"),
        )
        told = await screen.hears(words["refunded"])
        refunded = await history_of(screen, words)

    account = await steady.account(user_id)
    assert words["declined"] in declined
    assert words["line: pack"] in bought
    assert words["line: bonus"] in bought
    assert code == 0, said
    assert words["taken"] in told
    assert words["line: taken back"] in refunded
    assert (account.available, account.held) == (20, 0)


async def test_crypto_pay_is_paid_on_its_own_page(steady: Stage, open_chat: Any) -> None:
    await asyncio.gather(*(crypto_pay(steady, open_chat, words) for words in IN_BOTH))


async def crypto_pay(steady: Stage, open_chat: Any, words: Words) -> None:
    async with open_chat("Ben", words.language) as (screen, customer):
        await screen.start(words["trial"])
        await buy(screen, words, "small pack", "by crypto")
        page = await screen.opens(words["pay crypto"])
        await page.get_by_test_id("pay").click()
        await page.get_by_test_id("pay").wait_for(state="detached")
        await page.close()
        await screen.hears(words["small bought"])
        history = await history_of(screen, words)

    account = await steady.account(customer.chat.user_id)
    assert words["line: small pack"] in history
    assert (account.available, account.held) == (120, 0)


async def test_black_gold_is_a_subscription_that_renews_until_it_is_stopped(
    steady: Stage, open_chat: Any
) -> None:
    await asyncio.gather(*(black_gold(steady, open_chat, words) for words in IN_BOTH))


async def black_gold(steady: Stage, open_chat: Any, words: Words) -> None:
    async with open_chat("Cleo", words.language) as (screen, customer):
        await screen.start(words["trial"])
        await screen.say("/vip")
        await screen.tap(words["plan"])
        await screen.tap(words["plan by stars"])
        await screen.tap(words["subscribe"])
        await screen.pay()
        await screen.hears(words["subscribed"])
        await renew(steady, customer.chat.user_id)
        await screen.hears(words["renewed"])
        await screen.say("/vip")
        await screen.tap(words["stop"])
        await screen.hears(words["stopped"])
        stopped = await renew(steady, customer.chat.user_id)
        await screen.say("/vip")
        await screen.tap(words["resume"])
        await screen.hears(words["resumed"])
        history = await history_of(screen, words)

    tiers = [line for line in history.splitlines() if words["line: plan"] in line]
    assert stopped == 409, "Telegram does not renew what was stopped"
    assert len(tiers) == 2
    assert all(words["line: paid"] in line for line in tiers)


async def test_a_draw_makes_one_order_cheaper(
    steady: Stage, open_chat: Any, coffee: bytes, new_user: Any
) -> None:
    winners = [await somebody_who_draws(steady, "SSR", new_user) for _ in IN_BOTH]
    await asyncio.gather(
        *(
            lucky_order(steady, open_chat("Dora", words.language, winner), words, coffee)
            for words, winner in zip(IN_BOTH, winners, strict=True)
        )
    )


async def lucky_order(steady: Stage, opening: Any, words: Words, coffee: bytes) -> None:
    async with opening as (screen, customer):
        await screen.start(words["trial"])
        await screen.say("/draw")
        await screen.tap(words["draw"])
        await screen.hears(words["won"])
        await screen.send_photo(coffee)
        await screen.tap(words["scene"])
        await screen.hears(words["cheaper"])
        if words.language == "en":
            await keep_screenshot(steady, screen)
        await screen.tap(words["confirm"])
        await screen.result()
        await screen.hears(words["charged"])
        await screen.tap(words["again"])
        await screen.hears(words["full price"])
        await screen.ask("/draw", words["used"])
        history = await history_of(screen, words)

    account = await steady.account(customer.chat.user_id)
    hold = next(line for line in history.splitlines() if words["line: hold"] in line)
    assert words["line: cheaper"] in hold
    assert words["line: won"] in history
    assert words["line: post"] in history
    assert (account.available, account.held) == (15, 0)


async def test_a_code_an_invitation_and_a_gift_bring_credits(
    steady: Stage, open_chat: Any, new_user: Any
) -> None:
    await asyncio.gather(*(kindnesses(steady, open_chat, words, new_user) for words in IN_BOTH))


async def kindnesses(steady: Stage, open_chat: Any, words: Words, new_user: Any) -> None:
    friend_id, code = next(new_user), f"AUTUMN{next(new_user)}"
    await steady.register(friend_id, "Fred", words.language)
    made = await steady.run(
        "vitrine", "promo", code, "--kind", "credits", "--value", "40", "--uses-max", "5"
    )
    async with open_chat("Emma", words.language) as (screen, customer):
        await screen.start(words["trial"])
        await screen.say(f"/promo {code.lower()}")
        await screen.hears(words["promo"])
        await screen.ask(f"/promo {code}", words["promo again"])

        await screen.ask("/invite", words["invite"])
        friend = await screen.share(words["share"], friend_id)
        await friend.hears(words["by invitation"])
        await screen.hears(words["joined"])
        await buy(friend, words, "small pack", "small by stars")
        await friend.tap(PAY)
        await friend.pay()
        await friend.hears(words["small bought"])
        invited = await screen.ask("/invite", words["pending"])

        await friend.say("/gift")
        await friend.tap(words["ten"])
        await friend.tap(words["give"])
        await friend.hears(words["gift"])
        await friend.share(words["share"], customer.chat.user_id)
        await screen.hears(words["gift is theirs"])
        await friend.hears(words["gift opened"])
        mine, theirs = await history_of(screen, words), await history_of(friend, words)

    assert made[0] == 0, made[1]
    assert words["pending"] in invited
    assert words["line: promo"] in mine
    assert words["line: given"] in mine
    assert words["line: welcome"] in theirs
    assert words["line: small pack"] in theirs
    assert words["line: gift"] in theirs
    assert (await steady.account(customer.chat.user_id)).available == 20 + 40 + 10
    assert (await steady.account(friend_id)).available == 20 + 10 + 100 - 10


async def charge_of(stage: Stage, user_id: int) -> str:
    rows = await stage.fetch("SELECT charge_id FROM billing.charges WHERE user_id = $1", user_id)
    return str(rows[0]["charge_id"])


async def renew(stage: Stage, user_id: int) -> int:
    """Let a month pass for a subscription, as Telegram counts it; returns its answer."""
    charges = f"{stage.urls['telegram_control']}/users/{user_id}/charges"
    charge_id = await charge_of(stage, user_id)
    async with stage.session.post(f"{charges}/{charge_id}/renew") as answer:
        return answer.status


async def somebody_who_draws(stage: Stage, prize: str, people: Any) -> int:
    """Only the shop knows the day's seed before the day is over, and its database does."""
    today = datetime.now(UTC).date()
    rows = await stage.fetch("SELECT seed FROM billing.draw_days WHERE day = $1", today)
    seed = rows[0]["seed"]
    return next(dropwhile(lambda each: prize_of(number_of(seed, each, today)) != prize, people))


async def keep_screenshot(stage: Stage, screen: Screen) -> None:
    """The README's picture: a won discount in a price, and beside it somebody who tops up."""
    if os.environ.get("VITRINE_SCREENSHOTS") != "1":
        return
    await stage.register(BESIDE, "Борис", "ru")
    row = screen.page.locator(f"[data-testid=user][data-user-id='{BESIDE}']")
    await row.hover()
    await row.get_by_test_id("open-beside").click()
    beside, words = Screen(screen.page, BESIDE), Words("ru")
    await beside.start(words["trial"])
    await buy(beside, words, "pack", "by stars")
    await beside.tap(PAY)
    await beside.pay()
    await beside.hears(words["bought"])
    await screen.page.wait_for_timeout(4_500)  # toasts fade away
    await screen.page.screenshot(path=SCREENSHOT)
