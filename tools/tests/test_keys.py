"""`vitrine keys`: what it prints is enough for a real nats-server and its users."""

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from chassis import signing_keys
from chassis.broker import Broker
from chassis.identity import Identity, impatient
from chassis.nats_accounts import FILES
from contracts.accounts import MODES, SHARED
from contracts.permissions import USERS
from contracts.producers import PARTIES
from contracts.topology import OLD_KEYS_ACCEPTED
from devstack.nats_security import Security
from devstack.nats_server import NatsServer
from devstack.testing import free_port
from vitrine_tools import cli, installation, keys
from vitrine_tools.keys import USED_SINCE

COMMAND = ("vitrine", "keys", "--namespace", "shop")


def vitrine_keys(*arguments: str, given: str = "") -> tuple[list[dict], str]:
    """What the command line prints; here, for a process of its own takes most of a second."""
    printed, said = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(action="error"),
        redirect_stdout(printed),
        redirect_stderr(said),
        suppress(SystemExit),
    ):
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests left behind
        patch.setattr(sys, "argv", [*COMMAND, *arguments])
        patch.setattr(sys, "stdin", io.StringIO(given))
        cli.main()
    return list(yaml.load_all(printed.getvalue(), Loader=yaml.CSafeLoader)), said.getvalue()


def vitrine_keys_alone(*arguments: str, given: str = "") -> tuple[list[dict], str]:
    """The same as an operator starts it."""
    done = subprocess.run(
        [Path(sys.executable).with_name(COMMAND[0]), *COMMAND[1:], *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    return list(yaml.safe_load_all(done.stdout)), done.stderr


def of_kind(objects: list[dict], kind: str) -> dict[str, dict[str, bytes]]:
    return {
        each["metadata"]["name"]: {
            name: base64.b64decode(text) if kind == "Secret" else text.encode()
            for name, text in each["data"].items()
        }
        for each in objects
        if each["kind"] == kind
    }


def mount(objects: list[dict], folder: Path) -> None:
    """Write every Secret as kubelet would."""
    for name, files in of_kind(objects, "Secret").items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        for file, content in files.items():
            (place / file).write_bytes(content)


def security(folder: Path, mode: str = SHARED) -> Security:
    place = folder / "vitrine-nats-server"
    return Security(place, (place / FILES[mode]).read_text())


async def come_in(url: str, place: Path, user: str) -> None:
    broker = await Broker.connect(
        url,
        name=user,
        identity=Identity.in_folder(place, user),
        on_fatal=pytest.fail,
        on_refused=impatient,
    )
    await broker.close()


def test_it_prints_a_secret_for_each_user_and_each_signer():
    objects, said = vitrine_keys_alone("--days", "7")

    secrets, public = of_kind(objects, "Secret"), of_kind(objects, "ConfigMap")
    assert said == ""
    assert {each["metadata"]["namespace"] for each in objects} == {"shop"}
    for user in USERS:
        files = secrets.pop(f"vitrine-nats-{user}")
        assert set(files) == {"ca.crt", "tls.crt", "tls.key", "seed"}
    server = secrets.pop("vitrine-nats-server")
    assert set(server) == {"ca.crt", "tls.crt", "tls.key", *FILES.values()}
    for party in PARTIES:
        assert set(secrets.pop(f"vitrine-signing-{party}")) == {"signing.key"}
    assert secrets == {}
    assert list(public) == ["vitrine-verify-keys"]
    assert {name.split(".")[0] for name in public["vitrine-verify-keys"]} == set(PARTIES)


@pytest.mark.parametrize("mode", MODES)
async def test_a_server_and_its_users_work_with_it_through_a_whole_rotation(tmp_path, mode):
    objects, _ = vitrine_keys()
    current, slow = tmp_path / "current", tmp_path / "slow"
    mount(objects, current)
    server = NatsServer(tmp_path / "nats", free_port(), security=lambda: security(current, mode))
    await server.start()
    try:
        seeds = []
        for ends in ("not yet used.", "are in use.", "are forgotten."):
            for user in USERS:
                await come_in(server.url, current / f"vitrine-nats-{user}", user)
            seeds.append((current / "vitrine-nats-vpn" / "seed").read_bytes())
            mount(objects, slow)
            objects, said = rotated(objects, "--force")
            mount(objects, current)
            await server.restart()
            assert ends in said
            if ends != "are forgotten.":
                # A pod that has not got the new files yet comes in as well.
                await come_in(server.url, slow / "vitrine-nats-vpn", "vpn")
        for user in USERS:
            await come_in(server.url, current / f"vitrine-nats-{user}", user)
    finally:
        await server.kill()

    seeds.append((current / "vitrine-nats-vpn" / "seed").read_bytes())
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]


def test_rights_are_written_anew_and_nothing_else():
    objects, _ = vitrine_keys()
    before = of_kind(objects, "Secret")["vitrine-nats-server"]
    for each in objects:
        if each["metadata"]["name"] == "vitrine-nats-server":
            # As a release left it that knew fewer of them.
            each["data"]["auth.conf"] = base64.b64encode(b"accounts {}").decode()
            del each["data"]["auth-separate.conf"]

    after, said = vitrine_keys("--rights", given=json.dumps({"items": objects}))

    assert said == ""
    assert of_kind(after, "Secret") == {"vitrine-nats-server": before}
    assert [each["kind"] for each in after] == ["Secret"]


def test_rights_alone_are_no_rotation():
    objects, _ = vitrine_keys()

    none, said = vitrine_keys("--rights", "--rotate", given=json.dumps({"items": objects}))

    assert none == []
    assert "--rights is for keys that stay" in said


def test_signing_keys_overlap_while_they_are_rotated(tmp_path):
    objects, _ = vitrine_keys()
    accepted, signing = [], []
    for _ in range(4):
        keys = of_kind(objects, "ConfigMap")["vitrine-verify-keys"]
        accepted.append({name for name in keys if name.startswith("billing.")})
        key = of_kind(objects, "Secret")["vitrine-signing-billing"]["signing.key"]
        (tmp_path / "signing.key").write_bytes(key)
        signing.append(f"billing.{signing_keys.read_private(tmp_path / 'signing.key').id}.pub")
        objects, _ = rotated(objects, "--force")

    assert [len(each) for each in accepted] == [1, 2, 2, 1]
    assert all(key in known for key, known in zip(signing, accepted, strict=True))
    assert signing[0] == signing[1] != signing[2] == signing[3]


def rotated(objects: list[dict], *arguments: str) -> tuple[list[dict], str]:
    return vitrine_keys("--rotate", *arguments, given=json.dumps({"items": objects}))


def names_of_the_server(objects: list[dict]) -> set[str]:
    files = of_kind(objects, "Secret")["vitrine-nats-server"]
    certificate = x509.load_pem_x509_certificate(files["tls.crt"])
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_a_rotation_keeps_the_servers_names_and_adds_those_it_is_given():
    objects, _ = vitrine_keys("--host", "nats.example.org", "--host", "192.0.2.7")
    before = names_of_the_server(objects)
    assert {"nats.example.org", "192.0.2.7", "vitrine-nats"} <= before

    objects, _ = rotated(objects, "--host", "more.example.org")
    refused, said = rotated(objects, "--host", "late.example.org")
    assert (refused, said) == (
        [],
        "--host counts in the first step of a rotation, and this is a later one\n",
    )
    objects, _ = rotated(objects)
    assert names_of_the_server(objects) == before | {"more.example.org"}

    objects, _ = rotated(objects, "--force")
    assert names_of_the_server(objects) == before | {"more.example.org"}


def test_each_step_says_what_to_run_then_and_the_documents_say_the_same():
    document = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    told = document.partition("## Rotating keys")[2].partition("\n## ")[0]
    copy = (
        "kubectl -n shop get secret vitrine-nats-server -o json "
        "| jq '.metadata |= {name}' | kubectl -n nats apply -f -"
    )
    again = (
        "kubectl -n shop get secrets,configmaps -o json "
        "| vitrine keys --namespace shop --rotate | kubectl apply -f -"
    )
    restart = "kubectl -n shop rollout restart statefulset/vitrine-nats"
    objects, said = vitrine_keys()[0], []
    for _ in range(3):
        objects, notes = rotated(objects, "--force")
        said.append(notes)

    days = f"{OLD_KEYS_ACCEPTED.days} days"
    assert [copy in each for each in said] == [True, True, True]
    assert [restart in each for each in said] == [True, True, True]
    assert [again in each for each in said] == [True, True, False]
    assert [days in each for each in said] == [False, True, False]
    for each in (copy, again, restart):
        assert each.replace("shop", "vitrine").replace("| vitrine", "| .venv/bin/vitrine") in told
    assert days in told


def noted(objects: list[dict]) -> list[dict[str, str]]:
    """Annotations of what has any; only the server's Secret may."""
    found = [each["metadata"] for each in objects if "annotations" in each["metadata"]]
    assert {each["name"] for each in found} <= {"vitrine-nats-server"}
    return [each["annotations"] for each in found]


def backdated(objects: list[dict], since: timedelta) -> None:
    for annotations in noted(objects):
        annotations[USED_SINCE] = (datetime.now(UTC) - since).isoformat()


def test_the_last_step_is_refused_before_what_was_signed_with_the_old_keys_is_gone():
    first, _ = rotated(vitrine_keys()[0])
    second, _ = rotated(first)
    assert noted(first) == []
    (note,) = noted(second)
    assert datetime.now(UTC) - datetime.fromisoformat(note[USED_SINCE]) < timedelta(minutes=5)

    none, said = rotated(second)
    assert none == []
    assert said.startswith("too early: the new keys are in use since ")
    assert said.count("\n") == 1
    rights, _ = vitrine_keys("--rights", given=json.dumps({"items": second}))
    assert noted(rights) == [note], "applied, it must not take the note away"

    backdated(second, OLD_KEYS_ACCEPTED - timedelta(minutes=5))
    assert rotated(second)[0] == []
    backdated(second, OLD_KEYS_ACCEPTED + timedelta(minutes=5))
    last, said = rotated(second)
    assert "are forgotten." in said
    assert noted(last) == []

    for each in second:
        each["metadata"].pop("annotations", None)
    none, said = rotated(second)
    assert none == []
    assert said.startswith("nothing notes when the second step was taken")
    assert "--force" in said
    assert f"{OLD_KEYS_ACCEPTED.days} days" in said
    assert said.count("\n") == 1
    assert rotated(second, "--force")[0] != []


def test_what_a_certificate_is_old_does_not_stand_in_for_a_lost_note(monkeypatch):
    """The second step may come long after the first, which made the certificate."""
    objects, now = vitrine_keys()[0], datetime.now(UTC)
    here = installation.Installation("shop")
    given = argparse.Namespace(days=365, host=[], force=False)
    state = keys._read(io.StringIO(json.dumps({"items": objects})))
    for later in (timedelta(0), timedelta(days=9)):
        moment = now + later
        monkeypatch.setattr(keys.SystemClock, "now", lambda _, moment=moment: moment)
        state = keys._rotated(state, given, here)
    assert state.used_since == now + timedelta(days=9)
    moment += timedelta(minutes=1)

    with pytest.raises(keys.KeysError, match="nothing notes"):
        keys._rotated(keys.State(state.objects), given, here)
    with pytest.raises(keys.KeysError, match="too early"):
        keys._rotated(state, given, here)


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("2026-01-01T12:00:00", "vitrine/keys-used-since does not say in which zone: "),
        ("a while ago", "standard input is not what "),
    ],
)
def test_a_note_that_is_no_moment_is_refused_in_one_line(note, said):
    objects, _ = rotated(rotated(vitrine_keys()[0])[0])
    for annotations in noted(objects):
        annotations[USED_SINCE] = note

    for option in ("--rotate", "--rights"):
        none, why = vitrine_keys(option, given=json.dumps({"items": objects}))
        assert none == []
        assert why.startswith(said)
        assert why.count("\n") == 1


def test_another_release_and_other_secrets_have_their_names_in_it():
    options = ("--release", "bazaar", "--secret-prefix", "bazaar-nats-")
    objects, _ = vitrine_keys(*options)
    secrets = of_kind(objects, "Secret")

    assert {f"bazaar-nats-{user}" for user in (*USERS, "server")} <= set(secrets)
    assert not any(name.startswith("vitrine-nats") for name in secrets)
    certificate = x509.load_pem_x509_certificate(secrets["bazaar-nats-server"]["tls.crt"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "bazaar-vitrine-nats.shop.svc.cluster.local" in {str(each.value) for each in names}

    after, said = rotated(objects, *options)
    assert set(of_kind(after, "Secret")) == set(secrets)
    assert "get secret bazaar-nats-server -o json" in said
    assert "rollout restart statefulset/bazaar-vitrine-nats\n" in said
    again = "keys --namespace shop --release bazaar --secret-prefix bazaar-nats- --rotate |"
    assert again in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "standard input is not what `kubectl get secrets,configmaps -o json` prints\n"),
        ('{"items": []}', "there is no Secret vitrine-nats-gateway to rotate\n"),
    ],
)
def test_a_rotation_of_nothing_is_refused_in_one_line(given, said):
    assert vitrine_keys_alone("--rotate", given=given) == ([], said)
