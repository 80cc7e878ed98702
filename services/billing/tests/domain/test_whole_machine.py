"""Payments, holds, lots, refunds, charge-backs, promos, draws together: duplicated, late, crashed.

Every message may come again and in any order; a crash loses what it did, its note in the inbox
too, so that a later delivery does it.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.domain import charges, draws, orders, plans, prices, promos, quotas
from billing.domain.accounts import PENDING, POSTED, Account
from billing.domain.books import replay
from billing.domain.charges import Charge, Paid
from billing.domain.discounts import Discount
from billing.domain.errors import OrderRefusedError
from billing.domain.ledger import Ledger
from billing.domain.orders import Desk
from billing.domain.payments import Payment
from billing.domain.promos import Asker, Promo
from billing.domain.terms import Terms
from billing.testing import ENHANCE, ORBIT, PRODUCT_SCENE, WORKFLOWS, order_of
from chassis.clock import new_id
from contracts.errors import RefusalError

PEOPLE = (1, 2)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TERMS = Terms(zone=ZoneInfo("Europe/Moscow"), in_flight_max=4)
SEED = bytes(range(32))
PRICE, CREDITS, BONUS, PLAN_DAYS = 7, 100, 15, timedelta(days=30)
CREDITS_CODE, PERCENT_CODE = "TEN", "HALF"
SELDOM = st.integers(0, 5).map(lambda drawn: drawn == 5)
PERSON = st.sampled_from(PEOPLE)


@dataclass
class World:
    """All that is committed."""

    accounts: dict = field(default_factory=dict)
    transfers: dict = field(default_factory=lambda: {user: [] for user in PEOPLE})
    inbox: set = field(default_factory=set)
    orders: dict = field(default_factory=dict)
    quotas: dict = field(default_factory=dict)
    charges: dict = field(default_factory=dict)
    promos: dict = field(default_factory=dict)
    redeemed: set = field(default_factory=set)
    won: set = field(default_factory=set)
    adjusted: list = field(default_factory=list)
    discounts: dict = field(default_factory=lambda: {user: [] for user in PEOPLE})

    def holds(self, user):
        mine = [order.hold for order in self.orders.values() if order.user_id == user]
        return [hold for hold in mine if hold is not None]


class WholeMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = START
        self.sent, self.placed, self.invoices = [], [], []
        self.given_back = {}
        self.world = World(
            promos={
                CREDITS_CODE: Promo(CREDITS_CODE, "credits", 10, uses_max=1),
                PERCENT_CODE: Promo(PERCENT_CODE, "discount", 50),
            }
        )
        for user in PEOPLE:
            ledger = Ledger(START)
            self.world.accounts[user] = Account(user)
            ledger.open_trial(self.world.accounts[user], TERMS.trial_credits, TERMS.trial_period)
            self.world.transfers[user] += ledger.transfers

    def deliver(self, number, *, crash):
        world = deepcopy(self.world)
        if number in world.inbox:
            return
        world.inbox.add(number)
        ledger = Ledger(self.now)
        self.sent[number](world, ledger)
        for transfer in ledger.transfers:
            world.transfers[transfer.user_id].append(transfer)
        if not crash:
            self.world = world

    def send(self, effect, *arguments, crash):
        self.sent.append(partial(effect, *arguments))
        self.deliver(len(self.sent) - 1, crash=crash)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), crash=SELDOM)
    def deliver_again(self, data, crash):
        self.deliver(data.draw(st.integers(0, len(self.sent) - 1)), crash=crash)

    # Money that comes, and goes back.

    @rule(user=PERSON, product=st.sampled_from(["credits", "vip"]), crash=SELDOM)
    def pay(self, user, product, crash):
        self.invoices.append(_invoice(user, product))
        self.send(_credit, self.invoices[-1], f"charge-{len(self.invoices)}", crash=crash)

    @precondition(lambda self: self.invoices)
    @rule(data=st.data(), crash=SELDOM)
    def the_provider_says_it_again(self, data, crash):
        """In another message: a webhook, and then the poll or the statement."""
        number = data.draw(st.integers(1, len(self.invoices)))
        self.send(_credit, self.invoices[number - 1], f"charge-{number}", crash=crash)

    @precondition(lambda self: self.invoices)
    @rule(
        data=st.data(),
        part=st.none() | st.integers(1, PRICE // 2),
        refused=st.none() | st.booleans(),
        crash=SELDOM,
    )
    def refund(self, data, part, refused, crash):
        number = data.draw(st.integers(1, len(self.invoices)))
        self.send(_begin_refund, f"charge-{number}", part, crash=crash)
        if refused is not None:
            self.send(_answer_refund, f"charge-{number}", refused, crash=False)

    @precondition(lambda self: self.invoices)
    @rule(data=st.data(), refused=st.booleans(), crash=SELDOM)
    def the_refund_is_answered(self, data, refused, crash):
        number = data.draw(st.integers(1, len(self.invoices)))
        self.send(_answer_refund, f"charge-{number}", refused, crash=crash)

    @precondition(lambda self: self.invoices)
    @rule(data=st.data(), crash=SELDOM)
    def charge_back(self, data, crash):
        number = data.draw(st.integers(1, len(self.invoices)))
        self.send(_charge_back, f"charge-{number}", crash=crash)

    # What is given.

    @rule(user=PERSON, code=st.sampled_from([CREDITS_CODE, PERCENT_CODE]), crash=SELDOM)
    def redeem(self, user, code, crash):
        self.send(_redeem, user, code, crash=crash)

    @rule(user=PERSON, crash=SELDOM)
    def draw(self, user, crash):
        self.send(_draw, user, crash=crash)

    @rule(user=PERSON, amount=st.sampled_from([-90, -5, 40]), crash=SELDOM)
    def adjust(self, user, amount, crash):
        self.send(_adjust, user, amount, len(self.sent), crash=crash)

    # What is spent.

    @rule(user=PERSON, workflow=st.sampled_from((PRODUCT_SCENE, ENHANCE, ORBIT)), crash=SELDOM)
    def place(self, user, workflow, crash):
        offer = prices.offer_of(workflow, self.world.discounts[user], self.now)
        self.placed.append(order_of(user, self.now, workflow=workflow, price_credits=offer.price))
        self.send(_place, self.placed[-1], crash=crash)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), done=st.booleans(), crash=SELDOM)
    def end(self, data, done, crash):
        command = data.draw(st.sampled_from(self.placed))
        self.send(_end, command.order_id, done, crash=crash)

    @rule(crash=SELDOM)
    def sweep(self, crash):
        self.send(_sweep, crash=crash)

    @rule(hours=st.sampled_from([1, 13, 49, 24 * 11]))
    def wait(self, hours):
        self.now += timedelta(hours=hours)

    # What holds whatever happened.

    @invariant()
    def lots_equal_balance_equal_replay(self):
        for user, account in self.world.accounts.items():
            found = replay(self.world.transfers[user])
            books = (account.available, account.held, account.debt)
            assert (found.available, found.held, found.debt) == books
            assert sum(lot.remaining for lot in account.lots.values()) == account.available
            pending = [hold for hold in self.world.holds(user) if hold.state == PENDING]
            assert account.held == sum(hold.amount for hold in pending)
            assert min(books) >= 0
            assert not (account.available and account.debt)
            for number, lot in account.lots.items():
                assert found.lots.get(number, 0) == lot.remaining <= lot.granted

    @invariant()
    def each_payment_credits_once_and_a_refund_takes_what_it_bought(self):
        for user in PEOPLE:
            mine = [each for each in self.world.charges.values() if each.user_id == user]
            bought = sum(each.credits for each in mine)
            moved = self.world.transfers[user]
            granted = [each for each in moved if each.reason in ("payment", "payment_bonus")]
            assert sum(each.amount for each in granted) == bought
            signs = {"revoke": 1, "restore": -1}
            taken = sum(each.amount * signs.get(each.kind, 0) for each in moved)
            assert taken == sum(each.taken_credits for each in mine)
        for each in self.world.charges.values():
            gone = each.refunded_minor + each.refunding_minor
            assert 0 <= gone <= each.amount_minor
            parts = (each.credits - each.bonus_credits, each.bonus_credits)
            assert each.taken_credits == sum(charges.share(part, gone, PRICE) for part in parts)
            ended = each.state in charges.GIVEN_BACK
            assert ended == (each.refunded_minor == each.amount_minor)
            before = self.given_back.get(each.charge_id)
            assert before not in charges.GIVEN_BACK or each.state == before
            self.given_back[each.charge_id] = each.state

    @invariant()
    def charged_exactly_if_completed(self):
        for order in self.world.orders.values():
            posted = sum(
                each.amount
                for each in self.world.transfers[order.user_id]
                if each.order_id == order.order_id and each.kind == "post"
            )
            assert posted == (order.price_credits if order.state == "completed" else 0)
            held = order.hold is not None and order.hold.state == POSTED
            assert (order.state == "completed") == held

    @invariant()
    def a_message_a_code_and_a_draw_give_once(self):
        assert len(self.world.adjusted) == len(set(self.world.adjusted))
        for code, promo in self.world.promos.items():
            users = [user for each, user in self.world.redeemed if each == code]
            assert promo.used == len(users) == len(set(users))
            assert not promo.uses_max or promo.used <= promo.uses_max
        given = [each for moved in self.world.transfers.values() for each in moved]
        by_code = sum(each.amount for each in given if each.reason == "promo")
        assert by_code == 10 * self.world.promos[CREDITS_CODE].used
        for user, held in self.world.discounts.items():
            keys = [each.key for each in held]
            assert len(keys) == len(set(keys))
            days = {day for each, day in self.world.won if each == user}
            assert {key for key in keys if key.startswith("draw:")} == {
                draws.discount_key(day) for day in days
            }
            used = [each.order_id for each in held if each.order_id]
            assert len(used) == len(set(used))

    @invariant()
    def no_tier_outlasts_what_was_paid_for_it(self):
        for user, account in self.world.accounts.items():
            bought = [
                each for each in self.world.charges.values() if each.user_id == user and each.tier
            ]
            if account.tier_until is not None:
                assert account.tier_until <= self.now + PLAN_DAYS * len(bought)


def _invoice(user, product):
    credits_, bonus = (0, 0) if product == "vip" else (CREDITS, BONUS)
    return Payment(new_id(), user, "p", "", product, credits_, bonus, PRICE, "USD", START)


def _credit(invoice, charge_id, world, ledger):
    if charge_id in world.charges:
        return
    paid = Paid("p", charge_id, PRICE, "USD", ledger.now, invoice.payment_id, invoice.user_id)
    assert charges.mismatch(invoice, paid, charges_before=0) == ""
    charge = charges.charge_of(paid, invoice)
    account = world.accounts[invoice.user_id]
    charge.state = charges.PAID
    if invoice.product_id == "vip":
        given = plans.extend(account, "vip", PLAN_DAYS, ledger.now)
        charge.tier, charge.tier_from = "vip", given.since
        charge.tier_until, charge.tier_replaced = given.until, given.replaced
    else:
        lot, _ = ledger.grant(account, "paid", CREDITS, reason="payment")
        extra, _ = ledger.grant(account, "bonus", BONUS, reason="payment_bonus")
        charge.credits, charge.bonus_credits = CREDITS + BONUS, BONUS
        charge.lot, charge.bonus_lot = lot.number, extra.number
    world.charges[charge_id] = charge


def _begin_refund(charge_id, part, world, ledger):
    charge: Charge | None = world.charges.get(charge_id)
    if charge is None:
        return
    before = charge.state, charge.left_minor
    try:
        charges.begin_refund(charge, reason="asked", actor="op", amount_minor=part)
    except RefusalError:
        assert (charge.state, charge.left_minor) == before
        return
    charges.take(charge, world.accounts[charge.user_id], ledger)


def _answer_refund(charge_id, refused, world, ledger):
    charge = world.charges.get(charge_id)
    if charge is None or charge.state != charges.REFUNDING:
        return
    if refused:
        charges.give_again(charge, world.accounts[charge.user_id], ledger)
        charges.settle(charge, charges.PAID, ledger.now)
    else:
        charges.went_back(charge, ledger.now, charged_back=False)


def _charge_back(charge_id, world, ledger):
    charge = world.charges.get(charge_id)
    if charge is None or charge.state != charges.PAID:
        return
    charges.set_apart(charge, charge.left_minor)
    charges.take(charge, world.accounts[charge.user_id], ledger)
    charges.went_back(charge, ledger.now, charged_back=True)


def _redeem(user, code, world, ledger):
    asker = Asker((code, user) in world.redeemed, has_paid=False)
    try:
        promo = promos.check(world.promos[code], asker, ledger.now)
    except RefusalError:
        assert asker.used_it or world.promos[code].used == world.promos[code].uses_max
        return
    if promo.kind == "credits":
        ledger.grant(world.accounts[user], "bonus", promo.value, reason="promo")
    else:
        until = ledger.now + timedelta(hours=48)
        world.discounts[user].append(Discount(user, promo.discount_key, promo.value, until))
    promo.used += 1
    world.redeemed.add((code, user))


def _draw(user, world, ledger):
    today: date = quotas.shop_day(ledger.now, TERMS.zone)
    if (user, today) in world.won:
        return
    prize = draws.prize_of(draws.number_of(SEED, user, today))
    percent = TERMS.rewards.draw.percent[prize]
    until = draws.valid_until(today, TERMS.zone)
    world.discounts[user].append(Discount(user, draws.discount_key(today), percent, until))
    world.won.add((user, today))


def _adjust(user, amount, number, world, ledger):
    try:
        ledger.adjust(world.accounts[user], amount, "by hand")
    except RefusalError:
        assert amount < 0
    world.adjusted.append(number)


def _place(command, world, ledger):
    if command.order_id in world.orders:
        return
    digest = orders.digest_of(command)
    desk = Desk(
        ledger,
        world.accounts,
        quotas.shop_day(ledger.now, TERMS.zone),
        quotas=world.quotas,
        rooms={"image": 1, "video": 1},
        discounts=world.discounts,
    )
    try:
        order = orders.place(command, digest, desk, WORKFLOWS, TERMS)
    except OrderRefusedError as error:
        order = orders.refused(command, digest, error, ledger.now)
    world.orders[order.order_id] = order


def _end(order_id, done, world, ledger):
    order = world.orders.get(order_id)
    if order is None:
        return
    account = world.accounts[order.user_id]
    if done:
        orders.complete(order, b"result", account, ledger)
        return
    quota = world.quotas.get((order.user_id, order.workflow_id))
    if orders.refund(order, "node_error", account, ledger, quota):
        for each in world.discounts[order.user_id]:
            if each.order_id == order_id and each.valid_until > ledger.now:
                each.order_id = None


def _sweep(world, ledger):
    for account in world.accounts.values():
        ledger.expire_lots(account)
    for order in world.orders.values():
        if orders.is_overdue(order, ledger.now):
            _end(order.order_id, world=world, ledger=ledger, done=False)


TestWholeMachine = WholeMachine.TestCase
TestWholeMachine.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
