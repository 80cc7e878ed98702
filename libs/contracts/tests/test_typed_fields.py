"""A field that is an id or an amount says which: a plain UUID or int can be mixed up unnoticed."""

from typing import get_args

import msgspec
import pytest

from contracts import (
    access,
    billing,
    catalogue,
    envelope,
    gateway,
    generator,
    media,
    operators,
    payments,
    rewards,
    scheduler,
    vpn,
)
from contracts.ids import MessageId, OrderId, UserId
from contracts.money import Credits

MODULES = (
    access,
    billing,
    catalogue,
    envelope,
    gateway,
    generator,
    media,
    operators,
    payments,
    rewards,
    scheduler,
    vpn,
)
STRUCTS = sorted(
    {
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct)
    },
    key=lambda kind: f"{kind.__module__}.{kind.__qualname__}",
)
TYPES = {"order_id": OrderId, "user_id": UserId, "command_id": MessageId, "credits": Credits}


def wanted_type(field: str) -> object | None:
    return Credits if field.endswith("_credits") else TYPES.get(field)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__qualname__)
def test_ids_and_amounts_are_typed(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        wanted = wanted_type(field.name)
        if wanted is not None:
            given = [each for each in get_args(field.type) if each is not type(None)]
            assert (given or [field.type]) == [wanted], f"{kind.__qualname__}.{field.name}"


def test_the_structs_are_found_with_fields_of_every_type() -> None:
    seen = {wanted_type(field.name) for kind in STRUCTS for field in msgspec.structs.fields(kind)}

    assert seen >= {OrderId, UserId, MessageId, Credits}
