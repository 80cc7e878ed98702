from uuid import uuid4

import pytest

from contracts import billing, rewards


@pytest.mark.parametrize(
    "kind", [rewards.RedeemPromo, rewards.TakeDraw, rewards.MakeGift, rewards.OpenGift]
)
async def test_a_rejected_reward_is_said_to_the_person(chat, kind):
    await chat.send("/start")

    await chat.receive(
        billing.CommandRejected(
            command_subject=kind.subject,
            command_id=uuid4(),
            code="same_id_other_body",
            user_id=chat.user_id,
        )
    )

    ((_, screen),) = await chat.deliveries("send")
    assert "nothing was taken from you" in screen.text
