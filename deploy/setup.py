"""Makes `.venv` and installs what `requirements.lock` names into it: `python3 -m deploy.setup`.

Each file is checked against the lock's hashes. Does nothing where this very lock is installed already. Needs nothing
but Python's standard library.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "installed-lock"
LEAST_PYTHON = (3, 11)


def installed(digest: str) -> bool:
    """Whether the lock of that digest is what `.venv` holds, and its Python can still be run."""
    python = VENV / "bin" / "python"
    return STAMP.is_file() and STAMP.read_text() == digest and os.access(python, os.X_OK)


def install() -> None:
    """Make `.venv` where it is not there, and install the lock.

    Raises:
        subprocess.CalledProcessError: pip failed, and said why.
    """
    STAMP.unlink(missing_ok=True)
    if not (VENV / "bin" / "pip").is_file():
        venv.create(VENV, with_pip=True, clear=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], check=True)  # noqa: S603


def main() -> int:
    """Set up where needed; the exit status."""
    if sys.version_info < LEAST_PYTHON:
        print(f"Python {'.'.join(map(str, LEAST_PYTHON))} or newer is needed", file=sys.stderr)
        return 1
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if installed(digest):
        return 0
    print(f"installing {LOCK.name} into {VENV.name} (once)", file=sys.stderr, flush=True)
    try:
        install()
    except subprocess.CalledProcessError as error:
        return error.returncode or 1
    STAMP.write_text(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
