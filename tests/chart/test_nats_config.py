"""NATS's configurations, read by a real nats-server with keys as `vitrine keys` makes them."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from chassis import nats_accounts, nats_keys
from contracts import accounts, topology
from contracts.accounts import MODES, SEPARATE, SHARED
from devstack.chart import CHART, render, values_files
from devstack.nats_server import nats_binary

OFFICIAL = ("nats-values.yaml",)
OFFICIAL_OF = {"values-large.yaml": (*OFFICIAL, "nats-large-values.yaml")}
"""Our values for the official chart; docs/install.md gives them in this order."""


def official_store(file):
    """Bytes that JetStream may use, and those of the volume."""
    store = {}
    for name in OFFICIAL_OF.get(file, OFFICIAL):
        given = yaml.safe_load((CHART / "deps" / name).read_text())
        store |= given["config"]["jetstream"]["fileStore"]
    sizes = (store["maxSize"], store["pvc"]["size"])
    return tuple(int(each.removesuffix("Gi")) << 30 for each in sizes)


@pytest.fixture(scope="module")
def keys():
    return nats_keys.make(["vitrine-nats"], datetime.now(UTC), timedelta(days=1))


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def mounted(tmp_path, keys, mode):
    """What the pod of dev.nats is given, below another root."""
    files = with_accounts(mode).of("ConfigMap")["nats"]["data"]
    (tmp_path / "config").mkdir()
    (tmp_path / "nats").mkdir()
    for name, content in keys[nats_keys.SERVER].items():
        (tmp_path / "nats" / name).write_bytes(content)
    text = files["nats.conf"].replace("/etc/vitrine", str(tmp_path))
    (tmp_path / "config" / "nats.conf").write_text(text.replace("/data", str(tmp_path / "data")))
    return tmp_path / "config" / "nats.conf"


def with_accounts(mode, *more):
    return render(("values-dev.yaml",), sets=(f'nats.accounts="{mode}"', *more))


def check(config):
    return subprocess.run(
        [str(nats_binary()), "--config", str(config), "-t"],
        env={**os.environ, "POD_NAME": "vitrine-nats-0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nats_understands_it(mounted):
    done = check(mounted)

    assert done.returncode == 0, done.stdout + done.stderr


def test_without_its_accounts_it_does_not_start(mounted, mode):
    (mounted.parent.parent / "nats" / nats_accounts.FILES[mode]).unlink()

    assert check(mounted).returncode != 0


def test_accounts_are_shared_unless_they_are_said_to_be_separate():
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert values["nats"]["accounts"] == SHARED
    assert render(("values-dev.yaml",), sets=('nats.accounts="some"',)).code != 0


def test_another_mode_starts_dev_nats_anew_and_nobody_else():
    """It reads its configuration when it starts; clients come back by themselves."""
    one, other = (with_accounts(mode) for mode in MODES)
    for kind in ("Deployment", "StatefulSet", "Job"):
        before, after = one.of(kind), other.of(kind)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == ({"nats"} if kind == "StatefulSet" else set())


def test_certificates_of_cert_manager_come_with_the_accounts_of_the_mode():
    made = 'certManager={"enabled": true, "issuer": {"name": "ours"}}'
    for mode in MODES:
        pod = with_accounts(mode, made).of("StatefulSet")["nats"]["spec"]["template"]["spec"]
        (volume,) = (each for each in pod["volumes"] if each["name"] == "nats")
        items = [each["secret"].get("items") for each in volume["projected"]["sources"]]
        assert items[1] == [{"key": nats_accounts.FILES[mode], "path": nats_accounts.FILES[mode]}]


def test_strangers_are_not_let_in(mounted):
    text = mounted.read_text()

    assert "verify: true" in text
    assert "no_auth_user" not in text


def test_every_stream_fits_into_what_jetstream_may_use(mounted):
    line = next(each for each in mounted.read_text().splitlines() if "max_file:" in each)
    allowed = int(line.split(":")[1].strip().removesuffix("GB")) * 10**9

    assert sum(each.max_bytes for each in topology.streams()) < allowed


def test_every_stream_fits_into_the_servers_each_values_file_is_for():
    """Each server keeps a copy of every stream, and sets the limits aside beforehand."""
    for path in values_files():
        values = yaml.safe_load(path.read_text())
        if values.get("dev", {}).get("nats", {}).get("enabled"):
            continue
        limits = {each.name: each.max_bytes for each in topology.streams()}
        limits |= values.get("nats", {}).get("maxBytes", {})
        allowed, volume = official_store(path.name)

        assert sum(limits.values()) < allowed < volume, path.name


@pytest.mark.parametrize("mode", MODES)
def test_keda_is_told_the_account_that_has_the_streams(mode):
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    owners = [each.name for each in accounts.accounts(mode) if each.owns_streams]
    assert owners == [values["nats"]["account"]]


def test_our_values_for_the_official_chart_say_what_the_platform_needs():
    values = yaml.safe_load((CHART / "deps" / "nats-values.yaml").read_text())
    config = values["config"]

    assert config["jetstream"]["merge"]["sync_interval"] == "always"
    assert config["nats"]["tls"]["merge"]["verify"] is True
    assert config["cluster"]["tls"]["merge"]["verify"] is True
    folder, _, file = config["merge"]["$include"].rpartition("/")
    assert file == nats_accounts.FILES[SHARED]
    separate = yaml.safe_load((CHART / "deps" / "nats-separate-values.yaml").read_text())
    included = f"{folder}/{nats_accounts.FILES[SEPARATE]}"
    assert separate == {"config": {"merge": {"$include": included}}}
    assert values["tlsCA"]["enabled"] is True
