"""The chart's files: their style, and that README and schema say what values.yaml says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from devstack.chart import CHART, render
from vitrine_tools.chart_readme import rows, undocumented, with_table

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = CHART / "values.schema.json"
BIN = Path(sys.executable).parent
YAMLLINT = """
extends: default
rules:
  line-length: {max: 120}
  document-start: disable
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 1}
  truthy: {check-keys: false}
"""


def test_yaml_is_tidy():
    files = [
        *CHART.glob("*.yaml"),
        *(CHART / "alerts").glob("*.yaml"),
        *(CHART / "deps").glob("*.yaml"),
        *Path(__file__).parent.glob("fields/*.yaml"),
    ]
    done = subprocess.run(
        [str(BIN / "yamllint"), "--strict", "-d", YAMLLINT, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_what_is_rendered_is_tidy_too():
    text = render(("values-dev.yaml",)).text

    assert not re.search(r"[ \t]+$", text.replace("\r", ""), re.MULTILINE), "trailing spaces"
    assert "<no value>" not in text
    assert "%!" not in text, "a format that did not fit its value"


def test_the_schema_is_a_schema():
    done = subprocess.run(
        [str(BIN / "check-jsonschema"), "--check-metaschema", str(SCHEMA)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_schema_is_closed_at_every_level():
    def open_maps(node, path):
        if isinstance(node, dict):
            if "properties" in node and node.get("additionalProperties") is not False:
                yield path
            for key, inner in node.items():
                yield from open_maps(inner, f"{path}/{key}")
        elif isinstance(node, list):
            for number, inner in enumerate(node):
                yield from open_maps(inner, f"{path}/{number}")

    assert list(open_maps(json.loads(SCHEMA.read_text()), "")) == []


def test_the_schema_knows_every_value_and_no_other():
    schema = json.loads(SCHEMA.read_text())

    def known(node, path):
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        for name, inner in node.get("properties", {}).items():
            yield f"{path}{name}"
            yield from known(inner, f"{path}{name}.")

    def given(values, path):
        for name, inner in values.items():
            yield f"{path}{name}"
            if isinstance(inner, dict):
                yield from given(inner, f"{path}{name}.")

    in_schema = {each for each in known(schema, "") if each != "global"}
    in_values = set(given(yaml.safe_load(VALUES), ""))
    free = ("resources", "privateNetworks", "callers", "labels", "pools", "maxBytes")
    assert {each for each in in_values - in_schema if not any(x in each for x in free)} == set()
    assert {each for each in in_schema - in_values if not any(x in each for x in free)} == set()


def test_every_value_is_explained():
    assert undocumented(VALUES) == []
    assert len(rows(VALUES)) > 100


def test_the_readme_has_the_values_as_they_are():
    readme = (CHART / "README.md").read_text()

    assert readme == with_table(readme, VALUES), "run tools/write_chart_readme.py"


def test_a_changed_comment_changes_the_readme():
    readme = (CHART / "README.md").read_text()

    assert with_table(readme, VALUES.replace("# -- Sell for", "# -- Take")) != readme


def test_templates_are_short_enough_to_read():
    for path in (CHART / "templates").rglob("*"):
        if path.is_file():
            assert path.read_text().count("\n") <= 250, path.name


def test_no_value_holds_a_secret():
    for path in (*CHART.glob("values*.yaml"), *(CHART / "ci").glob("*.yaml")):
        found = re.findall(
            r"(?i)(password|token|private[-_]?key)\w*:\s*[\"']?\w{8,}", path.read_text()
        )
        assert not found, f"{path.name}: {found}"
