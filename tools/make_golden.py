"""Write the golden bytes of contracts that have none yet; an existing file is never touched."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec

from contracts import (
    access,
    billing,
    gateway,
    generator,
    operators,
    payments,
    rewards,
    scheduler,
    vpn,
)
from contracts.envelope import Message, contracts_of

FOLDER = Path(__file__).parents[1] / "libs/contracts/tests/golden"
MOMENT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ID = UUID("01939f9c-5c00-7abc-8def-0123456789ab")


def example(kind: type[Any]) -> Any:
    """Fill every field of a struct with a plain value of its type."""
    info = msgspec.structs.fields(kind)
    return kind(**{field.encode_name: _value(field.type, field.name) for field in info})


def _value(kind: Any, name: str) -> Any:
    plain = {
        str: name,
        int: 7,
        float: 1.5,
        bool: True,
        bytes: b"\x00\x01",
        UUID: ID,
        datetime: MOMENT,
        date: MOMENT.date(),
    }
    kind = getattr(kind, "__supertype__", kind)  # a typed id is on the wire what it stands for
    if kind in plain:
        return plain[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return example(kind)
    arguments = get_args(kind)
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        return (_value(arguments[0], name),)
    if origin is dict:
        return {name: _value(arguments[1], name)}
    chosen = next(each for each in arguments if each is not type(None))
    return _value(chosen, name)


def every_contract() -> dict[str, type[Message]]:
    return contracts_of(
        access, gateway, billing, operators, payments, rewards, generator, vpn, scheduler
    )


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for subject, kind in every_contract().items():
        path = FOLDER / f"{subject.replace('{', '').replace('}', '')}.msgpack"
        if path.exists():
            continue
        message = example(kind)
        path.write_bytes(message.encode())
        readable = msgspec.json.format(msgspec.json.encode(message), indent=2)
        path.with_suffix(".json").write_bytes(readable + b"\n")
        sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main()
