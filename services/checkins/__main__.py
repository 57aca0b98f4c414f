"""`python -m services.checkins`."""

from services.checkins.app import build
from services.checkins.settings import CheckinsSettings
from shared.service import serve

if __name__ == "__main__":
    settings = CheckinsSettings()
    serve("checkins", lambda: build(settings), settings, settings.checkins_port)
