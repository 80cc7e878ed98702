import io
from uuid import UUID

from PIL import Image
from rich.console import Console

from devstack.demo import (
    CONFIRM_PREFIX,
    WORKFLOW_ID,
    WORKFLOW_PREFIX,
    product_photo,
    unpack_order_id,
)
from devstack.waterfall import BAR_CELLS, bar, waterfall
from gateway.domain.callbacks import ChooseWorkflow, ConfirmOrder, pack

ORDER_ID = UUID("0190f7c4-7a3c-7f00-8000-00000000abcd")


def test_the_demo_knows_the_buttons_of_the_gateway():
    confirm = pack(ConfirmOrder(ORDER_ID))
    choose = pack(ChooseWorkflow(ORDER_ID, WORKFLOW_ID))

    assert confirm.startswith(CONFIRM_PREFIX)
    assert unpack_order_id(confirm) == ORDER_ID
    assert choose.startswith(WORKFLOW_PREFIX)
    assert WORKFLOW_ID in choose


def test_the_product_photo_is_a_photo():
    photo = Image.open(io.BytesIO(product_photo()))

    assert photo.format == "JPEG"
    assert photo.size == (1024, 1024)


def test_a_bar_never_leaves_the_axis_and_never_vanishes():
    assert bar(0, 100, 100) == "█" * BAR_CELLS
    assert bar(100, 0, 100) == " " * (BAR_CELLS - 1) + "█"
    assert bar(50, 0.001, 100) == " " * (BAR_CELLS // 2) + "█"
    assert bar(0, 0, 0) == "█"


def test_a_waterfall_shows_every_span_under_its_cause():
    span = {"service": "billing", "failed": False, "offset_ms": 0.0, "duration_ms": 1500.0}
    spans = [{**span, "name": "tap", "depth": 0}, {**span, "name": "hold", "depth": 1}]
    output = io.StringIO()

    Console(file=output, width=140).print(waterfall("abc", spans, 140))

    assert "trace abc" in output.getvalue()
    assert "   hold" in output.getvalue()
    assert "1.50 s" in output.getvalue()


def test_a_narrow_terminal_gets_one_line_per_span():
    span = {"service": "generator", "failed": False, "offset_ms": 10.0, "duration_ms": 150.0}
    spans = [{**span, "name": "a long name " * 9, "depth": depth} for depth in range(5)]
    output = io.StringIO()

    Console(file=output, width=80).print(waterfall("abc", spans, 80))

    assert len(output.getvalue().splitlines()) == 2 + len(spans)
    assert output.getvalue().count("generator") == len(spans)
    assert output.getvalue().count("150.0 ms") == len(spans)
    assert output.getvalue().count("█") >= len(spans)
