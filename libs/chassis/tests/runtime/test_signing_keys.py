"""Key files: made, named, refused when they are not what they say, read again when they change."""

import shutil
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis import signing_keys
from chassis.signing_keys import KeyFileError, KeyFiles, SigningKey, new_key

TEXT = b"what is signed"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    signing_keys.ensure(tmp_path, ["billing", "vpn"])
    return tmp_path


def files(folder: Path) -> KeyFiles:
    private = signing_keys.private_file(folder, "billing")
    return KeyFiles("billing", private, signing_keys.verify_folder(folder))


def verifies(keys: KeyFiles, signing: SigningKey, party: str = "billing") -> bool:
    return keys.verifies(party, signing.id, signing.sign(TEXT), TEXT)


def test_keys_are_made_once_and_are_their_owners_alone(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    signing_keys.ensure(folder, ["billing", "vpn"])

    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert len(before) == 4
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    private = signing_keys.private_file(folder, "billing")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_others_read_the_files_as_we_do(folder: Path) -> None:
    file = signing_keys.private_file(folder, "billing")
    theirs = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(theirs, Ed25519PrivateKey)
    signing = files(folder).signing
    name = f"billing.{signing.id}.pub"
    public = (signing_keys.verify_folder(folder) / name).read_bytes()

    assert theirs.sign(TEXT) == signing.sign(TEXT)
    assert (
        theirs.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        == public
    )


def test_a_key_made_by_openssl_can_be_used(folder: Path) -> None:
    theirs = Ed25519PrivateKey.generate()
    pem = theirs.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signing_keys.private_file(folder, "billing").write_bytes(pem)

    signing = signing_keys.read_private(signing_keys.private_file(folder, "billing"))

    theirs.public_key().verify(signing.sign(TEXT), TEXT)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "\xff"])
def test_what_is_no_key_is_refused(folder: Path, text: str) -> None:
    signing_keys.private_file(folder, "billing").write_text(text, encoding="latin-1")

    with pytest.raises(KeyFileError, match=r"signing\.key"):
        files(folder)


def test_a_public_key_under_another_name_is_refused(folder: Path) -> None:
    verify = signing_keys.verify_folder(folder)
    one, other = sorted(verify.iterdir())
    shutil.copy(one, other)

    with pytest.raises(KeyFileError, match="holds the key"):
        files(folder)


def test_the_own_public_key_must_be_among_those_accepted(folder: Path) -> None:
    for file in signing_keys.verify_folder(folder).glob("billing.*"):
        file.unlink()

    with pytest.raises(KeyFileError, match="lacks billing"):
        files(folder)


def test_other_files_beside_the_keys_are_left_alone(folder: Path) -> None:
    verify = signing_keys.verify_folder(folder)
    (verify / "README.md").write_text("not a key")
    (verify / "..data").mkdir()

    assert len(files(folder).public) == 2


def test_keys_that_change_are_read_again(folder: Path) -> None:
    keys = files(folder)
    old = keys.signing
    new = new_key("billing")

    assert not keys.refresh()
    signing_keys.publish(signing_keys.verify_folder(folder), new)
    assert keys.refresh()
    assert keys.signing == old
    signing_keys.replace_private(signing_keys.private_file(folder, "billing"), new)
    assert keys.refresh()

    assert keys.signing.id == new.key_id
    assert verifies(keys, keys.signing)
    assert verifies(keys, old)


def test_a_private_key_is_used_once_its_public_half_is_accepted(folder: Path) -> None:
    keys = files(folder)
    old, new = keys.signing, new_key("billing")

    signing_keys.replace_private(signing_keys.private_file(folder, "billing"), new)
    keys.refresh()
    assert keys.signing == old
    signing_keys.publish(signing_keys.verify_folder(folder), new)
    keys.refresh()

    assert keys.signing.id == new.key_id


def test_files_that_are_gone_or_broken_change_nothing(folder: Path) -> None:
    keys = files(folder)
    before = keys.signing, keys.public

    signing_keys.private_file(folder, "billing").write_text("half a k")
    assert not keys.refresh()
    shutil.rmtree(signing_keys.verify_folder(folder))
    assert not keys.refresh()

    assert (keys.signing, keys.public) == before


def test_a_removed_key_is_accepted_no_longer(folder: Path) -> None:
    keys = files(folder)
    old = keys.signing
    signing_keys.write(folder, new_key("billing"))
    (signing_keys.verify_folder(folder) / f"billing.{old.id}.pub").unlink()

    keys.refresh()

    assert not keys.knows("billing", old.id)
    assert keys.knows("billing", keys.signing.id)


def test_a_mounted_secret_that_is_swapped_by_a_link_is_noticed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        signing_keys.ensure(each, ["billing"])
    shutil.copytree(first / "verify", second / "verify", dirs_exist_ok=True)
    mounted = tmp_path / "mounted"
    mounted.symlink_to(first)
    keys = files(mounted)
    old = keys.signing

    swap = tmp_path / "swap"
    swap.symlink_to(second)
    swap.replace(mounted)

    assert keys.refresh()
    assert keys.signing != old
    assert verifies(keys, old)
