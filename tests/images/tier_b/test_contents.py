"""What is in an image: enough to run, little else, no secret, and the same each time."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vitrine_tools.images import build, layers, plan, podman

IMAGES = list(plan.IMAGES)
Added = Callable[[str], layers.Added]
VARIABLES = {"PATH", "HOME", "LOGNAME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
# certifi's list of public authorities is a .pem that belongs there.
PUBLIC = re.compile(r"(^|/)certifi/cacert\.pem$")
SECRET = re.compile(
    r"\.(pem|key|p12|env|seed)$|(^|/)(\.env|\.git|\.netrc|\.vitrine|id_rsa|pip\.conf)(/|$)"
)
TOOLS = re.compile(
    r"(^|/)(pip|setuptools|wheel|hatchling|pytest|mypy|gcc|cc|ld)(-[\d.]+\.dist-info)?(/|$)"
)
OURS = re.compile(r"^app/(services|libs|simulators|tools)(/\w+)?/")


@pytest.mark.parametrize("service", IMAGES)
def test_an_image_says_who_it_is_and_runs_as_nobody(service: str) -> None:
    config = podman.inspect(podman.name_of(service))["Config"]

    assert config["User"] == "10001:10001"
    assert config["WorkingDir"] == "/app"
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert {each.partition("=")[0] for each in config["Env"]} == VARIABLES
    assert config["Labels"]["org.opencontainers.image.title"] == f"vitrine-{service}"
    assert config["Labels"]["org.opencontainers.image.version"] != "0"
    assert re.fullmatch(r"[0-9a-f]{40}", config["Labels"]["org.opencontainers.image.revision"])
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "8443/tcp"}


@pytest.mark.parametrize("service", IMAGES)
def test_no_layer_holds_a_secret_a_test_or_a_tool(service: str, added: Added) -> None:
    files = added(service).files

    assert not [path for path in files if SECRET.search(path) and not PUBLIC.search(path)]
    assert not [path for path in files if TOOLS.search(path)]
    assert not [path for path in files if "/tests/" in path]
    # Nobody but root owns or may write anything, and nothing takes another's rights.
    for path, what in files.items():
        mode, owner, _ = what.split()
        assert owner == "0:0", path
        assert mode in {"755", "644", "777", "555"}, (path, what)


@pytest.mark.parametrize("service", IMAGES)
def test_a_service_holds_no_other_service(service: str, added: Added) -> None:
    image = plan.IMAGES[service]
    expected = {str(folder.relative_to(plan.ROOT)) for folder in plan.members_of(image)}

    found = {path for path in added(service).files if path.startswith("app/")}

    held = {"/".join(path.split("/")[1:3]) for path in found if path.count("/") > 3}
    ours = {each for each in held if each.startswith(("services/", "libs/"))}
    assert ours == {each for each in expected if each.startswith(("services/", "libs/"))}
    assert "app/catalogue/vpn.toml" in found
    if image.members == (f"services/{service}",) and service != "generator":
        assert f"app/services/{service}/migrations" in found


@pytest.mark.parametrize("service", IMAGES)
def test_an_image_is_no_larger_than_planned(service: str, added: Added) -> None:
    limit, found = plan.IMAGES[service].disk_bytes_max, added(service)

    assert found.disk_bytes <= limit, f"{found.disk_bytes / plan.MEGABYTE:.1f} MB"
    assert found.fetched_bytes < found.disk_bytes


@pytest.mark.timeout(900)
def test_the_same_lock_and_source_make_the_same_tree(tmp_path: Path) -> None:
    # A copy, so that nobody changes it between the two builds.
    for line in (plan.ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            unwanted = shutil.ignore_patterns("tests", "__pycache__")
            shutil.copytree(plan.ROOT / line[1:], tmp_path / line[1:], ignore=unwanted)
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(plan.ROOT / name, tmp_path)
    name = podman.name_of("scheduler")
    try:
        build.build(["scheduler"], suffix=":first", source=tmp_path)
        build.build(["scheduler"], suffix=":again", source=tmp_path, cached=False)
        first, again = (layers.above(build.BASE, f"{name}:{tag}") for tag in ("first", "again"))
    finally:
        podman.run("rmi", "--force", f"{name}:first", f"{name}:again")

    differ = {path for path, what in first.files.items() if what != again.files.get(path)}
    assert differ == set()
    assert again.tree == first.tree


@pytest.mark.parametrize("service", IMAGES)
def test_the_bill_of_materials_names_what_is_installed(service: str) -> None:
    image = podman.name_of(service)
    listing = (
        "import importlib.metadata as m, json; "
        "print(json.dumps(sorted([d.name, d.version] for d in m.distributions())))"
    )
    installed = json.loads(
        podman.run("run", "--rm", "--network=none", image, "python", "-c", listing)
    )
    bill = json.loads(podman.run("run", "--rm", "--network=none", image, "cat", "/app/sbom.json"))

    pypi = [each for each in bill["components"] if each["purl"].startswith("pkg:pypi/")]
    debian = [each for each in bill["components"] if each["purl"].startswith("pkg:deb/")]
    assert sorted([each["name"], each["version"]] for each in pypi) == installed
    assert {"libc6", "python3.11-minimal"} & {each["name"] for each in debian}
    foreign = [each for each in pypi if not each["name"].startswith("vitrine-")]
    lock = (plan.ROOT / "requirements" / f"{service}.lock").read_text()
    for each in foreign:
        assert f"--hash=sha256:{each['hashes'][0]['content']}" in lock, each["name"]
    assert bill["metadata"]["component"]["name"] == f"vitrine-{service}"
