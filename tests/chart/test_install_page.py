"""docs/install.md: at most ten commands, and each names what exists."""

import re

import pytest

from devstack.chart import CHART, render
from devstack.settings import REPOSITORY

PAGE = (REPOSITORY / "docs" / "install.md").read_text()
COMMANDS_MAX = 10
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def ways():
    """Both ways to install: their commands, without comments, one a line."""
    found = []
    for block in _BLOCK.findall(PAGE)[1:]:
        joined = block.replace("\\\n", " ")
        lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
        found.append((block, lines))
    return found


def test_there_are_two_ways_of_at_most_ten_explained_commands():
    both = ways()

    assert len(both) == 2
    for block, commands in both:
        assert 0 < len(commands) <= COMMANDS_MAX
        explained = re.findall(r"^# (\d+)\. ", block, re.MULTILINE)
        assert explained == [str(number) for number in range(1, len(commands) + 1)]


def test_every_file_of_the_chart_it_names_exists():
    for path in set(re.findall(r"(?:charts|docs|services)/[\w./-]+\.(?:yaml|md)", PAGE)):
        assert (REPOSITORY / path).exists(), path


def test_what_comes_before_the_count_is_said():
    before, counted = PAGE.split("## To try it", 1)

    for each in ("`docker` or `podman`", "make install", "docker build", "not in the count"):
        assert each in before, each
    assert "docker build" not in counted


@pytest.mark.parametrize("number", [0, 1])
def test_the_installation_renders_as_written(number):
    _, commands = ways()[number]
    (line,) = [each for each in commands if each.startswith("helm install vitrine ")]
    values = tuple(each.removeprefix("charts/vitrine/") for each in re.findall(r"-f (\S+)", line))
    sets = tuple(f'{name}="{value}"' for name, value in re.findall(r"--set ([\w.]+)=(\S+)", line))

    assert f"install vitrine {CHART.relative_to(REPOSITORY)} " in line
    assert render(values, sets=sets).code == 0


def test_it_says_how_to_go_on_after_an_installation_that_failed():
    """`helm install` refuses a name in use; every object that is missing is made by an upgrade."""
    step = PAGE.split("### What happens in 9", 1)[1].split("\n## ", 1)[0]

    for each in ("`helm upgrade --install`", "`helm uninstall vitrine -n vitrine`"):
        assert each in step, each


def test_secrets_it_makes_are_those_the_values_name():
    _, commands = ways()[1]
    text = "\n".join(commands)
    made = set(re.findall(r"create secret generic (\S+)", text))
    made |= {f"vitrine-db-{each}" for each in ("gateway", "billing", "vpn", "scheduler")}
    made.discard("vitrine-db-$s")
    rendered = render(("values-small.yaml",))

    asked = set(re.findall(r"secretKeyRef:\s+name: (\S+)", rendered.text))
    # Those that change under a running process are files.
    asked |= set(re.findall(r"- secret:\s+name: (\S+)", rendered.text))

    assert asked - made == {"vitrine-postgres-app"}, "CloudNativePG makes this one"
    assert made <= asked
    for key in re.findall(r"--from-literal=([a-z-]+)=", text):
        assert re.search(rf"key: {key}\b", rendered.text), key
