"""The NetworkPolicies, judged as a cluster would judge them: who reaches whom, and who does not."""

import pytest

from devstack.chart import render

SERVICES = ("gateway", "billing", "generator-simulated", "vpn", "scheduler")


def test_every_pod_is_guarded_both_ways(dev, everything):
    for network in (dev, everything):
        for labels in network.pods.values():
            for direction in ("Ingress", "Egress"):
                assert not network.opens(labels, direction, 12_345, lambda _peer: False)


@pytest.mark.parametrize("service", SERVICES)
def test_services_and_bootstrap_reach_nats(dev, service):
    assert dev.reaches(service, "nats", 4222)
    assert not dev.reaches(service, "nats", 8222)
    assert dev.reaches("bootstrap", "nats", 4222)


def test_only_services_with_a_schema_reach_postgres(dev):
    for service in ("gateway", "billing", "vpn", "scheduler", "migrate-vpn"):
        assert dev.reaches(service, "postgres", 5432), service
    for other in ("generator-simulated", "simulators", "test-order", "bootstrap", "nats"):
        assert not dev.reaches(other, "postgres", 5432), other


def test_an_operator_reaches_nats_and_postgres_and_nobody_reaches_an_operator(dev, everything):
    assert dev.reaches("operator", "nats", 4222)
    assert dev.reaches("operator", "postgres", 5432)
    for service in SERVICES:
        for port in (8080, 8081):
            assert not dev.reaches("operator", service, port), f"{service}:{port}"
            assert not dev.reaches(service, "operator", port), f"{service}:{port}"
    assert not dev.reaches("operator", "simulators", 8081)
    assert not everything.leaves_for("operator", "149.154.167.220", 443)


def test_no_service_reaches_another(dev):
    for source in SERVICES:
        for target in SERVICES:
            for port in (8080, 8081, 8188):
                assert not dev.reaches(source, target, port), f"{source} -> {target}:{port}"


def test_simulators_call_webhooks_and_are_called(dev):
    assert dev.reaches("simulators", "billing", 8081)
    assert dev.reaches("gateway", "simulators", 8081)
    assert dev.reaches("billing", "simulators", 8082)
    assert dev.reaches("test-order", "simulators", 8081)
    assert not dev.reaches("scheduler", "simulators", 8081)
    assert not dev.reaches("test-order", "billing", 8081)


def test_nats_monitoring_is_open_to_keda_and_prometheus_alone(dev):
    assert dev.entered_from("keda", "nats", 8222)
    assert dev.entered_from("monitoring", "nats", 8222)
    assert not dev.entered_from("keda", "nats", 4222)
    assert not dev.entered_from("ingress-nginx", "nats", 8222)
    assert not dev.entered_from("elsewhere", "postgres", 5432)


def test_only_the_ingress_comes_in_from_outside(everything):
    for service in ("gateway", "billing", "vpn"):
        assert everything.entered_from("ingress-nginx", service, 8081)
        assert not everything.entered_from("ingress-nginx", service, 8080)
        assert not everything.entered_from("elsewhere", service, 8081)
    assert not everything.entered_from("ingress-nginx", "scheduler", 8081)


INTERNET = ("149.154.167.220", "2001:67c:4e8:f004::9")
NO_INTERNET = ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254")
NO_INTERNET += ("fd00:ec2::254", "fe80::1")


def test_only_who_sells_reaches_the_internet_and_never_a_private_network(everything):
    for service in ("gateway", "billing"):
        for address in INTERNET:
            assert everything.leaves_for(service, address, 443)
            assert not everything.leaves_for(service, address, 80)
        for address in NO_INTERNET:
            assert not everything.leaves_for(service, address, 443), address
    for service in ("generator-gpu-1", "scheduler", "migrate-billing"):
        assert not everything.leaves_for(service, "149.154.167.220", 443), service


def test_telemetry_goes_to_the_collector_and_prometheus_reads_it(everything):
    assert everything.reaches("billing", "collector", 4318)
    assert not everything.reaches("billing", "collector", 8889)
    assert everything.entered_from("monitoring", "collector", 8889)
    assert not everything.entered_from("monitoring", "collector", 4318)


def test_policies_can_be_left_out():
    assert render(("ci/open-values.yaml",)).of("NetworkPolicy") == {}
