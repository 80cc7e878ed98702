"""What is written by hand is what protobuf writes."""

from uuid import UUID, uuid4

import pytest

from vpn.adapters.core import corewire_pb2 as wire
from vpn.adapters.core.requests import Requests

KINDS = ("xray.", "v2ray.core.")


def altered(prefix: str, tag: str, kind: str, operation: bytes) -> bytes:
    kind = f"{prefix}app.proxyman.command.{kind}"
    typed = wire.TypedMessage(type=kind, value=operation)
    return wire.AlterInboundRequest(tag=tag, operation=typed).SerializeToString()


@pytest.mark.parametrize("prefix", KINDS)
@pytest.mark.parametrize("flow", ["", "xtls-rprx-vision"])
@pytest.mark.parametrize("email", ["a", "x" * 127, "x" * 128, "ö" * 3_000, str(UUID(int=7 << 80))])
def test_adding_and_removing_are_written_as_protobuf_writes_them(prefix, flow, email):
    key = uuid4()
    account = wire.VlessAccount(id=str(key), flow=flow).SerializeToString()
    typed = wire.TypedMessage(type=f"{prefix}proxy.vless.Account", value=account)
    add = wire.AddUserOperation(user=wire.User(email=email, account=typed))
    remove = wire.RemoveUserOperation(email=email)

    requests = Requests(prefix, "vless")

    expected = altered(prefix, "vless", "AddUserOperation", add.SerializeToString())
    assert requests.add(email, key, flow) == expected
    expected = altered(prefix, "vless", "RemoveUserOperation", remove.SerializeToString())
    assert requests.remove(email) == expected
