"""What may be done about a node that holds something else than it should."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.access import AccessPlan
from vpn.domain import plans, reconcile
from vpn.domain.breaker import Breaker
from vpn.domain.desired import by_email
from vpn.domain.reconcile import Caps
from vpn.testing import somebody

UNTIL = datetime(2027, 1, 1, tzinfo=UTC)
CAPS = Caps(removals=2, share=0.1)


def people(*numbers):
    return by_email(somebody(number, UNTIL) for number in numbers)


def held(entries):
    return [(each.email, each.key, each.expires_at) for each in entries.values()]


def ids(entries, *, recorded):
    return {UUID(email): recorded for email in entries}


def test_no_difference_is_nothing_to_do():
    wanted = people(1, 2)

    found = reconcile.compare(wanted, held(wanted), ids(wanted, recorded=False))

    assert not found.missing
    assert reconcile.mend(found, CAPS) == reconcile.Mending((), ())


def test_the_missing_and_those_with_another_key_are_put():
    wanted = people(1, 2, 3)
    there = {**wanted}
    other = next(iter(wanted))
    pairs = [
        (email, uuid4() if email == other else each.key, each.expires_at)
        for email, each in there.items()
    ][:2]

    found = reconcile.compare(wanted, pairs, ids(wanted, recorded=False))

    assert {each.email for each in found.missing} == {other, list(wanted)[2]}


def test_a_key_listed_as_newer_cores_read_it_is_the_same_key():
    """They mask bytes 6 and 7; a list of masked keys must not make everybody missing."""
    wanted = people(1, 2)
    masked = [
        (email, UUID(bytes=each.key.bytes[:6] + b"\0\0" + each.key.bytes[8:]), UNTIL)
        for email, each in wanted.items()
    ]
    email, key, until = masked[1]
    masked[1] = (email, UUID(bytes=key.bytes[:15] + bytes([key.bytes[15] ^ 1])), until)

    found = reconcile.compare(wanted, masked, ids(wanted, recorded=False))

    assert [each.email for each in found.missing] == [email]


def test_an_older_end_is_put_and_an_unknown_one_with_what_is_held_back():
    wanted = people(1, 2)
    old, unknown = wanted.values()
    stranger = ("bob", uuid4(), None)
    pairs = [(old.email, old.key, UNTIL - timedelta(days=30)), (unknown.email, unknown.key, None)]

    found = reconcile.compare(wanted, [*pairs, stranger], {})

    assert found.missing == (old,)
    assert reconcile.mend(found, CAPS) == reconcile.Mending((old, unknown), (), reconcile.FOREIGN)


def test_emails_are_compared_as_the_core_does():
    wanted = people(1)
    [one] = wanted.values()

    assert not reconcile.compare(wanted, [(one.email.upper(), one.key, UNTIL)], {}).missing


def test_only_what_was_issued_is_ever_removed():
    ours, theirs = people(1), people(2)
    pairs = [*held(ours), *held(theirs), ("bob", uuid4(), None), ("", uuid4(), None)]

    found = reconcile.compare({}, pairs, ids(ours, recorded=True))
    mending = reconcile.mend(found, CAPS)

    assert found.foreign == (*theirs, "bob", "")
    assert mending.remove == tuple(ours)
    assert mending.held_back == reconcile.FOREIGN


def test_removals_without_a_record_are_capped_and_those_with_one_are_not():
    wanted, recorded, unrecorded = people(1, 2), people(*range(10, 30)), people(*range(30, 40))
    everyone = {**wanted, **recorded, **unrecorded}
    issued = {**ids(recorded, recorded=True), **ids(unrecorded, recorded=False)}

    found = reconcile.compare(wanted, held(everyone), issued)
    mending = reconcile.mend(found, CAPS)

    assert mending.held_back == reconcile.BLAST_RADIUS
    assert set(mending.remove) == set(recorded)


def test_a_few_without_a_record_are_removed():
    wanted, unrecorded = people(1, 2), people(3, 4)

    found = reconcile.compare(
        wanted, held({**wanted, **unrecorded}), ids(unrecorded, recorded=False)
    )

    assert reconcile.mend(found, CAPS) == reconcile.Mending((), tuple(unrecorded))


def test_with_nobody_wanted_nobody_goes_without_a_record():
    unrecorded = people(3)

    found = reconcile.compare({}, held(unrecorded), ids(unrecorded, recorded=False))

    assert reconcile.mend(found, CAPS) == reconcile.Mending((), (), reconcile.EMPTY_LIST)


def test_where_nobody_can_list_the_count_decides():
    few = reconcile.Findings(held=12, wanted=10, surplus=2)
    many = reconcile.Findings(held=13, wanted=10, surplus=3)

    assert reconcile.mend(few, CAPS).held_back == ""
    assert reconcile.mend(many, CAPS).held_back == reconcile.BLAST_RADIUS


def test_a_breaker_opens_after_a_few_failures_and_ever_longer():
    breaker = Breaker()
    for _ in range(2):
        breaker.failed(0.0)
    assert not breaker.refuses(0.0)

    breaker.failed(0.0)
    assert breaker.refuses(0.9)
    assert not breaker.refuses(1.0)
    breaker.failed(1.0)
    assert breaker.refuses(2.9)
    assert not breaker.refuses(3.0)
    for _ in range(100):
        breaker.failed(3.0)
    assert not breaker.refuses(33.0)
    breaker.succeeded()
    assert not breaker.refuses(33.0)
    assert not breaker.open


def test_plans_of_equal_regions_share_a_set():
    assert plans.set_of(()) == "all"
    assert plans.set_of(("us", "eu", "us")) == "eu+us"
    assert plans.serves("all", "asia")
    assert plans.serves("eu+us", "us")
    assert not plans.serves("eu+us", "asia")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": "A"}, "lower-case"),
        ({"kind": "gift"}, "none of plan, trial, traffic"),
        ({"days": 0}, "days"),
        ({"devices": -1}, "below 0"),
        ({"kind": "traffic"}, "traffic package"),
        ({"regions": ("mars",)}, "mars is none"),
    ],
)
def test_a_wrong_plan_is_named_with_its_reason(fields, problem):
    plan = AccessPlan(**{"id": "vpn_30", "price_credits": 1, "days": 30, **fields})

    assert problem in " ".join(plans.problems([plan], {"eu": "Europe"}))
