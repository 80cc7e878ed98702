"""The bill of materials is CycloneDX 1.6, and says of every package what its metadata says.

The schema below is the part of CycloneDX's own that we use, closed: our documents were held against
the official one with cyclonedx-python-lib 11 (strict), which no lock of ours has.
"""

from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from vitrine_tools.images import plan, sbom

EPOCH = 1_700_000_000
TEXT = {"type": "string", "minLength": 1}
URL = {"type": "string", "pattern": r"^pkg:(pypi|deb/debian)/[^\s@]+@[^\s@]+$"}
LICENCE = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "oneOf": [
            {"required": ["expression"], "properties": {"expression": TEXT}},
            {
                "required": ["license"],
                "properties": {
                    "license": {
                        "required": ["name"],
                        "properties": {"name": TEXT},
                        "additionalProperties": False,
                    }
                },
            },
        ]
    },
}
HASH = {
    "required": ["alg", "content"],
    "properties": {
        "alg": {"const": "SHA-256"},
        "content": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "additionalProperties": False,
}
COMPONENT = {
    "required": ["type", "name", "version", "bom-ref"],
    "properties": {
        "type": {"enum": ["library", "application"]},
        "name": TEXT,
        "version": TEXT,
        "purl": URL,
        "bom-ref": TEXT,
        "licenses": LICENCE,
        "hashes": {"type": "array", "minItems": 1, "items": HASH},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["bomFormat", "specVersion", "serialNumber", "metadata", "components"],
    "properties": {
        "$schema": {"const": "http://cyclonedx.org/schema/bom-1.6.schema.json"},
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {"type": "string", "pattern": r"^urn:uuid:[0-9a-f-]{36}$"},
        "version": {"const": 1},
        "metadata": {
            "required": ["timestamp", "component"],
            "properties": {
                "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                "component": COMPONENT,
            },
            "additionalProperties": False,
        },
        "components": {"type": "array", "uniqueItems": True, "items": COMPONENT},
        "dependencies": {
            "type": "array",
            "items": {
                "required": ["ref", "dependsOn"],
                "properties": {
                    "ref": TEXT,
                    "dependsOn": {"type": "array", "uniqueItems": True, "items": TEXT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
DPKG = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture(scope="module")
def installed() -> list[Distribution]:
    return sorted(distributions(), key=sbom._name)


@pytest.fixture(scope="module")
def bill(
    installed: list[Distribution], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    status: Path = tmp_path_factory.mktemp("dpkg") / "status"
    status.write_text(DPKG)
    sums = {sbom._name(each): "0" * 64 for each in installed}
    return sbom.bill("gateway", installed, sums, sbom.debian(status), EPOCH)


def test_it_is_cyclonedx(bill: Mapping[str, Any]) -> None:
    jsonschema.validate(bill, SCHEMA)

    references = [each["bom-ref"] for each in bill["components"]]
    assert len(references) == len(set(references))
    known = {*references, bill["metadata"]["component"]["bom-ref"]}
    for edge in bill["dependencies"]:
        assert {edge["ref"], *edge["dependsOn"]} <= known


def test_every_package_is_there_with_its_version_and_licence(
    bill: Mapping[str, Any], installed: list[Distribution]
) -> None:
    found = {each["name"]: each for each in bill["components"]}

    assert {each.metadata["Name"] for each in installed} <= set(found)
    assert found["msgspec"]["purl"].startswith("pkg:pypi/msgspec@")
    unlicensed = [
        name
        for name, each in found.items()
        if "licenses" not in each and "pypi" in each["purl"] and not name.startswith("vitrine-")
    ]
    assert unlicensed == []


def test_the_base_image_s_packages_are_there(bill: Mapping[str, Any]) -> None:
    found = {each["name"]: each for each in bill["components"]}

    assert found["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64"
    assert "gone" not in found


def test_needs_follow_the_metadata(bill: Mapping[str, Any]) -> None:
    needs = {each["ref"].split("@")[0]: each["dependsOn"] for each in bill["dependencies"]}

    assert any(each.startswith("pkg:pypi/yarl@") for each in needs["pkg:pypi/aiohttp"])


def test_the_same_packages_are_the_same_bill(
    bill: Mapping[str, Any], installed: list[Distribution]
) -> None:
    sums = {sbom._name(each): "0" * 64 for each in installed}

    again = sbom.bill("gateway", installed, sums, [], EPOCH)

    assert again["serialNumber"] != bill["serialNumber"], "the base differs"
    assert again == sbom.bill("gateway", installed, sums, [], EPOCH)


def test_a_package_pip_did_not_report_stops_the_build(installed: list[Distribution]) -> None:
    foreign = [each for each in installed if not sbom._name(each).startswith("vitrine-")][:1]

    with pytest.raises(SystemExit, match="pip did not report it"):
        sbom.bill("gateway", foreign, {}, [], EPOCH)


def test_every_image_is_in_the_plan() -> None:
    assert set(plan.IMAGES) >= {"gateway", "billing", "generator", "vpn", "scheduler"}
