import asyncio
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from nats.errors import StaleConnectionError

from chassis import nats_keys, nkey
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.errors import ConfigurationError
from chassis.identity import Identity, impatient
from chassis.testing import drain
from devstack import nats_security
from devstack.testing import SecuredNats, private_nats, secured_nats

DAY = timedelta(days=1)
BILLING = {"settings_prefix": "BILLING_", "user": "billing"}


@pytest.fixture
async def nats(request):
    async with secured_nats() as running:
        yield running


def of_billing(nats: SecuredNats, **other: str) -> Identity:
    known = nats.identity("billing")
    files = {"tls_dir": known.tls_dir, "seed_file": known.seed_file}
    return Identity(**{**BILLING, **files, **other})


async def connected(url: str, identity: Identity, **more) -> Broker:
    more = {"on_fatal": pytest.fail, **more}
    return await Broker.connect(url, name="test", identity=identity, **more)


async def refusal(url: str, identity: Identity) -> str:
    """Why there is no way in: what a person at a terminal is told."""
    with pytest.raises(ConfigurationError) as raised:
        async with asyncio.timeout(30):
            await connected(url, identity, on_refused=impatient)
    return str(raised.value)


async def test_a_user_comes_in_by_tls_1_3_and_listens_in_its_own_inbox(nats):
    broker = await connected(nats.server.url, of_billing(nats))

    tls = broker.nc._transport._io_writer.get_extra_info("ssl_object")
    assert tls.version() == "TLSv1.3"
    assert broker.nc.new_inbox().startswith("_INBOX_billing.")
    await broker.close()


@pytest.mark.parametrize(
    ("missing", "setting"),
    [
        ("ca.crt", "BILLING_NATS_TLS_DIR"),
        ("tls.crt", "BILLING_NATS_TLS_DIR"),
        ("tls.key", "BILLING_NATS_TLS_DIR"),
        ("seed", "BILLING_NATS_SEED_FILE"),
    ],
)
async def test_a_missing_or_spoilt_file_is_named_with_its_setting(nats, missing, setting):
    file = Path(nats.identity("billing").tls_dir) / missing
    good = file.read_bytes()

    file.unlink()
    assert await refusal(nats.server.url, of_billing(nats)) == (
        f"{setting}: {file}: No such file or directory"
    )
    file.write_bytes(b"\xff spoilt")
    assert (await refusal(nats.server.url, of_billing(nats))).startswith(setting)
    file.write_bytes(good[:-9])
    assert (await refusal(nats.server.url, of_billing(nats))).startswith(setting)


async def test_a_certificate_that_does_not_go_with_its_key_is_named(nats):
    folder = Path(nats.identity("billing").tls_dir)
    shutil.copy(Path(nats.identity("vpn").tls_dir) / "tls.key", folder / "tls.key")

    said = await refusal(nats.server.url, of_billing(nats))

    reason = "not a certificate that goes with tls.key"
    assert said == f"BILLING_NATS_TLS_DIR: {folder / 'tls.crt'}: {reason}"


async def test_who_shows_no_certificate_or_a_strangers_or_no_key_is_not_let_in(nats, tmp_path):
    strangers = nats_keys.make(["localhost"], SystemClock().now(), DAY)
    nats_keys.write(tmp_path, strangers)
    ours = Path(nats.identity("billing").tls_dir)
    forged = tmp_path / "billing"
    shutil.copy(ours / "ca.crt", forged / "ca.crt")
    url = nats.server.url

    without = await refusal(url, of_billing(nats, tls_dir=""))
    other_authority = await refusal(url, of_billing(nats, tls_dir=str(forged)))
    no_key = await refusal(url, of_billing(nats, seed_file=""))
    unknown_key = await refusal(url, of_billing(nats, seed_file=str(forged / "seed")))

    assert "BILLING_NATS_TLS_DIR is not set" in without
    assert other_authority.startswith("no TLS with nats-server by the files of BILLING_NATS_TLS")
    assert no_key == (
        "nats-server wants to know who this is, and BILLING_NATS_SEED_FILE is not set"
    )
    assert unknown_key == (
        "nats-server does not know the key of BILLING_NATS_SEED_FILE, "
        "or it is not that of the user 'billing'"
    )


async def test_a_server_of_another_authority_is_not_believed(nats, tmp_path):
    strangers = nats_keys.make(["127.0.0.1"], SystemClock().now(), DAY)
    nats_keys.write(tmp_path, strangers)
    theirs = tmp_path / "billing"

    said = await refusal(nats.server.url, of_billing(nats, tls_dir=str(theirs)))

    assert "BILLING_NATS_TLS_DIR" in said
    assert "self-signed certificate" in said or "unable to get local issuer" in said


async def test_a_server_under_another_name_is_not_believed(nats, tmp_path):
    elsewhere = nats_keys.make(["nats.elsewhere"], SystemClock().now(), DAY)
    nats_keys.write(nats.state_dir / nats_security.FOLDER, elsewhere)
    await nats.server.restart()

    said = await refusal(nats.server.url, of_billing(nats))

    assert "IP address mismatch" in said


async def test_a_server_without_tls_is_named_as_the_reason(nats):
    async with private_nats() as plain:
        said = await refusal(plain.url, of_billing(nats))

    assert said.endswith("BILLING_NATS_TLS_DIR: nats-server offers no TLS")


async def test_a_service_waits_until_the_server_learns_its_key(nats):
    seed = Path(nats.identity("billing").seed_file)
    right = _put(seed, nkey.new_seed())
    refused: list[str] = []

    connecting = asyncio.get_running_loop().create_task(
        connected(nats.server.url, of_billing(nats), on_refused=refused.append)
    )
    await drain(lambda: len(refused) > 1)
    _put(seed, right)

    broker = await asyncio.wait_for(connecting, 30)
    assert broker.connected
    assert "BILLING_NATS_SEED_FILE" in refused[0]
    await broker.close()


def _put(file: Path, text: str) -> str:
    """Write a file and return what it was before."""
    before = file.read_text()
    file.write_text(text)
    return before


async def test_a_withdrawn_key_ends_the_connection_and_the_next_one_opens_another(nats):
    fatal: list[str] = []
    broker = await connected(nats.server.url, of_billing(nats), on_fatal=fatal.append)
    keys = nats_keys.read(nats.state_dir / nats_security.FOLDER)
    fresh = nats_keys.make(nats_security.HOSTS, SystemClock().now(), DAY)
    seed = fresh["billing"]["seed"]
    disconnected = asyncio.Event()
    broker.nc._disconnected_cb = _also(broker, disconnected)

    nats_security.remember(nats.state_dir, {**keys, "billing": {**keys["billing"], "seed": seed}})
    nats.server.reload()

    await asyncio.wait_for(disconnected.wait(), 30)
    await drain(lambda: broker.connected)
    assert fatal == []
    await broker.close()


def _also(broker: Broker, happened: asyncio.Event):
    inner = broker.nc._disconnected_cb

    async def both() -> None:
        happened.set()
        await inner()

    return both


async def test_a_server_that_hangs_does_not_hold_up_a_reconnect_or_an_end(nats):
    broker = await connected(nats.server.url, of_billing(nats))
    other = await connected(nats.server.url, of_billing(nats))
    nats.server.pause()
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await broker.nc._process_op_err(StaleConnectionError())
        await drain(lambda: not broker.connected)
        await other.close(timedelta(seconds=0.2))
        assert loop.time() - began < 5
    finally:
        nats.server.resume()

    await drain(lambda: broker.connected)
    await broker.close()


async def test_bootstrap_says_in_one_line_which_setting_is_wrong(nats, tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chassis.bootstrap"),
        env={
            **os.environ,
            "NATS_URL": nats.server.url,
            "NATS_TLS_DIR": nats.identity("bootstrap").tls_dir,
            "NATS_SEED_FILE": str(tmp_path / "nowhere"),
        },
        stderr=asyncio.subprocess.PIPE,
    )

    _, said = await process.communicate()

    assert process.returncode == 2
    assert said.decode() == (
        f"configuration: NATS_SEED_FILE: {tmp_path / 'nowhere'}: No such file or directory\n"
    )
