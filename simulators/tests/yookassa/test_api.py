"""The API: credentials, idempotence, what is refused and why, lists."""

import aiohttp
import pytest

from simulators.yookassa.testing import ApiClient

RUB = "RUB"


def money(value, currency=RUB):
    return {"value": value, "currency": currency}


async def test_a_payment_is_made_and_shown(stand):
    made = await stand.make()

    assert made["status"] == "pending"
    assert (made["paid"], made["refundable"], made["test"]) == (False, False, True)
    assert made["amount"] == money("199.00")
    assert made["metadata"] == {"payment_id": "p-1"}
    assert made["created_at"].endswith("Z")
    assert made["confirmation"]["confirmation_url"] == f"{stand.sim.url}/pay/{made['id']}"
    assert await stand.api.get(f"/payments/{made['id']}") == (200, made)


async def test_only_the_shop_itself_is_answered(stand, wished):
    for shop_id, secret in ((stand.sim.shop_id, "wrong"), ("1", stand.sim.secret)):
        stranger = ApiClient(stand.control, shop_id, secret)
        status, body = await stranger.post("/payments", wished())
        assert (status, body["code"]) == (401, "invalid_credentials")

    assert (await stand.api.get("/me"))[1]["account_id"] == stand.sim.shop_id
    assert await stand.control.payments() == []


async def test_the_same_key_gets_the_same_answer(stand, wished):
    first = await stand.make(key="k-1")
    await stand.control.pay(first["id"])

    assert await stand.make(key="k-1") == first
    refused = await stand.refuse("/payments", wished(amount=money("200.00")), key="k-1")
    assert refused == (400, "invalid_request", "Idempotence-Key")
    assert len(await stand.control.payments()) == 1


async def test_a_key_is_needed_and_forgotten_after_a_day(stand, wished):
    for key in ("", "k" * 65):
        refused = await stand.refuse("/payments", wished(), key=key)
        assert refused == (400, "invalid_request", "Idempotence-Key")

    first = await stand.make(key="k-1")
    await stand.control.advance(86_401)

    assert (await stand.make(key="k-1"))["id"] != first["id"]


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"amount": None}, "amount"),
        ({"amount": money(100)}, "amount.value"),
        ({"amount": money("1.001")}, "amount.value"),
        ({"amount": money("-5.00")}, "amount.value"),
        ({"amount": money("0.99")}, "amount.value"),
        ({"amount": money("1e400")}, "amount.value"),
        ({"amount": money("5.00", "USD")}, "amount.currency"),
        ({"confirmation": None}, "confirmation"),
        ({"confirmation": {"type": "embedded"}}, "confirmation.type"),
        ({"confirmation": {"type": "redirect"}}, "confirmation.return_url"),
        ({"capture": "yes"}, "capture"),
        ({"description": "d" * 129}, "description"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 33: ""}}, "metadata"),
        ({"metadata": {"k": 5}}, "metadata.k"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ],
)
async def test_a_mistake_names_its_parameter(stand, wished, changes, parameter):
    refused = await stand.refuse("/payments", wished(**changes))

    assert refused == (400, "invalid_request", parameter)
    assert await stand.control.payments() == []


async def test_the_longest_of_everything_is_taken(stand):
    metadata = {f"{number:032}": "v" * 512 for number in range(16)}

    made = await stand.make(description="d" * 128, metadata=metadata)

    assert made["metadata"] == metadata


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(stand, body, content_type, status):
    auth = aiohttp.encode_basic_auth(stand.sim.shop_id, stand.sim.secret)
    headers = {"Authorization": auth, "Content-Type": content_type, "Idempotence-Key": "k"}

    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{stand.sim.api_url}/payments", data=body) as response:
            assert (response.status, (await response.json())["type"]) == (status, "error")


async def test_what_does_not_exist_is_not_found(stand):
    for path in ("/payments/nobody", "/refunds/nobody"):
        status, body = await stand.api.get(path)
        assert (status, body["code"]) == (404, "not_found")
    refused = await stand.refuse("/payments/nobody/cancel", {})
    assert refused == (404, "not_found", "payment_id")


async def test_a_list_comes_page_by_page_the_newest_first(stand):
    ids = [(await stand.make())["id"] for _ in range(5)]

    seen, query = [], {"limit": "2"}
    for _ in range(3):
        _, page = await stand.api.get("/payments", **query)
        seen += [item["id"] for item in page["items"]]
        query["cursor"] = page.get("next_cursor", "")

    assert seen == ids[::-1]
    assert query["cursor"] == ""
    assert (await stand.api.get("/payments", cursor="x"))[1]["parameter"] == "cursor"
    for limit in ("0", "101", "x"):
        assert (await stand.api.get("/payments", limit=limit))[1]["parameter"] == "limit"


async def test_a_list_is_filtered_by_moments_and_status(stand):
    first = await stand.sell()
    await stand.control.advance(60)
    second = await stand.make()

    async def ids(**query):
        status, page = await stand.api.get("/payments", **query)
        assert status == 200, page
        return [item["id"] for item in page["items"]]

    assert await ids(status="succeeded") == [first["id"]]
    assert await ids(**{"created_at.gte": second["created_at"]}) == [second["id"]]
    assert await ids(**{"created_at.gt": second["created_at"]}) == []
    assert await ids(**{"created_at.lt": second["created_at"]}) == [first["id"]]
    assert await ids(**{"captured_at.gte": first["created_at"]}) == [first["id"]]
    _, refused = await stand.api.get("/payments", **{"created_at.gte": "yesterday"})
    assert refused["parameter"] == "created_at.gte"


@pytest.fixture
async def fiscal(start):
    return await start(receipts=True)


def receipt(value="199.00", **changes):
    item = {"description": "100 credits", "quantity": 1, "amount": money(value), "vat_code": 1}
    return {"customer": {"email": "a@example.org"}, "items": [{**item, **changes}]}


async def test_a_shop_with_receipts_needs_one_for_every_payment(fiscal, wished):
    assert await fiscal.refuse("/payments", wished()) == (400, "invalid_request", "receipt")

    made = await fiscal.make(receipt=receipt())

    assert made["receipt_registration"] == "pending"
    assert (await fiscal.control.pay(made["id"]))["receipt_registration"] == "succeeded"


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({**receipt(), "customer": {}}, "receipt.customer"),
        ({**receipt(), "items": []}, "receipt.items"),
        (receipt("198.99"), "receipt.items"),
        (receipt(quantity="2"), "receipt.items"),
        (receipt(vat_code=13), "receipt.items[0].vat_code"),
        (receipt(quantity=0), "receipt.items[0].quantity"),
        (receipt(description=""), "receipt.items[0].description"),
        (receipt(amount=money("x")), "receipt.items[0].amount.value"),
    ],
)
async def test_a_wrong_receipt_is_refused(fiscal, wished, wrong, parameter):
    refused = await fiscal.refuse("/payments", wished(receipt=wrong))

    assert refused == (400, "invalid_request", parameter)
