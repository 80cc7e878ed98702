"""How often what is tried, and where."""

import pytest

from generator.domain import attempts
from generator.domain.attempts import POLICIES, Sickness, Step
from generator.domain.claims import SILENT_OWNER
from generator.domain.failures import Failure, Kind


def steps_of(kind, limit=6):
    """Every step until the order ends, when nothing but `kind` happens."""
    taken, earlier = [], []
    for _ in range(limit):
        verdict = attempts.judge(Failure(kind=kind), earlier)
        taken.append(verdict.step)
        if verdict.step is Step.FAIL:
            return taken
        earlier.append(kind)
    raise AssertionError(f"{kind} never ends")


STEPS = [
    (Kind.VALIDATION, [Step.FAIL]),
    (Kind.PARTIAL_VALIDATION, [Step.FAIL]),
    (Kind.INPUT_REJECTED, [Step.UPLOAD, Step.FAIL]),
    (Kind.MISSING_MODEL, [Step.ELSEWHERE, Step.ELSEWHERE, Step.FAIL]),
    (Kind.BAD_INPUT, [Step.FAIL]),
    (Kind.INPUT_GONE, [Step.UPLOAD, Step.FAIL]),
    (Kind.TOO_LARGE, [Step.FAIL]),
    (Kind.NODE_ERROR, [Step.ELSEWHERE, Step.FAIL]),
    (Kind.OUT_OF_MEMORY, [Step.FREE_MEMORY, Step.ELSEWHERE, Step.FAIL]),
    (Kind.CUDA_BROKEN, [Step.ELSEWHERE, Step.ELSEWHERE, Step.FAIL]),
    (Kind.INTERRUPTED, [Step.HERE, Step.HERE, Step.FAIL]),
    (Kind.SERVER_DIED, [Step.ELSEWHERE, Step.ELSEWHERE, Step.FAIL]),
    (Kind.DEADLINE, [Step.ELSEWHERE, Step.FAIL]),
    (Kind.OUTPUT_MISSING, [Step.HERE, Step.HERE, Step.FAIL]),
]


@pytest.mark.parametrize(("kind", "steps"), STEPS)
def test_each_kind_has_its_ladder(kind, steps):
    assert steps_of(kind) == steps


def test_every_kind_has_a_policy_and_an_end():
    assert set(POLICIES) == set(Kind) | {SILENT_OWNER}
    for kind in Kind:
        assert steps_of(kind)[-1] is Step.FAIL


def test_different_failures_together_end_after_three_attempts():
    earlier = (Kind.OUT_OF_MEMORY, Kind.NODE_ERROR)

    verdict = attempts.judge(Failure(kind=Kind.LOST), earlier)

    assert verdict.step is Step.FAIL
    assert verdict.failure_class == "poison"


@pytest.mark.parametrize(
    ("kind", "sickness"),
    [
        (Kind.SERVER_DIED, Sickness.GONE),
        (Kind.HUNG, Sickness.STUCK),
        (Kind.CUDA_BROKEN, Sickness.BROKEN),
        (Kind.DISK_FULL, Sickness.BROKEN),
        (Kind.ZOMBIE, Sickness.BROKEN),
        (Kind.NODE_ERROR, Sickness.NONE),
    ],
)
def test_some_failures_say_that_the_server_is_sick(kind, sickness):
    assert attempts.judge(Failure(kind=kind), ()).sick is sickness


def test_an_order_is_worn_out_by_attempts_or_by_dead_pods():
    assert not attempts.worn_out(("lost", "lost"), 5)
    assert attempts.worn_out(("lost", "lost", "silent_owner"), 0)
    assert attempts.worn_out((), 6)
    assert attempts.worn_out_class(()) == "poison"
    assert attempts.worn_out_class(("lost", Kind.DEADLINE)) == "timeout"
