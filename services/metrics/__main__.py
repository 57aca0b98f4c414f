"""`python -m services.metrics`: run the metrics service; with `rebuild`, `verify` or `forget`, see `rebuild`."""

from __future__ import annotations

import sys

from services.metrics import rebuild
from services.metrics.app import build
from services.metrics.settings import MetricsSettings
from shared.service import serve


def main() -> None:
    """Serve until SIGINT or SIGTERM, or run a command."""
    if len(sys.argv) > 1:
        raise SystemExit(rebuild.run(sys.argv[1:]))
    settings = MetricsSettings()
    serve("metrics", lambda: build(settings), settings, settings.metrics_port)


if __name__ == "__main__":
    main()
