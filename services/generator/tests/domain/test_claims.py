"""The record's state machine: who may run an order, and what a cancel meets."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from generator.domain import claims
from generator.domain.claims import (
    Answer,
    CancelAnswer,
    Delivered,
    JobRecord,
    Limits,
    Outcome,
    State,
    decide_cancel,
    decide_claim,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = Limits()
OUTCOME = Outcome(state=State.SUCCEEDED, subject="s", body=b"b", epoch=1)
DELIVERED = Delivered(
    job=b"job", lane="regular", ack_subject="ack-2", traceparent="", prompt_id="fresh"
)


def record(state=State.RUNNING, *, server="a", age=0.0, **changes):
    base = JobRecord(
        epoch=3,
        state=state,
        renewed_at=NOW - timedelta(seconds=age),
        server=server,
        prompt_id="old",
        ack_subject="ack-1",
        job=b"job",
    )
    return msgspec.structs.replace(base, **changes)


def decide(found, *, server="b", in_hand=False):
    return decide_claim(found, DELIVERED, server=server, in_hand=in_hand, now=NOW, limits=LIMITS)


def test_an_unknown_order_is_created_at_epoch_one():
    decision = decide(None)

    assert decision.answer is Answer.CREATE
    assert decision.record is not None
    assert (decision.record.epoch, decision.record.prompt_id) == (1, "fresh")


@pytest.mark.parametrize("state", sorted(claims.TERMINAL))
def test_an_ended_order_is_only_acknowledged(state):
    assert decide(record(state)).answer is Answer.ACK_ONLY


@pytest.mark.parametrize("state", [State.CLAIMED, State.RUNNING, State.SETTLING])
def test_a_live_order_of_another_server_is_handed_back_with_delay(state):
    decision = decide(record(state, age=29))

    assert decision.answer is Answer.HAND_BACK
    assert decision.delay == timedelta(seconds=5)


def test_thirty_seconds_of_silence_are_enough_to_take_over():
    decision = decide(record(age=30))

    assert decision.answer is Answer.TAKE
    assert decision.record is not None
    taken = decision.record
    assert (taken.epoch, taken.server, taken.prompt_id) == (4, "b", "fresh")
    assert taken.failures == ("silent_owner",)
    assert taken.ack_subject == "ack-2"


def test_the_same_server_goes_on_with_its_prompt_at_once():
    decision = decide(record(), server="a")

    assert decision.answer is Answer.REATTACH
    assert decision.record is not None
    again = decision.record
    assert (again.epoch, again.prompt_id, again.failures) == (4, "old", ())
    assert (again.ack_subject, again.adoptions) == ("ack-2", 1)


def test_a_second_delivery_of_what_runs_here_changes_nothing():
    assert decide(record(), server="a", in_hand=True).answer is Answer.ALREADY_HERE


def test_a_decided_outcome_of_a_silent_owner_is_told_not_decided_again():
    decision = decide(record(State.SETTLING, age=31, outcome=OUTCOME))

    assert decision.answer is Answer.FINISH
    assert decision.record is not None
    assert decision.record.outcome == OUTCOME
    assert decision.record.state == State.SETTLING


def test_a_free_order_is_taken_without_waiting_and_keeps_its_tally():
    free = claims.given_back(record(), NOW, kind="node_error", avoid="a")

    decision = decide(free)

    assert decision.answer is Answer.TAKE
    assert decision.record is not None
    assert decision.record.failures == ("node_error",)
    assert decision.record.attempt == 2
    assert decision.record.avoid == ""


def test_the_server_it_failed_on_leaves_it_to_others_for_a_while():
    free = claims.given_back(record(), NOW, kind="node_error", avoid="a")
    later = msgspec.structs.replace(free, renewed_at=NOW - timedelta(seconds=10))

    assert decide(free, server="a").answer is Answer.HAND_BACK
    assert decide(later, server="a").answer is Answer.TAKE


def test_a_step_applied_twice_counts_once():
    once = claims.next_attempt(record(), "lost", "new", NOW)
    twice = claims.next_attempt(once, "lost", "new", NOW)

    assert once == twice
    assert once.failures == ("lost",)


def test_a_late_start_does_not_take_a_decided_order_back():
    decided = claims.settling(record(State.CLAIMED), OUTCOME, NOW)

    assert claims.started(decided, NOW).state == State.SETTLING


def test_only_server_and_epoch_together_own_a_record():
    live = record()

    assert live.owned_by("a", 3)
    assert not live.owned_by("a", 2)
    assert not live.owned_by("b", 3)
    assert not claims.given_back(live, NOW).owned_by("a", 3)
    assert not claims.finished(claims.settling(live, OUTCOME, NOW), NOW).owned_by("a", 3)


def test_a_finished_record_is_small_and_keeps_its_answer():
    ended = claims.finished(claims.settling(record(), OUTCOME, NOW), NOW)

    assert (ended.state, ended.outcome) == (State.SUCCEEDED, OUTCOME)
    assert ended.job == b""


CANCELS = [
    (None, CancelAnswer.END_IT),
    (record(State.FREE), CancelAnswer.END_IT),
    (record(State.CLAIMED), CancelAnswer.ASK_OWNER),
    (record(State.RUNNING), CancelAnswer.ASK_OWNER),
    (record(State.SETTLING), CancelAnswer.TOO_LATE),
    (record(State.SUCCEEDED), CancelAnswer.TOO_LATE),
    (record(State.FAILED), CancelAnswer.TOO_LATE),
    (record(State.CANCELLED), CancelAnswer.TELL_AGAIN),
]


@pytest.mark.parametrize(("found", "answer"), CANCELS)
def test_what_a_cancel_meets(found, answer):
    assert decide_cancel(found) is answer


def test_the_first_reason_of_a_cancel_stays():
    asked = claims.cancel_asked(claims.cancel_asked(record(), "by_user"), "by_operator")

    assert asked.cancel == "by_user"
    assert claims.cancel_asked(record(), "").cancel
