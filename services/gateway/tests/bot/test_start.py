from datetime import date

from contracts import billing, payments, rewards, vpn
from gateway.domain.callbacks import OpenPage, SetLanguage, pack


async def test_start_welcomes_at_once_and_opens_the_account(chat):
    answers = await chat.send("/start")

    assert [answer.kind for answer in answers] == ["send"]
    assert "Welcome" in answers[0].screen.text
    assert len(await chat.emitted(billing.OpenAccount)) == 1


async def test_a_deep_link_is_carried_to_billing(chat):
    await chat.send("/start ref_abc-123")

    assert (await chat.emitted(billing.OpenAccount))[0].deep_link == "ref_abc-123"


async def test_a_deep_link_of_another_shape_is_dropped(chat):
    await chat.send("/start <b>что-то</b>")

    assert (await chat.emitted(billing.OpenAccount))[0].deep_link == ""


async def test_the_account_is_opened_once_whatever_comes_first(chat):
    await chat.send_photo()
    await chat.send("/start ref_late")

    opened = await chat.emitted(billing.OpenAccount)
    assert [command.deep_link for command in opened] == [""]


async def test_the_language_comes_from_telegram(chat):
    chat.language_code = "ru-RU"

    assert "Добро пожаловать" in (await chat.send("/start"))[0].screen.text


async def test_the_language_can_be_changed(chat):
    await chat.send("/start")
    offered = (await chat.send("/language"))[0].screen

    answers = await chat.tap(pack(SetLanguage("ru")))

    assert pack(SetLanguage("ru")) in [row[0].data for row in offered.buttons]
    assert "Теперь говорим по-русски." in [answer.text for answer in answers]
    assert "Как это работает" in (await chat.send("/help"))[0].screen.text


async def test_a_language_that_does_not_exist_changes_nothing(chat):
    answers = await chat.tap("l:1:xx")

    assert [answer.text for answer in answers] == [
        "This button is out of date. Please use the menu."
    ]


async def test_each_menu_button_is_answered(chat):
    chat.billing = {
        billing.GetBalance: billing.Balance(user_id=1),
        billing.GetHistory: billing.History(),
        payments.GetOffers: payments.Offers(),
        rewards.GetRewards: rewards.Rewards(referral_code="abc", draw_day=date(2026, 11, 21)),
        vpn.GetAccess: vpn.Access(),
    }
    menu = (await chat.send("/start"))[0].screen

    for button in [button for row in menu.buttons for button in row]:
        answers = await chat.tap(button.data)
        assert "edit" in [answer.kind for answer in answers], button


async def test_a_fresh_page_leaves_the_tapped_message_alone(chat):
    answers = await chat.tap(pack(OpenPage("balance", fresh=True)))

    assert "edit" not in [answer.kind for answer in answers]


async def test_help_terms_and_paysupport_answer(chat):
    for command, words in (
        ("/help", "Product scene"),
        ("/terms", "Terms"),
        ("/paysupport", "Payment support"),
        ("/help@vitrine_bot", "How it works"),
    ):
        assert words in (await chat.send(command))[0].screen.text
