"""Alerts and dashboards speak of metrics the code emits, and each alert has a runbook."""

import json
import re
from datetime import timedelta

import pytest
import yaml

from chassis import certificate_watch, metrics, signatures
from contracts.topology import EVENTS_AGE, INBOX_HORIZON
from devstack.chart import CHART, render
from devstack.settings import REPOSITORY
from scheduler.domain import settling
from vpn.jobs import keeper

EVERYTHING = ("ci/everything-values.yaml",)
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
ALERTS = sorted((CHART / "alerts").glob("*.yaml"))
TOLD_OTHERWISE = {
    "LedgerSealBroken": "counted by the same audit as LedgerDrift, whose alert covers both",
}
"""Runbooks without an alert of their own, and why."""
_EMITTED = re.compile(
    r"metrics\.(?P<kind>counter|gauge|histogram)\(\s*\"(?P<name>[a-z_.]+)\"", re.DOTALL
)
_WORD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_QUOTED = re.compile(r"\"[^\"]*\"|\{[^}]*\}|\[[^\]]*\]")
_GROUPING = re.compile(r"\b(by|without|on)\s*\([^)]*\)")
LANGUAGE = {
    *("sum", "max", "min", "avg", "rate", "increase", "histogram_quantile", "absent", "vector"),
    *("or", "and", "unless", "offset", "by", "h", "m", "s"),
}


OF_NATS = {"jetstream_consumer_num_pending", "jetstream_consumer_num_redelivered"}
"""Told by the exporter in NATS's official chart, not by code of ours."""


def emitted():
    """Names as Prometheus has them, with what a histogram adds."""
    names = set()
    for folder in ("libs/chassis/src", "services"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            if "/tests/" in str(path):
                continue
            for match in _EMITTED.finditer(path.read_text()):
                name = match["name"].replace(".", "_")
                histogram = match["kind"] == "histogram"
                names |= (
                    {f"{name}{end}" for end in ("_bucket", "_sum", "_count")}
                    if histogram
                    else {name}
                )
    return names


EMITTED = emitted() | OF_NATS


def metrics_of(expression):
    bare = _GROUPING.sub("", _QUOTED.sub("", expression))
    return {
        word for word in _WORD.findall(bare) if word not in LANGUAGE and not word.startswith("__")
    }


@pytest.fixture(scope="module")
def rules():
    (found,) = render(EVERYTHING).of("PrometheusRule").values()
    return {each["alert"]: each for each in found["spec"]["groups"][0]["rules"]}


def test_the_code_emits_what_the_scan_should_find():
    assert {"vitrine_outbox_lag", "gateway_reply_seconds_bucket", "generator_gpu_busy"} <= EMITTED
    assert metrics_of('sum by (le) (rate(x_bucket{a="b"}[5m])) > 3 or absent(y)') == {
        "x_bucket",
        "y",
    }


def test_every_file_of_alerts_becomes_a_rule(rules):
    assert set(rules) == {path.stem for path in ALERTS}


def test_every_alert_speaks_of_metrics_the_code_emits(rules):
    for name, rule in rules.items():
        spoken = metrics_of(rule["expr"])
        assert spoken, name
        assert spoken <= EMITTED, f"{name}: nobody emits {sorted(spoken - EMITTED)}"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(rules):
    runbooks = {path.stem for path in RUNBOOKS.glob("*.md")}

    assert set(rules) <= runbooks
    assert runbooks - set(rules) == set(TOLD_OTHERWISE)
    for name, rule in rules.items():
        link = rule["annotations"]["runbook_url"]
        assert link == f"https://git.example.org/vitrine/docs/runbooks/{name}.md"
    (unlinked,) = render(("values-large.yaml",)).of("PrometheusRule").values()
    for rule in unlinked["spec"]["groups"][0]["rules"]:
        assert "runbook_url" not in rule["annotations"], "a path is no address"
        assert (REPOSITORY / rule["annotations"]["runbook"]).exists()


def test_rules_say_how_grave_they_are(rules):
    assert {rule["labels"]["severity"] for rule in rules.values()} == {"warning", "critical"}
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules.values())


def test_no_reason_to_refuse_a_message_is_left_out(rules):
    # Without a filter each of them fires, wherever it was refused, the generator included.
    assert "{" not in rules["MessageForged"]["expr"]
    runbook = (RUNBOOKS / "MessageForged.md").read_text()
    assert [each for each in signatures.REASONS if f"| `{each}` |" not in runbook] == []


def test_an_alert_names_outcomes_and_days_as_the_code_does(rules):
    assert f'outcome="{settling.HELD}"' in rules["TimersHeld"]["expr"]
    assert rules["CertificateEnding"]["expr"].endswith(f" < {certificate_watch.WARN_DAYS}")
    warned = keeper.CERTIFICATE_WARNED / timedelta(days=1)
    assert rules["VpnNodeTrouble"]["expr"].endswith(f" < {warned:g}")


def test_how_long_a_missing_right_may_last_is_said_as_streams_have_it():
    days, horizon = (each / timedelta(days=1) for each in (EVENTS_AGE, INBOX_HORIZON))
    runbook = (RUNBOOKS / "RightMissing.md").read_text()

    assert f"leaves its stream after {days:g} days" in runbook
    assert f"more than {horizon:g} days old is parked" in runbook
    assert f"after {days:g} days" in (RUNBOOKS / "MessageRedelivered.md").read_text()
    upgrade = (REPOSITORY / "docs" / "upgrade.md").read_text()
    assert f"An event waits so for {days:g} days at most" in upgrade


def test_cert_manager_renews_long_before_anybody_is_warned():
    certificates = render(EVERYTHING).of("Certificate")
    assert certificates, "the values file asks for none"
    for each in certificates.values():
        duration, before = (
            timedelta(hours=int(each["spec"][name].removesuffix("h")))
            for name in ("duration", "renewBefore")
        )
        assert timedelta(days=certificate_watch.WARN_DAYS + 7) <= before < duration


def test_labels_of_an_alert_are_kept_by_its_expression(rules):
    for name, rule in rules.items():
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            kept = {
                each.strip()
                for group in re.findall(r"by \(([^)]*)\)", rule["expr"])
                for each in group.split(",")
            }
            # `absent` has the labels it was asked for.
            kept |= set(re.findall(r"absent\(\w+\{(\w+)=", rule["expr"]))
            assert label in kept, f"{name}: {label} is summed away"


@pytest.mark.parametrize(
    "path", sorted((CHART / "dashboards").glob("*.json")), ids=lambda p: p.stem
)
def test_dashboards_show_metrics_the_code_emits(path):
    board = json.loads(path.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]

    assert len(expressions) >= 12
    for each in expressions:
        spoken = metrics_of(each.replace("$__rate_interval", "1m"))
        assert spoken, each
        assert spoken <= EMITTED, f"{board['title']}: nobody emits {sorted(spoken - EMITTED)}"


def test_dashboards_are_whole_in_their_configmaps():
    maps = render(EVERYTHING).of("ConfigMap")
    for path in (CHART / "dashboards").glob("*.json"):
        data = maps[f"dashboard-{path.stem}"]["data"]
        assert json.loads(data[path.name]) == json.loads(path.read_text())
        labels = maps[f"dashboard-{path.stem}"]["metadata"]["labels"]
        assert labels["grafana_dashboard"] == "1"


def test_the_collector_keeps_the_names_alerts_are_written_with():
    maps = render(EVERYTHING).of("ConfigMap")
    config = yaml.safe_load(maps["collector"]["data"]["collector.yaml"])

    assert config["exporters"]["prometheus"]["add_metric_suffixes"] is False
    assert config["exporters"]["prometheus"]["resource_to_telemetry_conversion"]["enabled"] is True
    # Who is gone is missed soon, and nobody who only tells late (ServiceGone).
    kept = timedelta(minutes=int(config["exporters"]["prometheus"]["metric_expiration"][:-1]))
    told_every = timedelta(milliseconds=metrics.EXPORT_EVERY_MILLISECONDS)
    assert 4 * told_every <= kept <= timedelta(minutes=2)
    first = config["service"]["pipelines"]["metrics"]["processors"]
    assert first.index("attributes/caller") < first.index("batch"), "a batch forgets its callers"
    for pipeline in config["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(config[part])


def test_the_monitor_reads_the_collectors_pods():
    rendered = render(EVERYTHING)
    (monitor,) = rendered.of("PodMonitor").values()
    collector = rendered.of("Deployment")["collector"]["spec"]["template"]

    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector.items() <= collector["metadata"]["labels"].items()
    ports = {each["name"] for each in collector["spec"]["containers"][0]["ports"]}
    assert {each["port"] for each in monitor["spec"]["podMetricsEndpoints"]} <= ports
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
