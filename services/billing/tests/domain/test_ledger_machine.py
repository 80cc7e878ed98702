"""The ledger under duplicated, reordered and crashed deliveries: what holds, holds always."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from billing.domain import gifts, orders, prices, quotas
from billing.domain.accounts import PENDING, POSTED, WAITING, Account
from billing.domain.books import replay
from billing.domain.discounts import Discount
from billing.domain.errors import OrderRefusedError
from billing.domain.gifts import Gift
from billing.domain.ledger import Ledger
from billing.domain.orders import Desk, Order
from billing.domain.reward_terms import GiftTerms
from billing.domain.terms import Terms
from billing.testing import ENHANCE, ORBIT, PRODUCT_SCENE, WORKFLOWS, order_of
from chassis.clock import new_id
from contracts.errors import RefusalError
from contracts.money import discounted

PEOPLE = (1, 2)
TERMS = Terms(zone=ZoneInfo("Europe/Moscow"), in_flight_max=4)
GIFTS = GiftTerms(valid=timedelta(hours=10))
SELDOM = st.integers(0, 5).map(lambda drawn: drawn == 5)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class World:
    """All that is committed: a crash leaves it as it was."""

    accounts: dict[int, Account] = field(default_factory=dict)
    orders: dict[UUID, Order] = field(default_factory=dict)
    quotas: dict = field(default_factory=dict)
    transfers: dict[int, list] = field(default_factory=lambda: {user: [] for user in PEOPLE})
    inbox: set[int] = field(default_factory=set)
    gifts: dict[UUID, Gift] = field(default_factory=dict)
    discounts: dict[int, list[Discount]] = field(default_factory=lambda: {u: [] for u in PEOPLE})


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World()
        self.now = START
        self.sent = []
        self.placed = []
        self.ended = {}

    def deliver(self, number, *, crash):
        """What the consumer does: inbox, handler, commit; a crash loses all three together."""
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

    def send(self, message, *, crash):
        self.sent.append(message)
        self.deliver(len(self.sent) - 1, crash=crash)

    @initialize()
    def open_accounts(self):
        for user in PEOPLE:
            self.world.accounts[user] = Account(user)
            ledger = Ledger(self.now)
            ledger.open_trial(self.world.accounts[user], TERMS.trial_credits, TERMS.trial_period)
            self.world.transfers[user] += ledger.transfers

    @rule(
        user=st.sampled_from(PEOPLE),
        workflow=st.sampled_from((PRODUCT_SCENE, ENHANCE, ORBIT)),
        crash=SELDOM,
    )
    def place(self, user, workflow, crash):
        offer = prices.offer_of(workflow, self.world.discounts[user], self.now)
        command = order_of(user, self.now, workflow=workflow, price_credits=offer.price)
        self.placed.append(command)
        self.send(partial(_place, command), crash=crash)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), crash=SELDOM)
    def place_the_same_order_in_another_message(self, data, crash):
        self.send(partial(_place, data.draw(st.sampled_from(self.placed))), crash=crash)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), answer=st.sampled_from(["success", "failure", "cancel"]), crash=SELDOM)
    def answer(self, data, answer, crash):
        command = data.draw(st.sampled_from(self.placed))
        self.send(partial(_answer, command.order_id, answer), crash=crash)

    @rule(
        user=st.sampled_from(PEOPLE),
        kind=st.sampled_from(["bonus", "paid"]),
        amount=st.sampled_from([1, 5, 15, 40]),
        hours=st.sampled_from([None, 1, 30]),
        crash=SELDOM,
    )
    def grant(self, user, kind, amount, hours, crash):
        expires_at = self.now + timedelta(hours=hours) if hours else None
        self.send(partial(_grant, user, kind, amount, expires_at), crash=crash)

    @precondition(lambda self: any(account.lots_opened > 1 for account in _accounts(self)))
    @rule(data=st.data(), amount=st.sampled_from([1, 15, 60]), crash=SELDOM)
    def revoke(self, data, amount, crash):
        account = data.draw(
            st.sampled_from([each for each in _accounts(self) if each.lots_opened > 1])
        )
        number = data.draw(st.integers(2, account.lots_opened))
        self.send(partial(_revoke, account.user_id, number, amount), crash=crash)

    @rule(user=st.sampled_from(PEOPLE), amount=st.sampled_from([1, 10, 40]), crash=SELDOM)
    def make_gift(self, user, amount, crash):
        self.send(partial(_make_gift, user, new_id(), amount), crash=crash)

    @precondition(lambda self: self.world.gifts)
    @rule(user=st.sampled_from(PEOPLE), data=st.data(), crash=SELDOM)
    def open_gift(self, user, data, crash):
        gift_id = data.draw(st.sampled_from(sorted(self.world.gifts)))
        self.send(partial(_open_gift, user, gift_id), crash=crash)

    @rule(crash=SELDOM)
    def return_gifts(self, crash):
        self.send(_return_gifts, crash=crash)

    @rule(
        user=st.sampled_from(PEOPLE),
        percent=st.sampled_from([5, 30, 100]),
        hours=st.sampled_from([1, 60]),
        crash=SELDOM,
    )
    def give_discount(self, user, percent, hours, crash):
        discount = Discount(user, str(new_id()), percent, self.now + timedelta(hours=hours))
        self.send(partial(_give_discount, discount), crash=crash)

    @rule(crash=SELDOM)
    def renew_trials(self, crash):
        self.send(_renew, crash=crash)

    @rule(crash=SELDOM)
    def sweep_lots(self, crash):
        self.send(_expire_lots, crash=crash)

    @rule(crash=SELDOM)
    def sweep_holds(self, crash):
        self.send(_expire_holds, crash=crash)

    @rule(minutes=st.sampled_from([1, 20, 60, 60 * 13, 60 * 49]))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), crash=SELDOM)
    def deliver_again(self, data, crash):
        """An old message once more: a repeat, or the late delivery of one that crashed."""
        self.deliver(data.draw(st.integers(0, len(self.sent) - 1)), crash=crash)

    @invariant()
    def lots_equal_balance_equal_replay(self):
        for user, account in self.world.accounts.items():
            replayed = replay(self.world.transfers[user])
            holds = [hold for hold in _holds(self.world, user) if hold.state == PENDING]
            assert sum(lot.remaining for lot in account.lots.values()) == account.available
            assert (replayed.available, replayed.held, replayed.debt) == (
                account.available,
                account.held,
                account.debt,
            )
            for number, lot in account.lots.items():
                assert replayed.lots.get(number, 0) == lot.remaining
            assert account.held == sum(hold.amount for hold in holds)
            assert account.in_flight == len(holds) <= TERMS.in_flight_max

    @invariant()
    def nothing_is_negative_and_debt_is_paid_first(self):
        for account in self.world.accounts.values():
            assert min(account.available, account.held, account.debt, account.in_flight) >= 0
            assert not (account.debt and account.available)
            for lot in account.lots.values():
                assert 0 <= lot.remaining <= lot.granted
                assert lot.state == "open" or lot.remaining == 0

    @invariant()
    def transfers_are_numbered_without_gaps(self):
        for user, account in self.world.accounts.items():
            numbers = [transfer.number for transfer in self.world.transfers[user]]
            assert numbers == list(range(1, account.transfers + 1))

    @invariant()
    def each_hold_ends_once(self):
        for order in self.world.orders.values():
            if order.hold is not None and order.hold.state != PENDING:
                first = self.ended.setdefault(order.order_id, order.hold.state)
                assert order.hold.state == first

    @invariant()
    def charged_exactly_if_completed(self):
        for order in self.world.orders.values():
            posted = sum(
                transfer.amount
                for transfer in self.world.transfers.get(order.user_id, ())
                if transfer.order_id == order.order_id and transfer.kind == "post"
            )
            assert posted == (order.price_credits if order.state == "completed" else 0)
            assert (order.state == "completed") == (
                order.hold is not None and order.hold.state == POSTED
            )
            assert not order.gift or order.state == "refunded"

    @invariant()
    def waiting_gifts_equal_their_transfers(self):
        moved = Counter()
        for transfers in self.world.transfers.values():
            for each in transfers:
                moved["in"] += each.amount * (each.credit == WAITING)
                moved["out"] += each.amount * (each.debit == WAITING)
        waiting = [gift for gift in self.world.gifts.values() if gift.state == "waiting"]
        assert moved["in"] - moved["out"] == sum(gift.credits for gift in waiting)
        assert all(gift.opened_by != gift.giver_id for gift in self.world.gifts.values())

    @invariant()
    def a_discount_is_used_by_one_order_and_each_price_is_exact(self):
        used = [each for held in self.world.discounts.values() for each in held if each.order_id]
        assert len({each.order_id for each in used}) == len(used)
        for each in used:
            assert self.world.orders[each.order_id].discount_percent == each.percent
        users = {each.order_id for each in used}
        for order in self.world.orders.values():
            if order.hold is None:
                continue
            price = discounted(order.base_price_credits, order.discount_percent)
            assert order.price_credits == order.hold.amount == price
            if order.discount_percent and order.state != "refunded":
                assert order.order_id in users

    @invariant()
    def quotas_count_free_orders_pending_or_posted(self):
        today = quotas.shop_day(self.now, TERMS.zone)
        for user in PEOPLE:
            used = sum(
                hold.quota_day == today and hold.state in (PENDING, POSTED)
                for hold in _holds(self.world, user)
            )
            quota = self.world.quotas.get((user, ENHANCE.id))
            assert used == (quota.used_on(today) if quota else 0) <= ENHANCE.free_per_day


def _accounts(machine):
    return list(machine.world.accounts.values())


def _holds(world, user):
    return [
        order.hold
        for order in world.orders.values()
        if order.user_id == user and order.hold is not None
    ]


def _place(command, world, ledger):
    digest = orders.digest_of(command)
    if command.order_id in world.orders:
        return
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


def _answer(order_id, answer, world, ledger):
    order = world.orders.get(order_id)
    if order is None:
        return
    account = world.accounts[order.user_id]
    version = order.version
    if answer == "success":
        changed = orders.complete(order, b"result", account, ledger)
    elif answer == "failure":
        quota = world.quotas.get((order.user_id, order.workflow_id))
        changed = orders.refund(order, "node_error", account, ledger, quota)
        _free_discount(order, world, ledger, freed=changed)
    else:
        changed = False
        try:
            orders.request_cancel(order, order.user_id)
        except RefusalError:
            assert order.state not in orders.OPEN_STATES
    assert order.version == version + changed


def _grant(user, kind, amount, expires_at, world, ledger):
    try:
        ledger.grant(world.accounts[user], kind, amount, expires_at=expires_at)
    except RefusalError:
        assert expires_at <= ledger.now


def _revoke(user, number, amount, world, ledger):
    if number in world.accounts[user].lots:
        ledger.revoke(world.accounts[user], number, amount, "charge-back")


def _renew(world, ledger):
    for account in world.accounts.values():
        pending = [hold for hold in _holds(world, account.user_id) if hold.state == PENDING]
        before = account.trial_renews_at
        if ledger.renew_trial(account, TERMS.trial_credits, TERMS.trial_period, pending):
            assert before <= ledger.now
            trial = account.lots[1]
            assert account.debt or trial.remaining <= TERMS.trial_credits


def _expire_lots(world, ledger):
    for account in world.accounts.values():
        ledger.expire_lots(account)


def _expire_holds(world, ledger):
    for order in world.orders.values():
        if orders.is_overdue(order, ledger.now):
            quota = world.quotas.get((order.user_id, order.workflow_id))
            account = world.accounts[order.user_id]
            changed = orders.refund(order, "hold_expired", account, ledger, quota, expired=True)
            _free_discount(order, world, ledger, freed=changed)


def _free_discount(order, world, ledger, *, freed):
    for each in world.discounts[order.user_id]:
        if freed and each.order_id == order.order_id and each.valid_until > ledger.now:
            each.order_id = None


def _make_gift(user, gift_id, amount, world, ledger):
    account = world.accounts[user]
    paid = sum(lot.remaining for lot in account.lots.values() if lot.kind == "paid")
    try:
        gift = gifts.make(ledger, account, gift_id, amount, str(gift_id), GIFTS)
    except RefusalError:
        assert (
            account.debt
            or paid < amount
            or any(not lot.is_live(ledger.now) for lot in account.lots.values())
        )
    else:
        world.gifts[gift_id] = gift


def _open_gift(user, gift_id, world, ledger):
    gift = world.gifts.get(gift_id)
    try:
        gifts.open_(ledger, world.accounts[user], gift)
    except RefusalError:
        late = gift is None or gift.expires_at <= ledger.now
        assert late or gift.state != "waiting" or gift.giver_id == user


def _return_gifts(world, ledger):
    for gift in world.gifts.values():
        gifts.take_back(ledger, world.accounts[gift.giver_id], gift)


def _give_discount(discount, world, ledger):
    world.discounts[discount.user_id].append(deepcopy(discount))


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
