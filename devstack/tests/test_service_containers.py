"""Services as containers: the same children, restricted, with no secret on a command line."""

import os

import pytest

from devstack import service_containers
from devstack.children import platform
from devstack.errors import SettingsError
from devstack.service_containers import contained
from devstack.settings import Passwords, Settings
from devstack.urls import Urls, plan

IMAGES = "localhost/vitrine-"


@pytest.fixture
def settings(tmp_path) -> Settings:
    # Servers of one's own: then nothing of theirs is made here.
    return Settings(
        tmp_path / "state",
        nats_url="nats://127.0.0.1:4222",
        database_url="postgresql://postgres:secret@127.0.0.1:5432/vitrine",
        images=IMAGES,
    )


@pytest.fixture
def urls(settings) -> Urls:
    return plan(settings, settings.database_url)


def test_a_service_is_run_by_podman_without_rights(settings, urls):
    passwords = Passwords(settings.state_dir / "passwords.json")
    settings.state_dir.mkdir()
    plain = next(each for each in platform(settings, urls, passwords).services)

    child = contained(plain, "gateway", settings, "GATEWAY_*")

    assert child.command[:2] == ("podman", "run")
    for word in (
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=10001:10001",
        "--memory=512m",
        "--pids-limit=128",
        "--env=GATEWAY_*",
    ):
        assert word in child.command, word
    place = child.command.index(f"{IMAGES}gateway")
    assert child.command[place + 1 :] == ("python", "-m", "gateway")
    assert child.migrate_command[-4:] == ("python", "-m", "gateway", "migrate")
    assert child.ready_url == plain.ready_url


def test_no_value_stands_on_a_command_line(settings, urls):
    settings.state_dir.mkdir()
    plain = platform(settings, urls, Passwords(settings.state_dir / "passwords.json"))

    for each in plain.services:
        child = service_containers.service(each, settings)
        line = " ".join([*child.command, *child.migrate_command])
        for name, value in each.environment.items():
            if "SECRET" in name or "TOKEN" in name or "DATABASE" in name:
                assert value not in line, name


def test_the_image_s_own_catalogue_is_used(settings, urls):
    settings.state_dir.mkdir()
    plain = platform(settings, urls, Passwords(settings.state_dir / "passwords.json"))

    billing = next(each for each in plain.services if each.name == "billing")
    child = service_containers.service(billing, settings)

    assert "BILLING_CATALOGUE_DIR" in billing.environment
    assert "BILLING_CATALOGUE_DIR" not in child.environment


def test_files_of_the_platform_are_mounted_where_they_are(settings, urls):
    settings.state_dir.mkdir()
    plain = platform(settings, urls, Passwords(settings.state_dir / "passwords.json"))

    vpn = next(each for each in plain.services if each.name == "vpn")
    child = service_containers.service(vpn, settings)

    key = vpn.environment["VPN_NODES_KEY"]
    assert f"--volume={key}:{key}:ro" in child.command


def test_only_root_can_give_files_away(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SettingsError, match="needs root"):
        Settings.from_environment({"VITRINE_IMAGES": IMAGES, "VITRINE_STATE_DIR": str(tmp_path)})
