"""What `vitrine keys` prints is what the chart mounts, and names the server as clients call it."""

import base64
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from devstack.chart import CHART, NAMESPACE, RELEASE, helm, pods, render
from vitrine_tools.installation import Installation

FILES = {
    "vitrine-nats-": {"ca.crt", "tls.crt", "tls.key", "seed"},
    "vitrine-signing-": {"signing.key"},
}


@pytest.fixture(scope="module")
def keys():
    """By kind and name, the content of every object."""
    program = Path(sys.executable).with_name("vitrine")
    done = subprocess.run(
        [str(program), "keys", "--namespace", NAMESPACE],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for each in yaml.safe_load_all(done.stdout):
        if each:
            assert each["metadata"]["namespace"] == NAMESPACE
            found[each["kind"], each["metadata"]["name"]] = each.get("data") or each["stringData"]
    return found


def mounted(rendered):
    for pod in pods(rendered.objects()):
        for volume in pod.spec["volumes"]:
            if "secret" in volume:
                yield pod, volume["name"], ("Secret", volume["secret"]["secretName"])
            elif "configMap" in volume:
                yield pod, volume["name"], ("ConfigMap", volume["configMap"]["name"])


def test_every_key_a_pod_mounts_is_made(keys):
    rendered = render(("values-dev.yaml",))
    made = {(each["kind"], each["metadata"]["name"]) for each in rendered.objects()} | set(keys)

    wanted = {(pod.name, which) for pod, _, which in mounted(rendered)}

    assert {each for each in wanted if each[1] not in made} == set()


def test_they_have_the_files_settings_name(keys):
    for (_, name), content in keys.items():
        for prefix, files in FILES.items():
            if name.startswith(prefix) and name != "vitrine-nats-server":
                assert files <= set(content), name
    assert {"ca.crt", "tls.crt", "tls.key", "auth.conf"} <= set(
        keys["Secret", "vitrine-nats-server"]
    )


def test_every_signer_is_known_to_all(keys):
    signers = {
        name.removeprefix("vitrine-signing-")
        for kind, name in keys
        if name.startswith("vitrine-signing-")
    }
    public = {file.split(".")[0] for file in keys["ConfigMap", "vitrine-verify-keys"]}

    assert public == signers


@pytest.mark.parametrize("values", ["values-dev.yaml", "values-small.yaml", "values-large.yaml"])
def test_clients_find_the_servers_name_in_its_certificate(keys, values):
    content = keys["Secret", "vitrine-nats-server"]["tls.crt"]
    pem = content.encode() if "BEGIN" in content else base64.b64decode(content)
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = names.get_values_for_type(x509.DNSName)

    rendered = render((values,))
    certificates = {which for _, name, which in mounted(rendered) if name == "nats"}
    assert ("Secret", "vitrine-nats-billing") in certificates
    assert certificates <= set(keys), "of another authority than the server believes"
    deployment = rendered.of("Deployment")["billing"]
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    (urls,) = [each["value"] for each in env if each["name"] == "BILLING_NATS_URL"]

    for url in urls.split(","):
        host = urlsplit(url).hostname
        wild = f"*.{host.partition('.')[2]}"
        assert host in known or wild in known, f"{host} is not among {known}"


def test_names_of_another_release_are_values():
    sets = ('nats.secretPrefix="other-nats-"', 'signing.secretPrefix="other-signing-"')
    rendered = render(("ci/external-values.yaml",), sets=sets)

    named = {which[1] for _, _, which in mounted(rendered) if which[0] == "Secret"}

    assert not any(name.startswith(f"{RELEASE}-") for name in named)


@pytest.mark.parametrize("release", ["vitrine", "shop", "my-vitrine-2", "a" * 29, "b" * 40])
def test_the_certificate_has_the_name_of_the_releases_own_nats(release):
    done = helm(
        *("template", release, str(CHART), "--namespace", "elsewhere"),
        *("--values", str(CHART / "values-dev.yaml")),
    )
    assert done.returncode == 0, done.stderr
    urls = set(re.findall(r"tls://([^:\"]+):4222", done.stdout))

    names = Installation("elsewhere", release).server_names()

    assert urls
    assert urls <= set(names)
    (stateful,) = re.findall(r"serviceName: (\S+-nats)$", done.stdout, re.MULTILINE)
    restart = Installation("elsewhere", release).commands("server")["restart"]
    assert restart.endswith(f"statefulset/{stateful}")
