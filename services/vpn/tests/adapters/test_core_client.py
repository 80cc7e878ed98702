"""The core's gRPC, spoken to what speaks Xray's and v2ray's wire by hand, and to real v2ray."""

import runpy
from pathlib import Path
from uuid import uuid4

import pytest

from simulators.vless_node.load_core import V2RAY, XRAY, LoadCore
from vpn.adapters.core import bulk
from vpn.adapters.core.client import CoreClient, CoreUser, Counters
from vpn.adapters.core.errors import (
    CoreRefusedError,
    CoreUnreachableError,
    UnsupportedError,
    UserExistsError,
    UserMissingError,
)

CORE = Path(bulk.__file__).parent
ROOT = Path(__file__).parents[4]


@pytest.fixture(params=[XRAY, V2RAY])
async def core(request):
    load = LoadCore(request.param)
    await load.start()
    yield load
    await load.stop()


@pytest.fixture
async def client(core):
    made = CoreClient(core.address, "vless")
    await made.probe()
    yield made
    await made.close()


def user(flow: str = "") -> CoreUser:
    return CoreUser(str(uuid4()), uuid4(), flow)


async def test_it_finds_out_which_core_it_is_and_what_it_can(core, client):
    assert client.kind == core.kind
    assert client.lists_users == (core.kind == XRAY)


async def test_users_come_and_go_and_errors_have_names(core, client):
    mine = user("xtls-rprx-vision")
    await client.add(mine.email, mine.key, mine.flow)

    assert core.users == {mine.email: (str(mine.key), mine.flow)}
    with pytest.raises(UserExistsError):
        await client.add(mine.email, mine.key)
    await client.remove(mine.email)
    with pytest.raises(UserMissingError):
        await client.remove(mine.email)
    assert core.users == {}


async def test_a_list_is_given_or_said_to_be_impossible(core, client):
    people = [user() for _ in range(20)]
    await bulk.alter(client, put_users=people)

    if core.kind == XRAY:
        assert set(await client.users()) == set(people)
        assert await client.find(people[3].email) == people[3]
        assert await client.find("nobody") is None
    else:
        with pytest.raises(UnsupportedError):
            await client.users()
        assert await client.find(people[3].email) is None


async def test_put_again_verifies_or_replaces(core, client):
    mine = user()
    core.users[mine.email] = (str(uuid4()), "")

    await bulk.put(client, mine)
    assert core.passes(mine.email, mine.key)
    removes = core.calls.removes
    await bulk.put(client, mine)

    assert core.passes(mine.email, mine.key)
    assert (core.calls.removes == removes) == (core.kind == XRAY)


async def test_a_failure_of_one_does_not_stop_the_others(core, client):
    people = [user() for _ in range(200)]
    core.faults.error_emails = {people[3].email}

    result = await bulk.alter(client, put_users=people, remove=["nobody"], in_flight=32)

    assert (result.added, result.removed, set(result.failed)) == (199, 0, {people[3].email})
    assert not result.unreachable


async def test_a_core_that_goes_away_is_unreachable_and_the_rest_is_named(core, client):
    await core.stop()
    people = [user() for _ in range(100)]

    result = await bulk.alter(client, put_users=people)

    assert result.unreachable
    assert set(result.failed) == {one.email for one in people}
    with pytest.raises(CoreUnreachableError):
        await client.uptime()


async def test_counters_are_read_by_email(core, client):
    core.traffic = {"a": (1, 2), "b": (0, 3)}

    assert await client.traffic() == {"a": Counters(1, 2), "b": Counters(0, 3)}
    assert await client.traffic() == {"a": Counters(1, 2), "b": Counters(0, 3)}


async def test_an_unknown_inbound_is_a_refusal(core):
    client = CoreClient(core.address, "other")
    await client.probe()

    with pytest.raises(CoreRefusedError):
        await client.add("a", uuid4())
    await client.close()


def test_the_generated_code_is_what_the_proto_says(tmp_path):
    (tmp_path / "corewire.proto").write_bytes((CORE / "corewire.proto").read_bytes())
    tool = runpy.run_path(str(ROOT / "tools" / "write_proto.py"))
    tool["write"](tmp_path / "corewire.proto", tmp_path)

    for name in ("corewire_pb2.py", "corewire_pb2.pyi"):
        assert (tmp_path / name).read_text() == (CORE / name).read_text(), "run: make proto"
