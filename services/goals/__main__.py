"""`python -m services.goals`"""

from services.goals.app import build
from services.goals.settings import GoalsSettings
from shared.service import serve

if __name__ == "__main__":
    settings = GoalsSettings()
    serve("goals", lambda: build(settings), settings, settings.goals_port)
