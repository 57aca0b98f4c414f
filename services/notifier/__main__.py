"""`python -m services.notifier`."""

from __future__ import annotations

from services.notifier.app import build
from services.notifier.settings import Settings
from shared.service import serve

if __name__ == "__main__":
    settings = Settings()
    serve("notifier", lambda: build(settings), settings, settings.notifier_port)
