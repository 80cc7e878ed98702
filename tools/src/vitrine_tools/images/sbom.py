"""What is inside an image, as CycloneDX 1.6: every package with its hash, licence and needs.

Read from what was installed: pip's report knows the archives, the packages know their licences,
and dpkg knows the base image's packages. Standard library only: it runs inside the build.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from vitrine_tools.images import plan

SITE_PACKAGES = Path("/opt/venv/lib/python3.11/site-packages")
REPORT = Path("/opt/report.json")
DPKG_STATUS = Path("/var/lib/dpkg/status")
LICENCE_CHARACTERS_MAX = 100
_OURS = "vitrine-"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
Json = dict[str, Any]


def write(service: str, target: Path, epoch: int) -> None:
    found = sorted(distributions(path=[str(SITE_PACKAGES)]), key=_name)
    document = bill(service, found, hashes(), debian(DPKG_STATUS), epoch)
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def hashes() -> dict[str, str]:
    """Of every archive pip took; all of them stand in the lock, or pip would have refused."""
    report = json.loads(REPORT.read_text())
    return {
        plan.normal(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"][
            "sha256"
        ]
        for each in report["install"]
    }


def bill(
    service: str, found: list[Distribution], sums: dict[str, str], base: list[Json], epoch: int
) -> Json:
    components = [component(each, sums) for each in found]
    known = dict(zip(map(_name, found), _refs(components), strict=True))
    main = f"vitrine-{service}"
    version = next((each.version for each in found if _name(each).startswith(_OURS)), "0")
    root = {"type": "application", "name": main, "version": version, "bom-ref": main}
    ours = sorted(ref for name, ref in known.items() if name.startswith(_OURS))
    document: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z"),
            "component": root,
        },
        "components": [*components, *base],
        "dependencies": [
            {"ref": main, "dependsOn": ours},
            *({"ref": known[_name(each)], "dependsOn": _needs(each, known)} for each in found),
        ],
    }
    # Of the content, so that the same packages are the same bill.
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, content)}"}


def component(distribution: Distribution, sums: dict[str, str]) -> Json:
    name = _name(distribution)
    url = f"pkg:pypi/{name}@{distribution.version}"
    found: Json = {
        "type": "library",
        "name": distribution.metadata["Name"],
        "version": distribution.version,
        "purl": url,
        "bom-ref": url,
    }
    if licence := _licence(distribution):
        found["licenses"] = [licence]
    if name in sums:
        found["hashes"] = [{"alg": "SHA-256", "content": sums[name]}]
    elif not name.startswith(_OURS):
        raise SystemExit(f"{name} is installed, but pip did not report it")
    return found


def _licence(distribution: Distribution) -> Json | None:
    """An SPDX expression where the package gives one; else the words it uses."""
    if expression := _field(distribution, "License-Expression"):
        return {"expression": expression}
    given = _field(distribution, "License")
    if given and "\n" not in given and len(given) <= LICENCE_CHARACTERS_MAX:
        return {"license": {"name": given}}
    listed = [
        each.rpartition(" :: ")[2]
        for each in distribution.metadata.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    return {"license": {"name": ", ".join(listed)}} if listed else None


def _field(distribution: Distribution, name: str) -> str:
    metadata = distribution.metadata
    # Its type knows no `get` before Python 3.12.
    return metadata[name] if name in metadata else ""  # noqa: SIM401


def _needs(distribution: Distribution, known: dict[str, str]) -> list[str]:
    found = set()
    for each in distribution.requires or ():
        match = _NAME.match(each)
        if match is not None and "extra ==" not in each:
            found.add(known.get(plan.normal(match[0]), ""))
    return sorted(found - {""})


def debian(status: Path) -> list[Json]:
    """The base image's packages, by dpkg's own table."""
    if not status.exists():
        return []
    return sorted(_packages(status.read_text()), key=lambda each: str(each["purl"]))


def _packages(text: str) -> Iterator[Json]:
    for block in text.split("\n\n"):
        fields = HeaderParser().parsestr(block)
        if not (fields["Status"] or "").endswith(" installed"):
            continue
        version = quote(fields["Version"])
        url = f"pkg:deb/debian/{fields['Package']}@{version}?arch={fields['Architecture']}"
        yield {
            "type": "library",
            "name": fields["Package"],
            "version": fields["Version"],
            "purl": url,
            "bom-ref": url,
        }


def _refs(components: list[Json]) -> list[str]:
    return [str(each["bom-ref"]) for each in components]


def _name(distribution: Distribution) -> str:
    return plan.normal(distribution.metadata["Name"])
