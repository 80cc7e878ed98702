"""What each alert says to figures as they would be: at the first event, and not otherwise."""

import re

import pytest
import yaml

from contracts import topology
from devstack.chart import CHART
from devstack.promql import PromqlError, Series, evaluate

ALERTS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((CHART / "alerts").glob("*.yaml"))
}
DAY = 86_400.0
STEP = 15.0
NOW = 2 * DAY


def steady(name, value, *, since=0.0, until=NOW, **labels):
    """A series that has stood at one value."""
    return stepped(name, [(since, value)], until=until, **labels)


def stepped(name, steps, *, until=NOW, **labels):
    """A series that takes each value from its moment on; it begins with the first."""
    samples, value = [], 0.0
    moments = sorted(steps)
    moment = moments[0][0]
    while moment <= until:
        while moments and moments[0][0] <= moment:
            value = moments.pop(0)[1]
        samples.append((moment, float(value)))
        moment += STEP
    return Series(name, labels, samples)


def told(alert, *series, at=NOW):
    """By which labels the alert's expression holds at that moment."""
    return [dict(labels) for labels in evaluate(ALERTS[alert]["expr"], series, at)]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_expression_is_one_and_says_nothing_of_nothing(alert):
    found = told(alert)

    # Without any figure at all, only who must be there is missed.
    assert bool(found) == (alert == "ServiceGone")


@pytest.mark.parametrize(
    "wrong", ["sum(a", "a[5m] > 0", "rate(a) > 0", "a > 0 or", "a{b=c} > 0", "5 or a", "a ? b"]
)
def test_what_is_no_expression_is_refused(wrong):
    with pytest.raises(PromqlError):
        evaluate(wrong, [], NOW)


FIRST_EVENTS = {
    "HoldExpired": ("vitrine_billing_refunds", {"class": "hold_expired"}),
    "LedgerDrift": ("vitrine_billing_audit_drift", {}),
    "MessageForged": ("vitrine_signatures_refused", {"service_name": "vpn", "reason": "unsigned"}),
    "MessageParked": ("vitrine_messages_parked", {"service_name": "vpn"}),
    "PaymentProviderTrouble": (
        "vitrine_billing_payments",
        {"provider": "crypto_pay", "outcome": "held_amount"},
    ),
    "RightMissing": ("vitrine_rights_missing", {"service_name": "vpn"}),
}
"""One event is one too many."""
MANY = {
    "GeneratorSick": ("generator_attempts_failed", {"kind": "oom"}, 5),
    "MessageRedelivered": ("vitrine_messages_redelivered", {"service_name": "vpn"}, 20),
    "PaymentProviderTrouble": (
        "vitrine_billing_webhooks",
        {"provider": "yookassa", "status": "503"},
        10,
    ),
}
"""More than so many are too many."""
PATIENT = {"TimersHeld": "what is held is counted again each minute, for longer than its window"}


def test_every_alert_of_a_growth_is_tried_here():
    growing = {name for name, rule in ALERTS.items() if "increase(" in rule["expr"]}

    assert growing == set(FIRST_EVENTS) | set(MANY) | set(PATIENT)


@pytest.mark.parametrize("alert", FIRST_EVENTS)
def test_the_first_event_of_a_new_series_is_told(alert):
    name, labels = FIRST_EVENTS[alert]

    assert told(alert, steady(name, 1, since=NOW - 30, **labels))
    assert told(alert, stepped(name, [(0, 3), (NOW - 60, 4)], **labels)), "and a further one"
    assert not told(alert, steady(name, 3, **labels)), "what was long ago is over"


@pytest.mark.parametrize("alert", MANY)
def test_events_are_counted_once_whether_their_series_is_new_or_old(alert):
    name, labels, most = MANY[alert]

    for since, before in ((NOW - 120, 0), (0, 1_000)):
        enough = stepped(name, [(since, before), (NOW - 60, before + most)], **labels)
        more = stepped(name, [(since, before), (NOW - 60, before + most + 1)], **labels)
        assert not told(alert, enough), before
        assert told(alert, more), before


SERVICES = ("gateway", "billing", "vpn", "scheduler", "generator")


def running(*names):
    return [steady("vitrine_running", 1, service_name=name, pod_ip="10.0.0.1") for name in names]


@pytest.mark.parametrize("gone", SERVICES)
def test_one_service_that_is_gone_is_named(gone):
    others = running(*(name for name in SERVICES if name != gone))
    ended = steady("vitrine_running", 1, until=NOW - 600, service_name=gone)
    order = steady("vitrine_billing_oldest_waiting", 400)

    assert told("ServiceGone", *others, ended, order) == [{"service_name": gone}]
    assert told("ServiceGone", *running(*SERVICES), order) == []


def test_generators_may_be_none_while_nothing_waits():
    idle = steady("vitrine_billing_oldest_waiting", 0)

    assert told("ServiceGone", *running(*SERVICES[:-1]), idle) == []


def test_orders_that_wait_are_told_with_every_generator_dead():
    """Whoever would count how long they waited is not there."""
    assert told("JobsWaiting", steady("vitrine_billing_oldest_waiting", 601))
    assert not told("JobsWaiting", steady("vitrine_billing_oldest_waiting", 600))


def test_a_server_that_is_given_no_job_is_told():
    well = steady("generator_server_sick", 0, pod_ip="10.0.0.1")

    assert told("GeneratorSick", well, steady("generator_server_sick", 1, pod_ip="10.0.0.2"))
    assert not told("GeneratorSick", well)
    assert ALERTS["GeneratorSick"]["for"] != "0m", "a server may restart"


def nats(name, value, **labels):
    given = {"consumer_name": "billing", "is_consumer_leader": "true", **labels}
    return steady(f"jetstream_consumer_{name}", value, **given)


def test_a_consumer_that_falls_behind_or_hands_back_is_named():
    behind = nats("num_pending", 1_001, stream_name="BILLING")
    back = nats("num_redelivered", 21, stream_name="JOBS", consumer_name="image-regular")

    assert told("ConsumerBehind", behind) == [
        {"stream_name": "BILLING", "consumer_name": "billing"}
    ]
    assert told("ConsumerBehind", back)[0]["consumer_name"] == "image-regular"
    assert not told("ConsumerBehind", nats("num_pending", 1_000, stream_name="BILLING"))
    assert not told("ConsumerBehind", nats("num_pending", 9_999, stream_name="JOBS")), "a queue"
    stale = nats("num_pending", 9_999, stream_name="BILLING", is_consumer_leader="false")
    assert not told("ConsumerBehind", stale), "a follower's figures are old"


def test_it_knows_every_stream_with_a_consumer():
    streams = {each.stream for each in topology.consumers()}
    lists = re.findall(r'stream_name=~"([A-Z|]+)"', ALERTS["ConsumerBehind"]["expr"])

    pending, redelivered = (set(each.split("|")) for each in lists)
    assert redelivered == streams
    assert pending == streams - {"JOBS"}


def test_gauges_are_judged_by_their_worst():
    low = steady("vitrine_outbox_lag", 0, service_name="vpn", pod_ip="10.0.0.1")
    high = steady("vitrine_outbox_lag", 61, service_name="vpn", pod_ip="10.0.0.2")

    assert told("OutboxLag", low, high) == [{"service_name": "vpn"}]
    assert not told("OutboxLag", low)
    waits = [
        steady("gateway_deliveries_wait_seconds_bucket", 0, le="60"),
        stepped("gateway_deliveries_wait_seconds_bucket", [(0, 0), (NOW - 60, 9)], le="120"),
        stepped("gateway_deliveries_wait_seconds_bucket", [(0, 0), (NOW - 60, 9)], le="+Inf"),
    ]
    assert told("GatewayUndelivered", *waits)
