"""Everything that can be told without running the product: `python -m deploy.check`. Warnings are errors."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

CHECKS = {
    "lint": (str(BIN / "ruff"), "check", "--quiet"),
    "format": (str(BIN / "ruff"), "format", "--check", "--quiet"),
    "imports": (str(BIN / "lint-imports"), "--no-logo"),
    "schemas": (sys.executable, "-m", "shared.events.export", "--check"),
    "runtime": (sys.executable, "-m", "deploy.runtime", "--check"),
    "types": (str(BIN / "mypy"),),
}


def main() -> int:
    """Run all checks, whatever the earlier ones said; 0 when all hold."""
    failed = []
    for name, command in CHECKS.items():
        begun = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
        holds = done.returncode == 0
        print(f"{name:8} {'holds' if holds else 'FAILS'} ({time.monotonic() - begun:.1f} s)", flush=True)
        if not holds:
            failed.append(name)
            print(done.stdout + done.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
