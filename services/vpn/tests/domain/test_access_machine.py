"""Any history of purchases, refunds, gifts, traffic and time keeps the rules of access."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.access import KIND_TRAFFIC, AccessPlan
from contracts.errors import INSUFFICIENT_CREDITS, RefusalError
from contracts.vpn import STATE_ACTIVE, STATE_ENDED, STATE_GRACE, STATE_SUSPENDED
from vpn.domain import access, care, renewals
from vpn.domain.access import Credentials, Purchase, Subscription
from vpn.domain.plans import GIB
from vpn.domain.terms import Terms

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLANS = {
    plan.id: plan
    for plan in (
        AccessPlan(id="small", price_credits=1, days=30, traffic_gib=10, devices=1),
        AccessPlan(id="large", price_credits=2, days=90),
        AccessPlan(id="eu", price_credits=2, days=7, traffic_gib=5, regions=("eu",)),
        AccessPlan(id="more", price_credits=1, kind=KIND_TRAFFIC, traffic_gib=3),
    )
}
SPANS = [timedelta(seconds=1), timedelta(hours=5), timedelta(days=3), timedelta(days=40)]


class AccessMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = START
        self.terms = Terms()
        self.one = Subscription(UUID(int=77), 7, START)
        self.given = []
        self.trials = 0
        self.renewed = set()
        self.keys = set()

    @rule(policy=st.sampled_from(["off", "observe", "on"]))
    def set_policy(self, policy):
        self.terms = Terms(grace_policy=policy)

    def purchase(self, plan, **fields):
        before = (self.one.state, self.one.until, access.whole(self.now))
        bought = Purchase(order_id=uuid4(), **fields)
        fresh = Credentials(uuid4(), uuid4().hex)
        try:
            given = access.give(self.one, bought, PLANS[plan], self.terms, self.now, fresh)
        except RefusalError:
            assert before[:2] == (self.one.state, self.one.until)
            return None
        self.given.append(given)
        return given

    @rule(plan=st.sampled_from(["small", "large", "eu"]))
    def buy(self, plan):
        until = self.one.until
        running = self.one.state != STATE_ENDED
        given = self.purchase(plan, days=PLANS[plan].days)
        assert given is not None
        days = timedelta(days=PLANS[plan].days)
        # Nothing that was left is lost, and not a second more is given than was bought.
        least = max(until, self.now) if running else self.now
        assert least + days <= self.one.until <= least + days + timedelta(seconds=1)
        assert self.one.state == STATE_ACTIVE

    @rule()
    def try_it(self):
        self.trials += self.purchase("small", days=3, trial=True) is not None
        assert self.trials <= 1

    @rule()
    def renew(self):
        period = self.one.until
        if self.purchase("small", days=30, renews=period) is not None:
            assert period not in self.renewed
            self.renewed.add(period)

    @precondition(lambda self: self.renewed)
    @rule(data=st.data())
    def renew_again(self, data):
        period = data.draw(st.sampled_from(sorted(self.renewed)))
        if period != self.one.until:
            assert self.purchase("small", days=30, renews=period) is None

    @rule()
    def buy_traffic(self):
        before = self.one.limit_bytes
        if self.purchase("more", traffic_bytes=3 * GIB) is not None:
            assert self.one.limit_bytes >= before + 3 * GIB
            assert not self.one.spent

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def refund(self, data):
        given = data.draw(st.sampled_from(self.given))
        self.given.remove(given)
        before = self.one.until
        access.take_back(self.one, given, PLANS.get(given.plan_before), self.terms, self.now)
        assert self.one.until <= max(before, access.whole(self.now))

    @rule(gigabytes=st.sampled_from([0, 1, 4, 20]))
    def use(self, gigabytes):
        access.use_traffic(self.one, gigabytes * GIB, self.terms)

    @precondition(lambda self: self.one.state != STATE_ENDED)
    @rule(days=st.integers(1, 9))
    def extend(self, days):
        before = self.one.until
        access.extend(self.one, days, self.terms, self.now)
        assert self.one.until >= before + timedelta(days=days)

    @rule(link_too=st.booleans())
    def rotate(self, link_too):
        try:
            old = access.rotate(self.one, Credentials(uuid4(), uuid4().hex), link_too=link_too)
        except RefusalError:
            assert self.one.key is None
        else:
            self.keys.add(old)

    @rule()
    def switch_renewal(self):
        if self.one.state != STATE_ENDED:
            self.one.auto_renew = not self.one.auto_renew
            self.one.renew_for = None

    @rule(code=st.sampled_from([INSUFFICIENT_CREDITS, "unknown_product"]))
    def refuse_renewal(self, code):
        renewals.refused(self.one, self.one.until, code, self.terms)

    @rule(span=st.sampled_from(SPANS))
    def pass_time(self, span):
        self.now += span
        self.look()

    @rule()
    def fire_timer(self):
        due = care.next_due(self.one, self.now, self.terms)
        if due is not None and due > self.now:
            # What is due already is tried again a little later, and may be over by then.
            overdue = due == self.now + care.AGAIN_AFTER_MIN
            self.now = due
            assert care.care(self.one, self.now, self.terms) or overdue

    @rule()
    def look(self):
        care.care(self.one, self.now, self.terms)
        # A hint that comes twice, or late, does nothing more.
        assert not care.care(self.one, self.now, self.terms)

    @invariant()
    def who_ended_has_no_key_and_who_did_not_has_one(self):
        assert (self.one.state == STATE_ENDED) == (self.one.key is None) == (self.one.link is None)

    @invariant()
    def nodes_hold_who_runs_and_nobody_else(self):
        entry = access.entry_of(self.one, self.terms)
        assert (entry is not None) == (self.one.state in (STATE_ACTIVE, STATE_GRACE))
        if entry is not None:
            assert entry.key not in self.keys
            assert entry.expires_at >= self.one.until
            assert entry.expires_at <= self.one.until + self.terms.grace + timedelta(days=3)

    @invariant()
    def states_have_their_dates(self):
        one = self.one
        assert (one.grace_until is not None) == (one.state == STATE_GRACE)
        assert (one.delete_at is not None) == (one.state == STATE_SUSPENDED)
        assert one.until.microsecond == 0 or one.version == 0 == len(one.plan)

    @invariant()
    def renewals_are_bounded(self):
        assert self.one.renew_attempts <= self.terms.renew_attempts_max

    @invariant()
    def who_is_not_ended_is_looked_at_again(self):
        due = care.next_due(self.one, self.now, self.terms)
        assert (due is None) == (self.one.state == STATE_ENDED)


AccessMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_access_machine = AccessMachine.TestCase
