from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import callbacks
from gateway.domain.callbacks import (
    CancelOrder,
    ChooseWorkflow,
    ConfirmOrder,
    DismissOrder,
    OpenHistory,
    OpenPage,
    SendAsFile,
    SetLanguage,
    pack,
    parse,
)

ORDER = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
EACH = [
    OpenPage(callbacks.HOME),
    OpenPage(callbacks.BALANCE, fresh=True),
    OpenHistory(),
    OpenHistory("12345678901"),
    SetLanguage("ru"),
    ChooseWorkflow(ORDER, "image.product_scene"),
    ConfirmOrder(ORDER),
    DismissOrder(ORDER),
    CancelOrder(ORDER),
    SendAsFile(ORDER),
]


@pytest.mark.parametrize("callback", EACH, ids=lambda each: type(each).__name__)
def test_every_button_comes_back_as_it_was_packed(callback):
    assert parse(pack(callback)) == callback


def test_prefixes_are_the_published_ones():
    assert [pack(each).split(":")[0] for each in EACH] == list("mmhhlwcnxf")
    assert pack(ConfirmOrder(ORDER)).startswith("c:1:")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "c",
        "c:1",
        "c:1:",
        "c:2:AZN24Sttfj-KUS-dbBt-QA",
        "c:1:AZN24Sttfj-KUS-dbBt-QB",
        "c:1:AZN24Sttfj-KUS-dbBt-QA=",
        "c:1:ÄÖÜ24Sttfj-KUS-dbBt-QA",
        "c:1:" + "A" * 50,
        "m:1:admin",
        "w:1:image.enhance",
        "w:1:AZN24Sttfj-KUS-dbBt-QA:",
        "z:1:AZN24Sttfj-KUS-dbBt-QA",
        "🙂",
        "confirm_order_17",
    ],
)
def test_old_cut_and_forged_data_parse_to_nothing(data):
    assert parse(data) is None


@given(st.text(max_size=64))
def test_no_data_makes_parsing_fail(data):
    callback = parse(data)
    assert callback is None or parse(pack(callback)) == callback


def test_data_that_does_not_fit_is_refused_when_it_is_packed():
    with pytest.raises(ValueError, match="bytes"):
        pack(ChooseWorkflow(uuid4(), "image." + "x" * 40))
