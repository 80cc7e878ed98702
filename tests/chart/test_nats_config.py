"""NATS's configurations, read by a real nats-server with keys as `vitrine keys` makes them."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from chassis import nats_keys
from contracts import permissions, topology
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


@pytest.fixture
def mounted(tmp_path, keys):
    """What the pod of dev.nats is given, below another root."""
    files = render(("values-dev.yaml",)).of("ConfigMap")["nats"]["data"]
    (tmp_path / "config").mkdir()
    (tmp_path / "nats").mkdir()
    for name, content in keys[nats_keys.SERVER].items():
        (tmp_path / "nats" / name).write_bytes(content)
    text = files["nats.conf"].replace("/etc/vitrine", str(tmp_path))
    (tmp_path / "config" / "nats.conf").write_text(text.replace("/data", str(tmp_path / "data")))
    return tmp_path / "config" / "nats.conf"


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


def test_without_its_accounts_it_does_not_start(mounted):
    (mounted.parent.parent / "nats" / "auth.conf").unlink()

    assert check(mounted).returncode != 0


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


def test_keda_is_told_the_account_the_users_are_in():
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert values["nats"]["account"] == permissions.ACCOUNT


def test_our_values_for_the_official_chart_say_what_the_platform_needs():
    values = yaml.safe_load((CHART / "deps" / "nats-values.yaml").read_text())
    config = values["config"]

    assert config["jetstream"]["merge"]["sync_interval"] == "always"
    assert config["nats"]["tls"]["merge"]["verify"] is True
    assert config["cluster"]["tls"]["merge"]["verify"] is True
    assert config["merge"]["$include"].endswith("/auth.conf")
    assert values["tlsCA"]["enabled"] is True
