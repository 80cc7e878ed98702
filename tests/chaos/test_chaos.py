"""People order while every process is killed in turn; the invariants hold at the end."""

import pytest

from devstack.chaos.report import show
from devstack.chaos.run import CALM_ROUNDS, Plan, run
from devstack.chaos.trouble import VICTIMS


@pytest.mark.chaos
@pytest.mark.xdist_group("heavy")
@pytest.mark.timeout(3_000)
async def test_the_invariants_hold_whatever_is_killed(request: pytest.FixtureRequest) -> None:
    orders = request.config.getoption("--chaos-orders")
    seed = request.config.getoption("--chaos-seed")
    # One round of everything that can go wrong, and a calm after it that is as short as a claim.
    small = Plan(orders=36, people=12, seed=seed, seconds_max=30.0, claim_silence=10.0)
    plan = Plan(orders=orders, people=50, seed=seed) if orders else small

    outcome = await run(plan)

    show(outcome)
    assert outcome.broken == []
    assert outcome.problems == []
    assert len(outcome.log.placed) == plan.orders + CALM_ROUNDS * plan.people
    assert outcome.log.access["paid"]
    assert all(finding.looked_at for finding in outcome.findings if finding.number != "5")
    assert outcome.struck, "nothing was ever killed: the run proved nothing"
    everything = {*VICTIMS, "comfyui", "telegram 429", "telegram 500"}
    assert not orders or outcome.struck.keys() >= everything
