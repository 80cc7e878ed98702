"""Migrations and bootstrap come first, end in time, and need nothing of the release itself."""

import functools

import pytest
import yaml

from devstack.chart import (
    CHART,
    KUBE_VERSIONS,
    NAMESPACE,
    RELEASE,
    helm,
    pods,
    render,
    values_files,
)
from devstack.kubernetes_api import serving

EXTERNAL = ("ci/external-values.yaml",)
FINISHED = f'jobs.finished="{yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]}"'
PRODUCTION = ("values-small.yaml", "values-large.yaml")
MIGRATIONS = {f"migrate-{service}" for service in ("billing", "gateway", "scheduler", "vpn")}


CLUSTER, EMPTY_CLUSTER, CERTIFICATE = "a cluster", "one without an instance", "a certificate"
_OF_POSTGRES = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "vitrine-postgres"},
}
OBJECTS = {
    CLUSTER: _OF_POSTGRES | {"status": {"readyInstances": 2}},
    EMPTY_CLUSTER: _OF_POSTGRES | {"status": {"phase": "Setting up primary"}},
    CERTIFICATE: {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "vitrine-nats-bootstrap-tls"},
    },
}


def jobs(values, **how):
    rendered = render(values, **how)
    assert rendered.code == 0, rendered.text
    return rendered.of("Job")


@functools.cache
def upgraded(file, there=(CLUSTER, CERTIFICATE)):
    """The upgrade of a release where a cluster has these objects."""
    known = render((file,), upgrade=True).objects()
    objects = [OBJECTS[name] for name in there]
    with serving(known, objects, version=KUBE_VERSIONS[0]) as api:
        rendered = render((file,), upgrade=True, api=api)
    assert rendered.code == 0, rendered.text
    return rendered


def variable(job, name):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return next((each["value"] for each in container["env"] if each["name"] == name), None)


@pytest.mark.parametrize("file", [*EXTERNAL, *PRODUCTION])
def test_each_service_with_a_schema_migrates_before_streams_are_made(file):
    """A migration that fails has changed nothing else."""
    found = upgraded(file).of("Job")
    order = sorted(found, key=lambda name: _weight(found[name]))

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
        (("values-dev.yaml",), {*MIGRATIONS, "bootstrap"}),
        (("ci/everything-values.yaml",), {*MIGRATIONS, "bootstrap"}),
        (("values-large.yaml",), MIGRATIONS),
    ):
        found = jobs(values)
        assert {name for name, job in found.items() if not _hook(job)} == plain
        for name in plain:
            assert found[name]["spec"]["backoffLimit"] >= 10


def test_an_upgrade_finds_what_the_installation_made():
    for file in (*PRODUCTION, "ci/everything-values.yaml"):
        for name, job in upgraded(file).of("Job").items():
            assert _hook(job), f"{file}: {name}"
    # A laptop's database may be made anew by the upgrade.
    assert not any(map(_hook, upgraded("values-dev.yaml").of("Job").values()))


@pytest.mark.parametrize("there", [(), (EMPTY_CLUSTER,)], ids=["nothing", "no instance is ready"])
def test_an_upgrade_waits_for_nothing_that_only_it_would_make(there):
    """After an installation that failed first of all, or to switch Postgres on."""
    for file, plain in (
        *((file, MIGRATIONS) for file in PRODUCTION),
        ("ci/everything-values.yaml", {*MIGRATIONS, "bootstrap"}),
    ):
        rendered = upgraded(file, there)
        made = {each["kind"] for each in rendered.objects() if not _hook(each)}

        found = rendered.of("Job")
        assert {name for name, job in found.items() if not _hook(job)} == plain, file
        assert made & {"Cluster", "Certificate"}, file
        for name in plain:
            assert found[name]["spec"]["backoffLimit"] >= 10
    assert all(map(_hook, upgraded(*EXTERNAL, there).of("Job").values())), "it is somebody else's"


def test_each_job_asks_for_what_it_needs_itself():
    with_database = upgraded("ci/everything-values.yaml", (CLUSTER,)).of("Job")
    with_certificate = upgraded("ci/everything-values.yaml", (CERTIFICATE,)).of("Job")

    assert {name for name, job in with_database.items() if _hook(job)} == MIGRATIONS
    assert {name for name, job in with_certificate.items() if _hook(job)} == {"bootstrap"}


def test_who_renders_without_a_cluster_gets_ordinary_jobs():
    """`helm template` and GitOps: services wait for them, whatever is there already."""
    for upgrade in (False, True):
        found = jobs(("values-small.yaml",), upgrade=upgrade)
        assert {name for name, job in found.items() if not _hook(job)} == MIGRATIONS


def test_notes_name_the_jobs_that_pods_wait_for():
    for file, waits in (("values-small.yaml", True), (*EXTERNAL, False)):
        where = (RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(CHART / file))
        done = helm("install", *where, "--dry-run=client")

        assert done.returncode == 0, done.stderr
        assert ("logs --prefix --tail=20 -l 'vitrine/job in" in done.stdout) == waits, file


@pytest.mark.parametrize("upgrade", [False, True])
def test_hooks_are_let_out_by_hooks_before_them(upgrade):
    """In a namespace whose own policy refuses all, nothing else of the release is there yet."""
    for path in values_files():
        file = str(path.relative_to(CHART))
        rendered = upgraded(file) if upgrade else render((file,))
        policies = [each for each in rendered.objects() if each["kind"] == "NetworkPolicy"]
        for job in rendered.of("Job").values():
            if not policies or not _hook(job):
                continue
            labels = job["spec"]["template"]["metadata"]["labels"]
            own = [
                each
                for each in policies
                if "vitrine/job" in (wanted := each["spec"]["podSelector"].get("matchLabels", {}))
                and wanted.items() <= labels.items()
            ]
            where = f"{file}: {job['metadata']['name']}"
            assert own, where
            for policy in own:
                assert _weight(policy) < _weight(job), where
                notes, of_job = policy["metadata"]["annotations"], job["metadata"]["annotations"]
                for note in ("helm.sh/hook", "helm.sh/hook-delete-policy"):
                    # helm removes what has succeeded when all have: not while a Job needs it.
                    assert notes[note] == of_job[note], where
                names, *ways = policy["spec"]["egress"]
                assert {each["port"] for each in names["ports"]} == {53}, where
                assert ways, where


def test_policies_of_jobs_that_are_no_hooks_are_the_releases_own():
    found = render(("values-small.yaml",)).of("NetworkPolicy")

    assert not _hook(found["migrate"])
    assert _hook(found["bootstrap-hook"])
    # Not the same names: what an upgrade's hook leaves when it fails is in no later one's way.
    assert {"migrate-hook", "bootstrap-hook"} <= set(
        upgraded("values-small.yaml").of("NetworkPolicy")
    )


def test_a_job_that_differs_has_another_name():
    """Jobs cannot be changed, and GitOps renders every release as revision 1."""

    def name(*sets):
        rendered = render(("values-small.yaml",), sets=sets)
        (found,) = (
            each["metadata"]["name"]
            for each in rendered.objects()
            if each["kind"] == "Job" and "migrate-vpn" in each["metadata"]["name"]
        )
        return found

    same = name()
    assert name("services.vpn.replicas=3") == same
    assert len({same, name('image.tag="9.9.9"'), name(FINISHED)}) == 3


def test_deployed_migrations_take_nothing_unless_that_is_said():
    for file in values_files():
        for name, job in jobs((str(file.relative_to(CHART)),)).items():
            service = name.removeprefix("migrate-")
            if service != name:
                assert variable(job, f"{service.upper()}_MIGRATION_PHASE") == "pre"


@pytest.mark.parametrize(
    ("sets", "phase"),
    [
        ((FINISHED,), "all"),
        ((FINISHED, 'image.tag="0.2.0"'), "pre"),
        (('jobs.finished="0.2.0"', 'image.tag="0.2.0"'), "all"),
    ],
    ids=["this release", "the one after it", "by its tag"],
)
def test_who_says_that_a_release_is_finished_says_it_of_no_later_one(sets, phase):
    """Values stay, in Git and with --reuse-values: the next upgrade must not begin with its end."""
    for service in ("billing", "gateway", "scheduler", "vpn"):
        job = jobs(EXTERNAL, sets=sets)[f"migrate-{service}"]
        assert variable(job, f"{service.upper()}_MIGRATION_PHASE") == phase


def test_finishing_a_release_changes_no_pod():
    def others(*sets):
        return [each for each in render(EXTERNAL, sets=sets).objects() if each["kind"] != "Job"]

    assert others(FINISHED) == others()


def test_services_read_their_login_anew_and_find_it_in_no_variable():
    for pod in pods(render(EXTERNAL).objects()):
        service = pod.labels.get("vitrine/service")
        if service in (None, "generator"):
            continue
        (container,) = pod.containers
        found = {each["name"]: each.get("value") for each in container["env"]}
        file = found[f"{service.upper()}_DATABASE_URL_FILE"]
        assert f"{service.upper()}_DATABASE_URL" not in found
        folder, _, key = file.rpartition("/")
        (mount,) = (each for each in container["volumeMounts"] if each["mountPath"] == folder)
        assert "subPath" not in mount, "it would never change"
        (volume,) = (each for each in pod.spec["volumes"] if each["name"] == mount["name"])
        assert volume["secret"]["secretName"] == f"db-{service}"
        assert volume["secret"]["items"] == [{"key": "url", "path": key}]


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


def _weight(each):
    return int(each["metadata"]["annotations"]["helm.sh/hook-weight"])


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
