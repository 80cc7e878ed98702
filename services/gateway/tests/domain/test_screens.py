"""Every screen in every language: complete, within Telegram's limits, honest about money."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contracts import billing, catalogue, errors
from contracts.media import MediaRef
from gateway import ports
from gateway.bot import texts
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import CAPTION_MAX, TEXT_MAX
from gateway.domain.screens import account, menu, order, outcome, upload
from simulators.telegram.html_markup import parse_html

CATALOGUE = catalogue.load(Path(__file__).parents[4] / "catalogue")
TEXTS = texts.load()
ORDER = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
NOW = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")
SCENE = CATALOGUE["image.product_scene"]
REFUSALS = [
    errors.INSUFFICIENT_CREDITS,
    errors.PRICE_CHANGED,
    errors.PRICE_EXPIRED,
    errors.IN_FLIGHT_CAP,
    errors.QUOTA_EXCEEDED,
    errors.QUEUE_FULL,
    errors.UNKNOWN_WORKFLOW,
    errors.NO_ACCOUNT,
    errors.IN_DEBT,
    "a_code_of_next_year",
]
FAILURES = [
    errors.FAILED_BAD_INPUT,
    errors.FAILED_NODE,
    errors.FAILED_TIMEOUT,
    errors.CANCELLED_TOO_LATE,
    errors.HOLD_EXPIRED,
    errors.CANCELLED_BY_USER,
    "a_class_of_next_year",
]


def shown(**changes):
    fields = {
        "order_id": ORDER,
        "user_id": 7,
        "workflow_id": SCENE.id,
        "catalogue_version": 1,
        "price_credits": 10,
        "base_price_credits": 10,
        "priced_at": NOW,
        "inputs": (ORDER,),
    }
    return OrderScreen(**{**fields, **changes})


def picture(**changes):
    fields = {
        "name": "out.png",
        "object_key": "results/1",
        "sha256": "0" * 64,
        "mime": "image/png",
        "size_bytes": 1,
    }
    return MediaRef(**{**fields, **changes})


@pytest.fixture(params=["en", "ru"])
def say(request):
    return TEXTS.say(request.param)


def every_screen(say):
    workflows = CATALOGUE.values()
    title = say(SCENE.title_key)
    yield menu.welcome(say)
    yield menu.home(say)
    yield menu.help_page(say, workflows)
    yield menu.photo_wanted(say, workflows)
    yield menu.languages(say, TEXTS.languages)
    yield menu.trial_opened(say, 20)
    for key in ("terms", "paysupport", "try-again", "unknown-command"):
        yield menu.page(say, key)
    lots = (
        billing.LotBalance(lot="trial", remaining_credits=20, expires_at=NOW),
        billing.LotBalance(lot="paid", remaining_credits=100),
        billing.LotBalance(lot="a_new_kind", remaining_credits=1),
    )
    rich = billing.Balance(
        user_id=7, available_credits=121, debt_credits=3, tier="vip", tier_until=NOW, lots=lots
    )
    yield account.balance(say, rich, MOSCOW)
    yield account.balance(say, billing.Balance(user_id=7, tier="black_gold"), MOSCOW)
    kinds = ("hold", "post", "void", "expire", "grant", "trial", "revoke", "a_new_kind")
    entries = tuple(
        billing.HistoryEntry(at=NOW, kind=kind, credits=-10, amount_credits=10) for kind in kinds
    )
    for page in (billing.History(), billing.History(entries=entries, next_before="99")):
        yield account.history(say, page, titles={}, zone=MOSCOW, newest=False)
    for tier in ("none", "vip", "a_new_tier"):
        yield account.tier(say, billing.TierSet(user_id=7, tier=tier, until=NOW), MOSCOW)
    granted = billing.CreditsGranted(
        user_id=7, credits=5, lot="bonus", reason="x", debt_paid_credits=2
    )
    yield account.granted(say, granted)
    renewed = billing.TrialRenewed(user_id=7, credits=20, expires_at=NOW)
    yield account.trial_renewed(say, renewed, MOSCOW)
    yield upload.choices(say, ORDER, workflows)
    yield upload.too_large(say, 20 * upload.MEGABYTE)
    for code in [getattr(ports, name) for name in dir(ports) if name.startswith("MEDIA_")]:
        yield upload.failed(say, code)
    yield from _order_screens(say, title)


def _order_screens(say, title):
    for amount, base, left in ((10, 10, None), (8, 10, 2), (0, 0, 1)):
        quote = billing.Price(
            workflow_id=SCENE.id,
            catalogue_version=1,
            price_credits=amount,
            base_price_credits=base,
            priced_at=NOW,
            free_left_today=left,
        )
        priced = shown(price_credits=amount, base_price_credits=base)
        yield order.price(say, priced, SCENE, quote, MOSCOW)
        yield order.price_again(say, priced, SCENE, changed=bool(left))
    yield order.placing(say, title)
    yield order.waiting_for_photo(say, title, ORDER)
    yield order.dismissed(say)
    yield order.photo_lost(say, say("photo-gone"))
    yield order.queued(say, title, ORDER, ahead=None, eta_seconds=0)
    for ahead in (0, 1, 3, 12):
        yield order.queued(say, title, ORDER, ahead=ahead, eta_seconds=40)
    yield order.running(say, title, ORDER, fraction=0.4, eta_seconds=90)
    yield order.cancelling(say, title)
    yield order.orders(say, [], headline="")
    yield order.orders(say, [(ORDER, title)], headline=say("conversation-dropped"))
    for code in REFUSALS:
        event = billing.OrderRefused(order_id=ORDER, user_id=7, code=code, available_credits=4)
        yield outcome.refused(say, event, shown(), title=title, renews="00:00")
    for reason in FAILURES:
        for returned in (0, 10):
            event = refund(reason, returned)
            yield outcome.refunded(say, event, shown(), title)
            yield outcome.stopped(say, event, title)
    for gift, cancel_lost, charged in ((True, False, 0), (False, True, 10), (False, False, 0)):
        done = billing.OrderCompleted(
            order_id=ORDER,
            user_id=7,
            workflow_id=SCENE.id,
            charged_credits=charged,
            outputs=(),
            gift=gift,
            cancel_lost=cancel_lost,
        )
        yield outcome.completed(say, done, title)
        note = outcome.result_note(say, charged, gift=gift, available=10)
        yield outcome.result(say, picture(), title, note=note, shown=shown(), order_id=ORDER)
    yield outcome.as_file(say, picture(kind="video"), title)


def refund(reason, returned, *, cancelled=False):
    return billing.OrderRefunded(
        order_id=ORDER,
        user_id=7,
        workflow_id=SCENE.id,
        returned_credits=returned,
        reason=reason,
        cancelled=cancelled,
    )


def test_every_screen_fits_into_telegrams_limits(say):
    for screen in every_screen(say):
        limit = CAPTION_MAX if screen.media else TEXT_MAX
        assert 0 < len(screen.text.encode("utf-16-le")) // 2 <= limit, screen.text
        assert "{" not in screen.text
        assert all(screen.buttons), f"an empty row under: {screen.text}"
        for button in [button for row in screen.buttons for button in row]:
            assert button.text
            assert 0 < len(button.data.encode()) <= 64


def test_every_screen_is_markup_that_telegram_accepts(say):
    for screen in every_screen(say):
        parse_html(screen.text)


def test_names_from_elsewhere_cannot_break_the_markup(say):
    strange = "<i>"
    entry = billing.HistoryEntry(
        at=NOW, kind="hold", credits=-1, amount_credits=1, workflow_id=strange
    )
    lot = billing.LotBalance(lot=strange, remaining_credits=1)
    page = billing.History(entries=(entry,))

    parse_html(account.history(say, page, titles={}, zone=MOSCOW, newest=True).text)
    rich = billing.Balance(user_id=7, tier=strange, lots=(lot,))
    assert parse_html(account.balance(say, rich, MOSCOW).text)[0].count(strange) == 2


def test_every_media_failure_has_an_answer_of_its_own(say):
    codes = {
        ports.MEDIA_TOO_LARGE,
        ports.MEDIA_TOO_MANY_PIXELS,
        ports.MEDIA_NOT_AN_IMAGE,
        ports.MEDIA_ANIMATED,
        ports.MEDIA_DAMAGED,
        ports.MEDIA_UNREACHABLE,
    }
    assert len({upload.failed(say, code).text for code in codes}) == len(codes)


def test_the_price_screen_confirms_with_the_price_on_the_button():
    quote = billing.Price(
        workflow_id=SCENE.id,
        catalogue_version=1,
        price_credits=10,
        base_price_credits=10,
        priced_at=NOW,
        available_credits=20,
    )

    screen = order.price(TEXTS.say("en"), shown(), SCENE, quote, MOSCOW)

    assert screen.buttons[0][0].text == "✅ Confirm – 10 credits"
    assert "You have 20 credits." in screen.text


def test_insufficient_credits_says_what_is_missing():
    event = billing.OrderRefused(
        order_id=ORDER, user_id=7, code=errors.INSUFFICIENT_CREDITS, available_credits=4
    )

    text = outcome.refused(TEXTS.say("en"), event, shown(), title="X", renews="").text
    russian = outcome.refused(TEXTS.say("ru"), event, shown(), title="X", renews="").text

    assert "It costs 10 credits, you have 4 credits: 6 credits are missing." in text
    assert "не хватает 6 кредитов" in russian
    assert "not charged" in text


def test_a_used_up_quota_says_when_it_renews_on_the_persons_clock():
    renews = outcome.quota_renews(NOW, MOSCOW, ZoneInfo("Asia/Yekaterinburg"))
    event = billing.OrderRefused(order_id=ORDER, user_id=7, code=errors.QUOTA_EXCEEDED, limit=5)

    text = outcome.refused(TEXTS.say("en"), event, shown(), title="X", renews=renews).text

    assert renews == "02:00"
    assert "5 free orders" in text
    assert "02:00" in text


@pytest.mark.parametrize("reason", FAILURES)
def test_a_refund_says_that_nothing_was_charged_and_what_is_back(reason):
    text = outcome.refunded(TEXTS.say("en"), refund(reason, 10), shown(), "Scene").text

    assert "You were not charged, 10 credits are back." in text


def test_a_free_order_that_fails_does_not_speak_of_credits_coming_back():
    text = outcome.refunded(TEXTS.say("en"), refund("timeout", 0), shown(), "Scene").text

    assert "You were not charged." in text
    assert "back" not in text


def test_history_carries_signs():
    entries = (
        billing.HistoryEntry(at=NOW, kind="trial", credits=20, amount_credits=20),
        billing.HistoryEntry(
            at=NOW, kind="hold", credits=-10, amount_credits=10, workflow_id=SCENE.id
        ),
        billing.HistoryEntry(at=NOW, kind="post", credits=0, amount_credits=10),
        billing.HistoryEntry(at=NOW, kind="void", credits=10, amount_credits=10),
    )

    text = account.history(
        TEXTS.say("en"),
        billing.History(entries=entries),
        titles={SCENE.id: "Product scene"},
        zone=MOSCOW,
        newest=True,
    ).text

    assert "<b>+20</b> · trial credits · Nov 21, 23:30" in text
    assert "<b>−10</b> · reserved · Nov 21, 23:30 · Product scene" in text
    assert "<b>0</b> · charged 10 from the reserve" in text
    assert "<b>+10</b> · came back, not charged" in text


def test_history_pages_lead_both_ways():
    entry = billing.HistoryEntry(at=NOW, kind="grant", credits=1, amount_credits=1)
    page = billing.History(entries=(entry,), next_before="41")

    first = account.history(TEXTS.say("en"), page, titles={}, zone=MOSCOW, newest=True)
    later = account.history(TEXTS.say("en"), page, titles={}, zone=MOSCOW, newest=False)

    assert [button.data for button in first.buttons[0]] == ["h:1:41"]
    assert [button.data for button in later.buttons[0]] == ["h:1:", "h:1:41"]


def test_a_photo_that_does_not_fit_is_named_with_its_limit():
    spec = SCENE.inputs[0]
    say = TEXTS.say("en")

    assert upload.misfit(say, spec, picture(width=64, height=64)) is None
    assert "64 pixels" in (upload.misfit(say, spec, picture(width=63, height=900)) or "")
    assert "40 megapixels" in (upload.misfit(say, spec, picture(width=9000, height=9000)) or "")
    heavy = picture(width=100, height=100, size_bytes=spec.max_bytes + 1)
    assert "19 MB" in (upload.misfit(say, spec, heavy) or "")


@pytest.mark.parametrize(
    ("fraction", "bar"),
    [(-1, "░" * 10 + " 0 %"), (0.47, "▓▓▓▓░░░░░░ 47 %"), (2, "▓" * 10 + " 100 %")],
)
def test_the_progress_bar_stays_within_its_cells(fraction, bar):
    assert order.progress_bar(fraction) == bar


def test_the_queue_text_speaks_in_russian_plurals():
    say = TEXTS.say("ru")

    texts_of = [
        order.queued(say, "X", ORDER, ahead=ahead, eta_seconds=0).text for ahead in (1, 3, 5, 0)
    ]

    assert "Перед вами 1 заказ." in texts_of[0]
    assert "Перед вами 3 заказа." in texts_of[1]
    assert "Перед вами 5 заказов." in texts_of[2]
    assert "Вы следующий" in texts_of[3]


def test_a_workflow_that_needs_more_than_one_photo_is_not_offered_for_one():
    import msgspec

    two = msgspec.structs.replace(SCENE, inputs=SCENE.inputs * 2)

    assert upload.takes_a_photo(SCENE)
    assert not upload.takes_a_photo(two)
    assert len(upload.choices(TEXTS.say("en"), ORDER, [two]).buttons) == 1


def test_eta_is_not_more_exact_than_it_is_known():
    say = TEXTS.say("en")

    assert "about 45 s" in order.queued(say, "X", ORDER, ahead=2, eta_seconds=41.3).text
    soon = timedelta(minutes=3, seconds=1).total_seconds()
    assert "about 4 min" in order.queued(say, "X", ORDER, ahead=2, eta_seconds=soon).text
