"""What certificates say is read as cryptography reads it, in images that do not hold it."""

import subprocess
import sys
from datetime import timedelta

import pytest
from cryptography import x509

from chassis.authority import CLIENT, Authority
from chassis.certificates import end_of, read
from chassis.testing import FakeClock

DAY = timedelta(days=1)


@pytest.mark.parametrize("days", [1, 365, 10_000, 60_000])
def test_names_keys_and_ends_are_as_cryptography_reads_them(days):
    now = FakeClock().now()
    authority = Authority.new("ours", now, days * DAY)
    issued = authority.issue("billing", ("billing", "a" * 200), [CLIENT], now, days * DAY)
    bundle = issued.certificate + b"and words between\n" + authority.certificate

    leaf, root = read(bundle)

    for found, pem in ((leaf, issued.certificate), (root, authority.certificate)):
        known = x509.load_pem_x509_certificate(pem)
        assert found.ends_at == known.not_valid_after_utc
        assert found.subject != b""
    own = x509.load_pem_x509_certificate(authority.certificate).extensions
    key = own.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert root.key == leaf.issuer_key == key
    assert leaf.issuer == root.subject
    assert leaf.issued_by(root)


def test_a_new_authority_of_the_same_name_is_not_taken_for_the_old_one():
    now = FakeClock().now()
    old, new = (Authority.new("ours", now, days * DAY) for days in (400, 900))
    leaf = new.issue("billing", ("billing",), [CLIENT], now, 800 * DAY).certificate

    assert end_of(leaf, old.certificate + new.certificate) == read(leaf)[0].ends_at


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nM\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read(text)


def test_the_watch_needs_no_cryptography(tmp_path):
    """Images of gateway, billing, generator and scheduler do not hold it."""
    now = FakeClock().now()
    authority = Authority.new("ours", now, 400 * DAY)
    issued = authority.issue("billing", ("billing",), [CLIENT], now, 300 * DAY)
    (tmp_path / "tls.crt").write_bytes(issued.certificate)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    program = (
        "import asyncio, sys\n"
        "sys.modules['cryptography'] = None\n"
        "from chassis.certificate_watch import CertificateWatch\n"
        "from chassis.identity import Identity\n"
        "from chassis.testing import FakeClock\n"
        "import pathlib\n"
        "ours = Identity.in_folder(pathlib.Path(sys.argv[1]), 'billing')\n"
        "watch = CertificateWatch(ours, FakeClock())\n"
        "asyncio.run(watch.look())\n"
        "print(round(watch.days_left))\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert said.stdout == "300\n", said.stderr
