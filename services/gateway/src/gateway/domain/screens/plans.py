"""VIP and Black Gold: what they give, how they are bought, and what became of it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from contracts import errors, payments
from contracts.billing import TIER_BLACK_GOLD, TIER_VIP
from contracts.ids import PaymentId, UserId
from contracts.payments import (
    Offers,
    Plan,
    PlanBought,
    PlanRefused,
    Subscribed,
    SubscriptionChanged,
)
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenPage, pack
from gateway.domain.checkout import CREDITS, Amount, Checkout
from gateway.domain.moments import moment
from gateway.domain.money import STARS_CURRENCY, money
from gateway.domain.packed_ids import mark
from gateway.domain.purchase_buttons import ChangeRenewals, ChoosePlan, PayWith
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens import account, top_up
from gateway.domain.screens.account import tier_name
from gateway.domain.screens.menu import menu_button
from gateway.domain.screens.top_up import pay_rows

ACTIVE = "active"
CANCELLED = "cancelled"
_GIVES = {TIER_VIP: "vip-gives", TIER_BLACK_GOLD: "black-gold-gives"}


def plans(say: Say, offers: Offers, zone: ZoneInfo) -> Screen:
    lines = [say("plans-title"), "", say("vip-gives"), "", say("black-gold-gives"), ""]
    lines += [_plan_line(say, each, offers) for each in offers.plans]
    running = [each for each in offers.subscriptions if each.state in {ACTIVE, CANCELLED}]
    names = {each.id: plan_name(say, each) for each in offers.plans}
    if running:
        lines += ["", say("subscriptions-title")]
        lines += [_subscription_line(say, each, names, zone) for each in running]
    elif not offers.plans:
        lines.append(say("plans-closed"))
    lines += ["", say("plans-rules")]
    buy = tuple((Button(plan_name(say, each), pack(ChoosePlan(each.id))),) for each in offers.plans)
    renewals = tuple((_renewal_button(say, each, names),) for each in running)
    return Screen(text="\n".join(lines), buttons=(*buy, *renewals, (menu_button(say),)))


def plan_name(say: Say, plan: Plan) -> str:
    return account.plan_name(say, plan.tier, days=plan.days)


def _plan_line(say: Say, plan: Plan, offers: Offers) -> str:
    name = plan_name(say, plan)
    if _stars_offered(plan, offers):
        stars = money(plan.stars, STARS_CURRENCY)
        return say("plan-line-stars", plan=name, credits=plan.price_credits, stars=stars)
    return say("plan-line", plan=name, credits=plan.price_credits)


def _stars_offered(plan: Plan, offers: Offers) -> bool:
    return bool(plan.stars) and any(each.provider == payments.STARS for each in offers.methods)


def _subscription_line(say: Say, running: Subscribed, names: dict[str, str], zone: ZoneInfo) -> str:
    key = "subscription-renews" if running.state == ACTIVE else "subscription-ends"
    name = names.get(running.plan_id, say("plan-unnamed"))
    return say(key, plan=name, until=moment(say, running.until, zone))


def _renewal_button(say: Say, running: Subscribed, names: dict[str, str]) -> Button:
    stop = running.state == ACTIVE
    name = names.get(running.plan_id, say("plan-unnamed"))
    label = say("button-stop-renewals" if stop else "button-resume-renewals", plan=name)
    return Button(label, pack(ChangeRenewals(mark(running.charge_id), cancelled=stop)))


def of_plan(
    plan: Plan, offers: Offers, *, checkout_id: PaymentId, user_id: UserId, now: datetime
) -> Checkout:
    """The screen's row: paid out of the balance, or by a subscription in Stars."""
    ways = [Amount(method=CREDITS, currency=CREDITS, amount_minor=plan.price_credits)]
    if _stars_offered(plan, offers):
        stars = Amount(method=payments.STARS, currency=STARS_CURRENCY, amount_minor=plan.stars)
        ways.append(stars)
    return Checkout(
        checkout_id=checkout_id,
        user_id=user_id,
        product=payments.PRODUCT_PLAN,
        product_id=plan.id,
        tier=plan.tier,
        amounts=tuple(ways),
        priced_at=offers.priced_at or now,
    )


def checkout(say: Say, shown: Checkout, plan: Plan, offers: Offers) -> Screen:
    gives = _GIVES.get(plan.tier)
    lines = [say("checkout-plan", plan=plan_name(say, plan))]
    if gives is not None:
        lines.append(say(gives))
    lines += ["", say("topup-have", credits=offers.available_credits)]
    if offers.debt_credits:
        lines.append(say("balance-debt", credits=offers.debt_credits))
    lines += [say("checkout-how"), say("checkout-terms")]
    label = say("button-pay-credits", credits=plan.price_credits)
    rows = [(Button(label, pack(PayWith(shown.checkout_id, CREDITS))),), *pay_rows(say, shown)]
    if offers.debt_credits or offers.available_credits < plan.price_credits:
        rows.append((_top_up(say),))
    back = Button(say("button-back"), pack(OpenPage(callbacks.VIP)))
    return Screen(text="\n".join(lines), buttons=(*rows, (back, menu_button(say))))


def buying(say: Say) -> Screen:
    return Screen(text=say("plan-buying"))


def bought(say: Say, event: PlanBought, zone: ZoneInfo) -> Screen:
    lines = [
        say(
            "plan-bought",
            tier=tier_name(say, event.tier),
            until=moment(say, event.until, zone),
        ),
        say("result-charged", credits=event.charged_credits),
        say("topup-have", credits=event.available_credits),
    ]
    return Screen(text="\n".join(lines), buttons=((menu_button(say, fresh=True),),))


def refused(say: Say, event: PlanRefused) -> Screen:
    """Why not, that nothing was charged, and the way on."""
    again = Button(say("button-plans"), pack(OpenPage(callbacks.VIP, fresh=True)))
    short = event.code in {errors.INSUFFICIENT_CREDITS, errors.IN_DEBT}
    row = (_top_up(say), again) if short else (again,)
    text = "\n".join([_refusal(say, event), say("not-charged")])
    return Screen(text=text, buttons=(row, (menu_button(say, fresh=True),)))


def _refusal(say: Say, event: PlanRefused) -> str:
    if event.code == errors.INSUFFICIENT_CREDITS:
        needed, available = event.price_credits or 0, event.available_credits or 0
        return say(
            "refused-insufficient",
            credits=needed,
            available=say("amount", credits=available),
            missing=max(needed - available, 0),
        )
    if event.code == errors.PRICE_CHANGED and event.price_credits is not None:
        return say("plan-price-changed", credits=event.price_credits)
    if event.code == errors.IN_DEBT and event.debt_credits:
        return top_up.owing(say, event.debt_credits, event.price_credits)
    simple = {
        errors.PRICE_CHANGED: "price-changed",
        errors.PRICE_EXPIRED: "price-expired",
        errors.HIGHER_TIER_ACTIVE: "plan-higher-active",
        errors.TIER_WITHOUT_END: "plan-endless",
        errors.ALREADY_SUBSCRIBED: "plan-subscribed",
        errors.UNKNOWN_PRODUCT: "plan-gone",
        errors.NO_ACCOUNT: "refused-no-account",
        errors.IN_DEBT: "refused-in-debt",
    }
    return say(simple.get(event.code, "plan-refused"))


def _top_up(say: Say) -> Button:
    return Button(say("button-top-up"), pack(OpenPage(callbacks.TOP_UP, fresh=True)))


def subscription_changed(say: Say, event: SubscriptionChanged, zone: ZoneInfo) -> Screen:
    until = moment(say, event.until, zone)
    if event.state == ACTIVE:
        text = say("subscription-active", until=until)
    elif event.state == CANCELLED:
        text = say("subscription-cancelled", until=until)
    else:
        text = say("subscription-ended", until=until)
    button = Button(say("button-plans"), pack(OpenPage(callbacks.VIP, fresh=True)))
    return Screen(text=text, buttons=((button,),))
