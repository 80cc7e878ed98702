"""The queue of held money: what came and matched no invoice, for a person to decide."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Console
from rich.table import Table

from chassis.broker import Broker
from contracts.ids import NOBODY
from contracts.operators import GetHeld, Held
from vitrine_tools import money

WIDTH_OF_A_FILE = 400


async def show(broker: Broker) -> None:
    held = await money.ask(broker, GetHeld(), Held)
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_A_FILE, markup=False, emoji=False, highlight=False)
    if not held.charges:
        console.print("no money waits for a decision")
        return
    table = Table("paid (UTC)", "provider", "charge", "user", "amount", "why", "payment")
    for each in held.charges:
        amount = Decimal(each.amount_minor).scaleb(-each.exponent)
        table.add_row(
            f"{each.paid_at:%Y-%m-%d %H:%M:%S}",
            each.provider,
            each.charge_id,
            str(each.user_id) if each.user_id != NOBODY else "nobody known",
            f"{amount:f} {each.currency}",
            each.code,
            str(each.payment_id or "-"),
        )
    console.print(table)
    if held.cut:
        console.print("there is more than is shown here")
