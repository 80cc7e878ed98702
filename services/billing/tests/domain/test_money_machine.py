"""Charges, refunds, charge-backs, refusals, adjustments in any order: the books stay exact."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.domain import charges, order_refunds, plans, tiers
from billing.domain.accounts import KIND_PLAN, PENDING, POSTED, Account
from billing.domain.books import replay
from billing.domain.charges import Charge
from billing.domain.ledger import Ledger
from billing.domain.order_refunds import OrderRefund
from billing.domain.orders import Order
from contracts.errors import RefusalError

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


class MoneyMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = START
        self.account = Account(1)
        self.transfers = []
        self.charges = []
        self.holds = []
        self.adjusted = 0
        self.given_back = {}
        with self.sitting() as ledger:
            ledger.open_trial(self.account, 20, timedelta(days=2))

    def sitting(self):
        machine = self

        class Sitting:
            def __enter__(self):
                self.ledger = Ledger(machine.now)
                return self.ledger

            def __exit__(self, kind, error, trace):
                machine.transfers += self.ledger.transfers
                return kind is not None and issubclass(kind, RefusalError)

        return Sitting()

    def charge(self, **fields):
        made = Charge("p", str(len(self.charges)), None, 1, "x", 7, "USD", self.now, "paid")
        for name, value in fields.items():
            setattr(made, name, value)
        self.charges.append(made)

    @rule(paid=st.sampled_from([1, 30, 100]), bonus=st.sampled_from([0, 15]))
    def pay(self, paid, bonus):
        with self.sitting() as ledger:
            lot, _ = ledger.grant(self.account, "paid", paid)
            extra = ledger.grant(self.account, "bonus", bonus)[0].number if bonus else None
            self.charge(credits=paid + bonus, bonus_credits=bonus, lot=lot.number, bonus_lot=extra)

    @rule(tier=st.sampled_from(["vip", "black_gold"]))
    def pay_a_plan(self, tier):
        given = plans.extend(self.account, tier, MONTH, self.now)
        self.charge(
            tier=tier,
            tier_from=given.since,
            tier_until=given.until,
            tier_replaced=given.replaced,
        )

    @precondition(lambda self: self.of("paid"))
    @rule(data=st.data())
    def begin_refund(self, data):
        chosen = data.draw(st.sampled_from(self.of("paid")))
        part = None
        if not chosen.tier and chosen.left_minor > 1:
            part = data.draw(st.none() | st.integers(1, chosen.left_minor))
        charges.begin_refund(chosen, reason="asked", actor="op", amount_minor=part)
        with self.sitting() as ledger:
            charges.take(chosen, self.account, ledger)

    @precondition(lambda self: self.of("refunding"))
    @rule(data=st.data(), refused=st.booleans())
    def answer(self, data, refused):
        chosen = data.draw(st.sampled_from(self.of("refunding")))
        if refused:
            with self.sitting() as ledger:
                charges.give_again(chosen, self.account, ledger)
            charges.settle(chosen, charges.PAID, self.now)
        else:
            charges.went_back(chosen, self.now, charged_back=False)

    @precondition(lambda self: self.of("paid"))
    @rule(data=st.data())
    def charge_back(self, data):
        chosen = data.draw(st.sampled_from(self.of("paid")))
        charges.set_apart(chosen, chosen.left_minor)
        with self.sitting() as ledger:
            charges.take(chosen, self.account, ledger)
        charges.went_back(chosen, self.now, charged_back=True)

    @rule(amount=st.sampled_from([-200, -15, 5, 60]))
    def adjust(self, amount):
        with self.sitting() as ledger:
            ledger.adjust(self.account, amount, "by hand")
        self.adjusted += amount

    @rule(amount=st.sampled_from([1, 25, 90]))
    def spend(self, amount):
        with self.sitting() as ledger:
            ledger.spend(self.account, amount, KIND_PLAN, "plan")

    @rule(amount=st.sampled_from([0, 1, 25, 90]))
    def hold(self, amount):
        with self.sitting() as ledger:
            hold = ledger.hold(self.account, None, amount, self.now + timedelta(hours=1))
            self.holds.append(hold)

    @precondition(lambda self: any(hold.state == PENDING for hold in self.holds))
    @rule(data=st.data(), void=st.booleans())
    def end_hold(self, data, void):
        pending = [hold for hold in self.holds if hold.state == PENDING]
        hold = pending[data.draw(st.integers(0, len(pending) - 1))]
        with self.sitting() as ledger:
            if void:
                ledger.void(self.account, hold, "failed")
            else:
                ledger.post(self.account, hold)

    @precondition(lambda self: any(hold.state == POSTED for hold in self.holds))
    @rule(data=st.data(), asked=st.sampled_from([None, 1, 20]))
    def give_an_order_back(self, data, asked):
        hold = data.draw(st.sampled_from([each for each in self.holds if each.state == POSTED]))
        order = Order(None, 1, "w", 1, hold.amount, b"", self.now, hold=hold)
        before = self.given_back.setdefault(id(hold), [])
        with self.sitting() as ledger:
            amount = order_refunds.amount_of(order, asked, before)
            owed = order_refunds.give_back(order, amount, before, self.account, ledger, "why")
            before.append(OrderRefund(None, None, 1, amount, owed, "why", "op", ""))

    @rule()
    def renew_trial(self):
        pending = [hold for hold in self.holds if hold.state == PENDING]
        with self.sitting() as ledger:
            ledger.renew_trial(self.account, 20, timedelta(days=2), pending)

    @rule(hours=st.sampled_from([1, 30, 24 * 11]))
    def wait(self, hours):
        self.now += timedelta(hours=hours)

    def of(self, state):
        return [each for each in self.charges if each.state == state]

    @invariant()
    def the_books_are_exact(self):
        account = self.account
        found = replay(self.transfers)
        assert (found.available, found.held, found.debt) == (
            account.available,
            account.held,
            account.debt,
        )
        assert account.available == sum(lot.remaining for lot in account.lots.values())
        assert min(account.available, account.held, account.debt) >= 0
        assert not (account.available and account.debt)
        for number, lot in account.lots.items():
            assert found.lots.get(number, 0) == lot.remaining
            assert 0 <= lot.remaining <= lot.granted
            assert lot.state == "open" or lot.remaining == 0

    @invariant()
    def a_refund_takes_exactly_what_was_bought(self):
        for each in self.charges:
            assert (each.left_minor == 0) == (
                each.state in ("refunded", "charged_back")
                or (each.state == "refunding" and each.refunding_minor + each.refunded_minor == 7)
            )
            gone = each.refunded_minor + each.refunding_minor
            bonus = each.bonus_credits
            shares = [charges.share(part, gone, 7) for part in (each.credits - bonus, bonus)]
            assert each.taken_credits == sum(shares)
        moved = sum(
            each.amount * {"revoke": 1, "restore": -1}.get(each.kind, 0) for each in self.transfers
        )
        assert moved == sum(each.taken_credits for each in self.charges)

    @invariant()
    def adjustments_are_their_transfers(self):
        moved = sum(
            each.amount if each.debit == "house:gifts" else -each.amount
            for each in self.transfers
            if each.kind == "adjust"
        )
        assert moved == self.adjusted

    @invariant()
    def an_order_gives_back_its_price_at_most(self):
        for hold in self.holds:
            assert 0 <= sum(each.credits for each in self.refunds_of(hold)) <= hold.amount
        moved = sum(each.amount for each in self.transfers if each.kind == "credit_back")
        assert moved == sum(each.credits for hold in self.holds for each in self.refunds_of(hold))

    def refunds_of(self, hold):
        return self.given_back.get(id(hold), [])

    @invariant()
    def a_tier_lasts_no_longer_than_what_was_paid(self):
        live = [each for each in self.charges if each.tier and each.state in ("paid", "refunding")]
        if tiers.tier_of(self.account, self.now) != "none":
            assert live or self.charges
            assert self.account.tier_until > self.now
            bought = MONTH * len([each for each in self.charges if each.tier])
            assert self.account.tier_until <= self.now + bought


MoneyMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMoney = MoneyMachine.TestCase
