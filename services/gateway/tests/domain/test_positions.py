import pytest

from gateway.domain.positions import milestone, worth_showing


@pytest.mark.parametrize(
    ("ahead", "shown"), [(-1, 0), (0, 0), (1, 1), (7, 7), (8, 10), (11, 15), (50, 50), (51, 75)]
)
def test_positions_are_exact_near_the_front_and_rounded_up_behind(ahead, shown):
    assert milestone(ahead) == shown


def test_only_changes_that_matter_are_shown():
    assert worth_showing(None, 3)
    assert worth_showing(3, 2)
    assert not worth_showing(14, 12)
    assert worth_showing(14, 10)


def test_a_queue_of_two_hundred_is_edited_rarely():
    edits = sum(worth_showing(ahead + 1, ahead) for ahead in range(200))
    assert edits < 30
