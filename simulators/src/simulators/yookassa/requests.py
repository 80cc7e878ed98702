"""Reads what a shop asks for: amounts, receipts, metadata; a mistake names its parameter."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from simulators.provider.money import positive
from simulators.yookassa.errors import ApiError
from simulators.yookassa.views import CURRENCY

Json = dict[str, Any]

DESCRIPTION_MAX = 128
METADATA_KEYS_MAX = 16
METADATA_KEY_MAX = 32
METADATA_VALUE_MAX = 512
RETURN_URL_MAX = 2_048
RECEIPT_ITEMS_MAX = 100
VAT_CODES = range(1, 13)
LEAST = Decimal(1)


def read_json(raw: bytes, content_type: str) -> Json:
    if not raw:
        return {}
    if content_type != "application/json":
        raise ApiError("Content type must be application/json", status=415)
    try:
        body = json.loads(raw, parse_float=Decimal)
    except ValueError:
        raise ApiError("Request body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiError("Request body is not a JSON object")
    return body


def fail(parameter: str, why: str) -> ApiError:
    return ApiError(f"Incorrect parameter: {why}", parameter)


def table(body: Json, name: str, within: str = "") -> Json:
    value = body.get(name)
    if not isinstance(value, dict):
        raise fail(within + name, "an object is needed")
    return value


def text(body: Json, name: str, most: int, within: str = "") -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise fail(within + name, f"a string of at most {most} characters is needed")
    return value


def amount(body: Json, within: str = "") -> Decimal:
    given = table(body, "amount", within)
    value = positive(given.get("value")) if isinstance(given.get("value"), str) else None
    if value is None or value != round(value, 2):
        raise fail(f"{within}amount.value", "a positive number of two decimals is needed")
    if given.get("currency") != CURRENCY:
        raise fail(f"{within}amount.currency", f"{CURRENCY} is needed")
    return value


def price(body: Json) -> Decimal:
    value = amount(body)
    if value < LEAST:
        raise fail("amount.value", f"at least {LEAST} is needed")
    return value


def return_url(body: Json) -> str:
    confirmation = table(body, "confirmation")
    if confirmation.get("type") != "redirect":
        raise fail("confirmation.type", "redirect is needed")
    url = text(confirmation, "return_url", RETURN_URL_MAX, "confirmation.")
    if url is None or not url.startswith(("http://", "https://")):
        raise fail("confirmation.return_url", "an address is needed")
    return url


def flag(body: Json, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise fail(name, "true or false is needed")
    return value


def metadata(body: Json) -> dict[str, str]:
    given = body.get("metadata") or {}
    if not isinstance(given, dict) or len(given) > METADATA_KEYS_MAX:
        raise fail("metadata", f"an object of at most {METADATA_KEYS_MAX} keys is needed")
    for key, value in given.items():
        if len(key) > METADATA_KEY_MAX:
            raise fail("metadata", f"a key has at most {METADATA_KEY_MAX} characters")
        if not isinstance(value, str) or len(value) > METADATA_VALUE_MAX:
            raise fail(f"metadata.{key}", f"a string of at most {METADATA_VALUE_MAX} characters")
    return dict(given)


def receipt(body: Json, total: Decimal, *, needed: bool) -> Json | None:
    """The receipt of the payment; what it lists must cost what is paid."""
    if body.get("receipt") is None and not needed:
        return None
    if not isinstance(body.get("receipt"), dict):
        raise ApiError("Receipt is missing or illegal", "receipt")
    given: Json = body["receipt"]
    customer = table(given, "customer", "receipt.")
    if not (customer.get("email") or customer.get("phone")):
        raise fail("receipt.customer", "an email or a phone is needed")
    items = given.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= RECEIPT_ITEMS_MAX:
        raise fail("receipt.items", f"1 to {RECEIPT_ITEMS_MAX} items are needed")
    costs = [item_cost(item, f"receipt.items[{number}].") for number, item in enumerate(items)]
    if sum(costs) != total:
        raise fail("receipt.items", "they do not add up to the amount")
    return given


def item_cost(item: Any, within: str) -> Decimal:
    if not isinstance(item, dict):
        raise fail(within.rstrip("."), "an object is needed")
    if not text(item, "description", DESCRIPTION_MAX, within):
        raise fail(f"{within}description", "is needed")
    quantity = positive(item.get("quantity"))
    if quantity is None:
        raise fail(f"{within}quantity", "a positive number is needed")
    if item.get("vat_code") not in VAT_CODES:
        raise fail(f"{within}vat_code", f"{VAT_CODES[0]} to {VAT_CODES[-1]} is needed")
    return amount(item, within) * quantity


def integer(query: Callable[[str], str | None], name: str, default: int, most: int) -> int:
    word = query(name)
    if word is None:
        return default
    if not word.isdecimal() or not 1 <= int(word) <= most:
        raise fail(name, f"1 to {most} is needed")
    return int(word)
