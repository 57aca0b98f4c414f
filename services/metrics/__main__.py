"""`python -m services.metrics`: run the metrics service."""

from __future__ import annotations

from services.metrics.app import build
from services.metrics.settings import MetricsSettings
from shared.service import serve


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = MetricsSettings()
    serve("metrics", lambda: build(settings), settings, settings.metrics_port)


if __name__ == "__main__":
    main()
