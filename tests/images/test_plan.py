"""Every image has a limit, and whoever goes beyond a service's has a reason on record."""

import pytest

from vitrine_tools.images import plan

SERVICES = ("gateway", "billing", "generator", "vpn", "scheduler")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_adds_at_most_sixty_megabytes(service: str) -> None:
    assert plan.IMAGES[service].disk_bytes_max == 60_000_000


@pytest.mark.parametrize("image", plan.IMAGES.values(), ids=list(plan.IMAGES))
def test_more_than_that_has_a_reason(image: plan.Image) -> None:
    assert (image.disk_bytes_max > plan.SERVICE_BYTES_MAX) == bool(image.reason)
