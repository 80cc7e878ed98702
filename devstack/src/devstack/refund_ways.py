"""Ways of a payment back to who paid it; see devstack.payment_ways."""

from decimal import Decimal

from contracts.gateway import RefundStars, StarsRefundRecorded
from contracts.payments import CRYPTO_PAY, STARS, ChargeRefunded, RefundCharge
from devstack.payment_ways import PACK, TOKEN, TRIAL, Case, StarsArePaid, WebhookPaid


class Refunded(WebhookPaid):
    """An operator refunds a Crypto Pay charge: by a transfer, made once."""

    calls_out = True

    async def prepare(self, number: int) -> list[Case]:
        return await self.over(await super().prepare(number), super().begin)

    async def begin(self, case: Case) -> None:
        command = RefundCharge(
            provider=CRYPTO_PAY,
            charge_id=case.charge_id,
            user_id=case.user_id,
            reason="test",
            actor="test",
        )
        await self.victim.publish([command])

    async def go_on(self, case: Case) -> None:
        """Nothing: the command was stored."""

    async def check(self, case: Case) -> None:
        victim = self.victim
        charges = await victim.rows(
            "SELECT state FROM charges WHERE payment_id = $1", case.payment_id
        )
        assert charges == [("refunded",)]
        assert await self.state(case) == ("paid", TRIAL)
        _, answer = await self.control.api(TOKEN, "getTransfers", count=1_000)
        (sent,) = [each for each in answer["result"]["items"] if each["user_id"] == case.user_id]
        assert Decimal(sent["amount"]) == Decimal("5.49")
        (told,) = victim.events(ChargeRefunded, charge_id=case.charge_id)
        assert (told.taken_credits, told.debt_credits) == (PACK, 0)
        taken = await victim.rows(
            "SELECT sum(amount)::int FROM transfers WHERE user_id = $1 AND kind = 'revoke'",
            case.user_id,
        )
        assert taken == [(PACK,)]


class StarsRefundAsked(StarsArePaid):
    """An operator refunds a Stars payment: gateway is asked to, once."""

    async def prepare(self, number: int) -> list[Case]:
        return await self.over(await super().prepare(number), super().begin)

    async def begin(self, case: Case) -> None:
        await self.victim.publish([self.refund(case)])

    def refund(self, case: Case) -> RefundCharge:
        return RefundCharge(
            provider=STARS,
            charge_id=case.charge_id,
            user_id=case.user_id,
            reason="test",
            actor="test",
        )

    async def charge(self, case: Case) -> str:
        (row,) = await self.victim.rows(
            "SELECT state FROM charges WHERE charge_id = $1", case.charge_id
        )
        return str(row[0])

    async def check(self, case: Case) -> None:
        assert await self.charge(case) == "refunding"
        assert await self.state(case) == ("paid", TRIAL)
        rows = await self.victim.rows(
            "SELECT body FROM outbox WHERE subject = $1", RefundStars.subject
        )
        asked = [RefundStars.decode(body).charge_id for (body,) in rows]
        assert asked.count(case.charge_id) == 1


class StarsRefunded(StarsRefundAsked):
    """Telegram gave the Stars back, says gateway."""

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        await self.victim.publish(self.refund(case) for case in cases)
        await self.victim.settled()
        return cases

    async def begin(self, case: Case) -> None:
        given = StarsRefundRecorded(user_id=case.user_id, charge_id=case.charge_id)
        await self.victim.publish([given])

    async def check(self, case: Case) -> None:
        assert await self.charge(case) == "refunded"
        assert await self.state(case) == ("paid", TRIAL)
        (told,) = self.victim.events(ChargeRefunded, charge_id=case.charge_id)
        assert (told.taken_credits, told.debt_credits) == (PACK, 0)
