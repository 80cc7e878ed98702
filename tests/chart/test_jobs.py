"""Migrations and bootstrap come first, end in time, and need nothing of the release itself."""

from devstack.chart import CHART, pods, render, values_files

EXTERNAL = ("ci/external-values.yaml",)


def jobs(values):
    rendered = render(values)
    assert rendered.code == 0, rendered.text
    return rendered.of("Job")


def test_each_service_with_a_schema_migrates_before_streams_are_made():
    found = jobs(EXTERNAL)
    order = sorted(
        found,
        key=lambda name: int(found[name]["metadata"]["annotations"]["helm.sh/hook-weight"]),
    )

    assert sorted(order[:4]) == [
        "migrate-billing",
        "migrate-gateway",
        "migrate-scheduler",
        "migrate-vpn",
    ]
    assert order[4:] == ["bootstrap"]


def test_hooks_run_before_the_rollout_and_leave_a_failure_to_be_read():
    for job in jobs(EXTERNAL).values():
        annotations = job["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        kept = annotations["helm.sh/hook-delete-policy"].split(",")
        assert kept == ["before-hook-creation", "hook-succeeded"]


def test_no_job_runs_for_ever():
    for file in values_files():
        for name, job in jobs((str(file.relative_to(CHART)),)).items():
            assert 0 < job["spec"]["activeDeadlineSeconds"] <= 3600, name
            assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never", name


def test_what_hooks_need_is_not_of_this_release():
    """A hook runs before the release's own objects exist, and would wait until its deadline."""
    for file in values_files():
        rendered = render((str(file.relative_to(CHART)),))
        plain = [each for each in rendered.objects() if not _hook(each)]
        own = {(each["kind"], each["metadata"]["name"]) for each in plain}
        own |= {
            ("Secret", each["spec"]["secretName"])
            for each in plain
            if each["kind"] == "Certificate"
        }
        for pod in pods(rendered.objects()):
            if "pre-install" in pod.hook:
                needed = _needed(pod)
                assert not needed & own, f"{file.name}: {pod.name} needs {needed & own}"
                assert pod.spec["serviceAccountName"] == "default"


def test_jobs_that_need_a_part_of_the_release_are_no_hooks():
    """`helm install --wait` runs later hooks once all is ready: they would wait for each other."""
    for values, plain in (
        (("values-dev.yaml",), {"migrate-billing-1", "bootstrap-1"}),
        (("ci/everything-values.yaml",), {"migrate-billing-1", "bootstrap-1"}),
        (("values-large.yaml",), {"migrate-billing-1"}),
    ):
        found = jobs(values)
        assert plain <= set(found)
        for name in plain:
            assert not _hook(found[name])
            assert found[name]["spec"]["backoffLimit"] >= 10


def test_migrations_alone_may_create_roles():
    for pod in pods(render(EXTERNAL).objects()):
        admin = [
            each["name"]
            for container in pod.containers
            for each in container.get("env", [])
            if each.get("valueFrom", {}).get("secretKeyRef", {}).get("name") == "db-admin"
        ]
        assert bool(admin) == (pod.labels.get("vitrine/job") == "migrate"), pod.name


def _hook(each):
    return "helm.sh/hook" in each["metadata"].get("annotations", {})


def _needed(pod):
    """Secrets, ConfigMaps and the account a pod cannot start without."""
    needed = {("ServiceAccount", pod.spec["serviceAccountName"])}
    for container in pod.containers:
        for each in container.get("env", []):
            source = each.get("valueFrom", {}).get("secretKeyRef")
            if source:
                needed.add(("Secret", source["name"]))
    for volume in pod.spec["volumes"]:
        if "secret" in volume:
            needed.add(("Secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            needed.add(("ConfigMap", volume["configMap"]["name"]))
        for each in volume.get("projected", {}).get("sources", []):
            needed.add(("Secret", each["secret"]["name"]))
    return needed
