import json
from pathlib import Path

import pytest

from devstack.children import SIMULATED_BOT_TOKEN, platform, vpn_node_agents, with_login
from devstack.errors import SettingsError
from devstack.settings import REPOSITORY, Lock, Passwords, Settings
from devstack.urls import plan
from vpn.adapters.files import load_nodes

STAND_INS = {"traces", "comfyui", "crypto_pay", "yookassa", "vpn-node"}
"""Those that a bot of one's own leaves in place."""


def settings_of(tmp_path, **environment: str) -> Settings:
    return Settings.from_environment({"VITRINE_STATE_DIR": str(tmp_path), **environment})


def names(children) -> set[str]:
    return {child.name for child in children}


def test_without_settings_everything_is_a_stand_in_on_loopback(tmp_path):
    settings = settings_of(tmp_path)
    urls = plan(settings, "postgresql://postgres@127.0.0.1:8504/vitrine")

    children = platform(settings, urls, Passwords(tmp_path / "passwords.json"))

    assert urls.chat == "http://127.0.0.1:8500"
    assert names(children.stand_ins) == STAND_INS | {"telegram"}
    assert names(children.services) == {"gateway", "billing", "scheduler", "vpn", "generator"}


def test_the_port_base_moves_every_port(tmp_path):
    moved = plan(settings_of(tmp_path, VITRINE_PORT_BASE="9600"), "postgresql://h/d").as_json()
    usual = plan(settings_of(tmp_path), "postgresql://h/d").as_json()

    assert ":96" in json.dumps(moved)
    assert ":85" not in json.dumps(moved)
    assert json.dumps(moved).replace(":96", ":85") == json.dumps(usual)


def test_a_catalogue_in_the_state_folder_replaces_the_repositorys_for_every_service(tmp_path):
    settings = settings_of(tmp_path)
    urls = plan(settings, "postgresql://h/d")
    passwords = Passwords(tmp_path / "passwords.json")

    usual = catalogues(platform(settings, urls, passwords).services)
    (tmp_path / "catalogue").mkdir()
    local = catalogues(platform(settings, urls, passwords).services)

    assert usual == {str(REPOSITORY / "catalogue")}
    assert local == {str(tmp_path / "catalogue")}


def catalogues(children) -> set[str]:
    return {
        value
        for child in children
        for name, value in child.environment.items()
        if name.endswith("_CATALOGUE_DIR")
    }


def test_a_real_bot_replaces_the_telegram_simulator(tmp_path):
    settings = settings_of(tmp_path, BOT_TOKEN="42:real")
    urls = plan(settings, "postgresql://postgres@127.0.0.1:8504/vitrine")

    children = platform(settings, urls, Passwords(tmp_path / "passwords.json"))

    gateway = next(child for child in children.services if child.name == "gateway")
    assert names(children.stand_ins) == STAND_INS
    assert gateway.environment["GATEWAY_BOT_TOKEN"] == "42:real"
    assert gateway.environment["GATEWAY_TELEGRAM_API_URL"] == "https://api.telegram.org"
    assert SIMULATED_BOT_TOKEN not in gateway.environment.values()


def test_each_real_comfyui_gets_a_generator_of_its_own(tmp_path):
    settings = settings_of(tmp_path, COMFYUI_URL="http://gpu-1:8188/, http://gpu-2:8188")
    urls = plan(settings, "postgresql://postgres@127.0.0.1:8504/vitrine")

    children = platform(settings, urls, Passwords(tmp_path / "passwords.json"))

    served = {
        child.name: child.environment["GENERATOR_COMFYUI_URL"]
        for child in children.services
        if child.name.startswith("generator")
    }
    assert "comfyui" not in names(children.stand_ins)
    assert served == {"generator-1": "http://gpu-1:8188", "generator-2": "http://gpu-2:8188"}
    assert len({*urls.health.values()}) == 6


def test_gateway_replicas_have_ports_of_their_own_and_migrate_once(tmp_path):
    settings = settings_of(tmp_path, VITRINE_GATEWAYS="2")
    urls = plan(settings, "postgresql://postgres@127.0.0.1:8504/vitrine")

    children = platform(settings, urls, Passwords(tmp_path / "passwords.json")).services

    gateways = [child for child in children if child.name.startswith("gateway")]
    ports = {
        child.environment[f"GATEWAY_{name}_PORT"]
        for child in gateways
        for name in ("HEALTH", "WEBHOOK")
    }
    assert [child.name for child in gateways] == ["gateway-1", "gateway-2"]
    assert [bool(child.migrate_command) for child in gateways] == [True, False]
    assert len(ports) == 4


def test_every_vpn_node_has_ports_and_a_certificate_of_its_own(tmp_path):
    settings = settings_of(tmp_path, VITRINE_VPN_NODES="3")

    agents = vpn_node_agents(settings)

    told = [
        child.environment[f"VPN_AGENT_{name}"]
        for child in agents
        for name in ("LISTEN_PORT", "HEALTH_PORT", "VLESS_PORT", "CERTIFICATE", "STATE_FOLDER")
    ]
    assert [child.name for child in agents] == ["vpn-node-1", "vpn-node-2", "vpn-node-3"]
    assert len(set(told)) == 15
    assert all(Path(child.environment["VPN_AGENT_KEY"]).exists() for child in agents)
    nodes = load_nodes(tmp_path / "vpn" / "nodes.toml", {})
    assert [node.region for node in nodes] == ["eu", "us", "asia"]
    with pytest.raises(SettingsError, match="VITRINE_VPN_NODES"):
        settings_of(tmp_path, VITRINE_VPN_NODES="6")


def test_nats_has_one_account_unless_it_is_told_otherwise(tmp_path):
    assert settings_of(tmp_path).nats_accounts == "shared"
    assert settings_of(tmp_path, VITRINE_NATS_ACCOUNTS="separate").nats_accounts == "separate"
    with pytest.raises(SettingsError, match="VITRINE_NATS_ACCOUNTS"):
        settings_of(tmp_path, VITRINE_NATS_ACCOUNTS="some")


def test_each_service_enters_a_real_database_as_itself(tmp_path):
    settings = settings_of(
        tmp_path, DATABASE_URL="postgresql://admin:a%2Fb@db.example:5433/shop?sslmode=require"
    )
    urls = plan(settings, "postgresql://unused/unused")

    children = platform(settings, urls, Passwords(tmp_path / "passwords.json"))

    billing = next(child for child in children.services if child.name == "billing")
    own = billing.environment["BILLING_DATABASE_URL"]
    assert own.startswith("postgresql://billing:")
    assert own.endswith("@db.example:5433/shop?sslmode=require")
    assert billing.environment["BILLING_MIGRATION_DATABASE_URL"] == settings.database_url


def test_a_login_replaces_the_one_in_the_url():
    assert with_login("postgresql://a:b@h:1/d", "c", "d") == "postgresql://c:d@h:1/d"
    assert with_login("postgresql://h:1/d", "c", "d") == "postgresql://c:d@h:1/d"


@pytest.mark.parametrize("base", ["80", "70000", "many"])
def test_an_impossible_port_base_is_refused(tmp_path, base):
    with pytest.raises(SettingsError, match="VITRINE_PORT_BASE"):
        settings_of(tmp_path, VITRINE_PORT_BASE=base)


def test_passwords_are_kept_for_their_owner_alone(tmp_path):
    file = tmp_path / "passwords.json"

    made = Passwords(file).of("billing")

    assert Passwords(file).of("billing") == made
    assert Passwords(file).of("gateway") != made
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_held_by_one_and_a_stale_file_by_nobody(tmp_path):
    (tmp_path / "supervisor.pid").write_text("1")
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.holder() is None

    assert first.take()

    assert not second.take()
    assert second.holder() is not None
    first.release()
    assert second.take()
    second.release()


def billing_of(settings, tmp_path):
    children = platform(settings, plan(settings, "postgresql://h/d"), Passwords(tmp_path / "p"))
    billing = next(child for child in children.services if child.name == "billing")
    return children, billing.environment


def test_the_shop_sells_in_roubles_through_the_yookassa_stand_in(tmp_path):
    children, environment = billing_of(settings_of(tmp_path), tmp_path)

    (stand_in,) = (child for child in children.stand_ins if child.name == "yookassa")
    told = dict(zip(stand_in.command[3::2], stand_in.command[4::2], strict=True))
    assert environment["BILLING_YOOKASSA_API_URL"] == f"http://127.0.0.1:{told['--port']}/v3"
    assert environment["BILLING_YOOKASSA_SHOP_ID"] == told["--shop-id"]
    assert environment["BILLING_YOOKASSA_SECRET"] == told["--secret"]
    assert environment["BILLING_YOOKASSA_RETURN_URL"] == "http://127.0.0.1:8500"
    path = f"/pay/yookassa/{environment['BILLING_WEBHOOK_SECRET']}"
    assert told["--webhook-url"].endswith(f":{environment['BILLING_WEBHOOK_PORT']}{path}")


def test_a_real_yookassa_shop_replaces_the_stand_in(tmp_path):
    settings = settings_of(tmp_path, YOOKASSA_SHOP_ID="42", YOOKASSA_SECRET="live_secret")
    children, environment = billing_of(settings, tmp_path)

    assert "yookassa" not in names(children.stand_ins)
    assert environment["BILLING_YOOKASSA_SHOP_ID"] == "42"
    assert environment["BILLING_YOOKASSA_SECRET"] == "live_secret"
    assert environment["BILLING_YOOKASSA_API_URL"] == ""


def test_half_of_a_yookassa_shop_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="YOOKASSA_SHOP_ID and YOOKASSA_SECRET"):
        settings_of(tmp_path, YOOKASSA_SHOP_ID="42")
