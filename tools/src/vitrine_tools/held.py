"""The queue of held money: what came and matched no invoice, for a person to decide."""

from __future__ import annotations

from decimal import Decimal

from rich.table import Table

from chassis.broker import Broker
from contracts.ids import NOBODY
from contracts.operators import GetHeld, Held
from vitrine_tools import money, screen
from vitrine_tools.screen import plain


async def show(broker: Broker) -> None:
    held = await money.ask(broker, GetHeld(), Held)
    console = screen.wide_console()
    if not held.charges:
        console.print("no money waits for a decision")
        return
    table = Table("paid (UTC)", "provider", "charge", "user", "amount", "why", "payment")
    for each in held.charges:
        amount = Decimal(each.amount_minor).scaleb(-each.exponent)
        table.add_row(
            f"{each.paid_at:%Y-%m-%d %H:%M:%S}",
            plain(each.provider),
            plain(each.charge_id),
            str(each.user_id) if each.user_id != NOBODY else "nobody known",
            plain(f"{amount:f} {each.currency}"),
            plain(each.code),
            str(each.payment_id or "-"),
        )
    console.print(table)
    if held.cut:
        console.print("there is more than is shown here")
