"""What follows a failed attempt: again here, again elsewhere, or the end of the order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from contracts import errors
from generator.domain.claims import SILENT_OWNER
from generator.domain.failures import Failure, Kind

ATTEMPTS_MAX = 3
ADOPTIONS_MAX = 5
"""A pod that dies this often over one job is killed by the job."""


class Step(StrEnum):
    """FREE_MEMORY and UPLOAD are tries on this server after a remedy."""

    HERE = "here"
    UPLOAD = "upload"
    FREE_MEMORY = "free_memory"
    ELSEWHERE = "elsewhere"
    FAIL = "fail"


class Sickness(StrEnum):
    """What a failure says about the server, hence what shows that it is well again."""

    NONE = ""
    GONE = "gone"
    """It does not answer: well when it does."""
    STUCK = "stuck"
    """A prompt cannot be stopped: well when it no longer runs."""
    BROKEN = "broken"
    """It answers and fails: well after a restart, or given another chance after a while."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The steps after the first, second ... failure of a kind; then the order fails.

    `sick`: the server gets no job before it is seen to be well.
    `pool_out`: this server no longer takes jobs of that pool.
    """

    failure_class: str
    steps: tuple[Step, ...] = ()
    sick: Sickness = Sickness.NONE
    pool_out: bool = False


_TWICE_ELSEWHERE = (Step.ELSEWHERE, Step.ELSEWHERE)
_TWICE_HERE = (Step.HERE, Step.HERE)


def _sick(failure_class: str, sickness: Sickness) -> Policy:
    return Policy(failure_class=failure_class, steps=_TWICE_ELSEWHERE, sick=sickness)


POLICIES: dict[str, Policy] = {
    Kind.VALIDATION: Policy(failure_class=errors.FAILED_WORKFLOW),
    Kind.PARTIAL_VALIDATION: Policy(failure_class=errors.FAILED_WORKFLOW),
    Kind.INPUT_REJECTED: Policy(failure_class=errors.FAILED_BAD_INPUT, steps=(Step.UPLOAD,)),
    Kind.MISSING_MODEL: Policy(
        failure_class=errors.FAILED_WORKFLOW, steps=_TWICE_ELSEWHERE, pool_out=True
    ),
    Kind.BAD_INPUT: Policy(failure_class=errors.FAILED_BAD_INPUT),
    Kind.INPUT_GONE: Policy(failure_class=errors.FAILED_SERVER, steps=(Step.UPLOAD,)),
    Kind.INPUT_DAMAGED: Policy(failure_class=errors.FAILED_BAD_INPUT),
    Kind.TOO_LARGE: Policy(failure_class=errors.FAILED_BAD_INPUT),
    Kind.NODE_ERROR: Policy(failure_class=errors.FAILED_NODE, steps=(Step.ELSEWHERE,)),
    Kind.OUT_OF_MEMORY: Policy(
        failure_class=errors.FAILED_OUT_OF_MEMORY, steps=(Step.FREE_MEMORY, Step.ELSEWHERE)
    ),
    Kind.CUDA_BROKEN: _sick(errors.FAILED_SERVER, Sickness.BROKEN),
    Kind.DISK_FULL: _sick(errors.FAILED_SERVER, Sickness.BROKEN),
    Kind.INTERRUPTED: Policy(failure_class=errors.FAILED_SERVER, steps=_TWICE_HERE),
    Kind.SERVER_DIED: _sick(errors.FAILED_POISON, Sickness.GONE),
    SILENT_OWNER: Policy(failure_class=errors.FAILED_POISON, steps=_TWICE_ELSEWHERE),
    Kind.LOST: Policy(failure_class=errors.FAILED_POISON, steps=_TWICE_HERE),
    Kind.SUBMIT_FAILED: _sick(errors.FAILED_SERVER, Sickness.BROKEN),
    Kind.ZOMBIE: _sick(errors.FAILED_POISON, Sickness.BROKEN),
    Kind.DEADLINE: Policy(failure_class=errors.FAILED_TIMEOUT, steps=(Step.ELSEWHERE,)),
    Kind.HUNG: _sick(errors.FAILED_TIMEOUT, Sickness.STUCK),
    Kind.OUTPUT_MISSING: Policy(failure_class=errors.FAILED_OUTPUT_MISSING, steps=_TWICE_HERE),
    Kind.OUTPUT_DAMAGED: Policy(failure_class=errors.FAILED_OUTPUT_MISSING, steps=_TWICE_HERE),
}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`detail` travels with a `job_failed`: the class and a short message of ours."""

    step: Step
    failure_class: str
    detail: str = ""
    sick: Sickness = Sickness.NONE
    pool_out: bool = False


def judge(failure: Failure, earlier: Sequence[str]) -> Verdict:
    """What follows `failure`, given the kinds of the attempts before it."""
    policy = POLICIES[failure.kind]
    repeats = sum(1 for kind in earlier if kind == failure.kind)
    exhausted = len(earlier) + 1 >= ATTEMPTS_MAX or repeats >= len(policy.steps)
    return Verdict(
        step=Step.FAIL if exhausted else policy.steps[repeats],
        failure_class=policy.failure_class,
        detail=failure.detail,
        sick=policy.sick,
        pool_out=policy.pool_out,
    )


def worn_out(failures: Sequence[str], adoptions: int) -> bool:
    """Whether a claimed job has been tried so often that it is not to be run again."""
    return len(failures) >= ATTEMPTS_MAX or adoptions > ADOPTIONS_MAX


def worn_out_class(failures: Sequence[str]) -> str:
    """How such an order failed: by its last failure, or by killing its pods."""
    return POLICIES[failures[-1]].failure_class if failures else errors.FAILED_POISON
