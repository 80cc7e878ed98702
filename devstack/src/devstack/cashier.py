"""How a customer of a running platform pays, and what operators do about it: steps tests share."""

from typing import Any

from devstack.chat import Message
from devstack.customer import Customer
from devstack.stage import Stage

OPERATOR = "alice"


async def vitrine(stage: Stage, *arguments: object, actor: str = OPERATOR) -> tuple[int, str]:
    """An operator's command line; returns its exit code and what it printed."""
    return await stage.run("vitrine", *map(str, arguments), actor=actor)


async def told(stage: Stage, url: str, body: dict[str, Any]) -> None:
    """Order something of a stand-in."""
    async with stage.session.post(url, json=body) as answer:
        answer.raise_for_status()


async def heard(customer: Customer, words: str) -> Message:
    return await customer.chat.wait_for(lambda said: words in said.text, words)


async def press(customer: Customer, label: str, after: int) -> Message:
    """Press the newest button with such a label, as soon as it is there."""

    def offers(said: Message) -> bool:
        return any(label in button.text for button in said.buttons)

    found = await customer.chat.wait_for(offers, f"button {label!r}", after=after)
    button = next(each for each in found.buttons if label in each.text)
    if button.data:
        await customer.chat.press(found, button)
    return found


async def invoice_of(customer: Customer, method: str, pay: str) -> Message:
    """Ask for 100 credits; returns the message with the button that pays."""
    after = await customer.newest()
    await customer.chat.say("/topup")
    await press(customer, "100 credits", after)
    await press(customer, method, after)
    return await press(customer, pay, after)


async def billing_row(stage: Stage, columns: str, table: str, customer: Customer) -> Any:
    """The one row of one of billing's tables that is about this customer."""
    query = f"SELECT {columns} FROM billing.{table} WHERE user_id = $1"  # noqa: S608 - constant
    rows = await stage.fetch(query, customer.chat.user_id)
    assert len(rows) == 1, rows
    return rows[0]
