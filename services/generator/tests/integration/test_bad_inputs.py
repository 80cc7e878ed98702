"""What a person sends that no server can work with is the person's error, told at once."""

import pytest

from contracts.generator import JobFailed
from generator.testing import quick_settings, running_generator


@pytest.mark.parametrize("body", [b"this is no picture", b""], ids=["text", "empty"])
async def test_a_photo_that_is_none_is_the_persons_error(shop, comfyui, catalogue, body):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("edit", inputs=(await shop.put_photo(body=body),))
        end = await shop.end_of(order)

    assert isinstance(end, JobFailed)
    assert end.failure_class == "bad_input"
    assert "picture" not in end.detail


async def test_an_upload_too_large_for_the_server_fails_at_once(shop, comfyui, catalogue):
    comfyui.inject("payload_too_large")
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(await shop.order("edit", inputs=(await shop.put_photo(),)))

    assert isinstance(end, JobFailed)
    assert end.failure_class == "bad_input"
