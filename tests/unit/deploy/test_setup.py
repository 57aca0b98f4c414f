"""`make setup`: what it installs, and that it does nothing where that is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import setup


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A clone with a lock and a `.venv`; what pip was asked to do there."""
    calls: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> None:
        assert check
        calls.append(command)

    for name, path in {"LOCK": "requirements.lock", "VENV": ".venv", "STAMP": ".venv/installed-lock"}.items():
        monkeypatch.setattr(setup, name, tmp_path / path)
    setup.LOCK.write_text("one==1.0 --hash=sha256:00\n")
    for name in ("python", "pip"):
        program = setup.VENV / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o700)
    monkeypatch.setattr(subprocess, "run", run)
    return calls


class TestSetup:
    def test_the_lock_is_installed_with_every_hash_checked(self, made: list[list[str]]) -> None:
        assert setup.main() == 0
        ((python, *arguments),) = made
        assert python == str(setup.VENV / "bin" / "python")
        assert arguments[:3] == ["-m", "pip", "install"]
        assert arguments[-3:] == ["--require-hashes", "--requirement", str(setup.LOCK)]

    def test_a_second_time_nothing_is_done(self, made: list[list[str]]) -> None:
        assert (setup.main(), setup.main()) == (0, 0)
        assert len(made) == 1

    def test_another_lock_is_installed(self, made: list[list[str]]) -> None:
        setup.main()
        setup.LOCK.write_text("two==1.0 --hash=sha256:00\n")
        assert setup.main() == 0
        assert len(made) == 2

    def test_one_that_failed_is_tried_again(
        self, made: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:

            def fail(command: list[str], *, check: bool) -> None:
                raise subprocess.CalledProcessError(2, command)

            patch.setattr(subprocess, "run", fail)
            assert setup.main() == 2
        assert setup.main() == 0
        assert len(made) == 1

    def test_one_whose_python_is_gone_is_installed_anew(self, made: list[list[str]]) -> None:
        setup.main()
        (setup.VENV / "bin" / "python").unlink()
        assert setup.main() == 0
        assert len(made) == 2

    def test_an_old_python_is_told_what_is_needed(
        self, made: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))
        assert setup.main() == 1
        assert capsys.readouterr().err == "Python 3.11 or newer is needed\n"
        assert made == []
