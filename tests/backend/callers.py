"""The service as a Flask application, and what those who call it show."""

from base64 import b64encode

import numpy as np
from flask import Flask

from backend.credentials import SECRET_HEADER, Credentials
from backend.service.plugin import Service
from backend.service.server import create_app
from labeler.clip import Clip
from labeler.mask import Mask
from labeler.revision import Revision
from labeler.workspace.workspace import Workspace
from tests.workspaces import SIZE, square

SECRETS = Credentials("mvps", "the-password", "the-webhook-secret")
HOOK = {SECRET_HEADER: SECRETS.webhook_secret}
EMPTY = np.zeros(SIZE, bool)


def basic(user: str = SECRETS.user, password: str = SECRETS.password) -> dict[str, str]:
    """What a browser sends with a form of our own page."""
    shown = b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {shown}", "Origin": "http://localhost"}


def made_app(service: Service) -> Flask:
    app = create_app(service, SECRETS)
    app.testing = True  # what nobody foresaw is raised here, where it would be a 500
    return app


def predict(
    workspace: Workspace, clip: Clip, frame: int, mask: Mask | None = None
) -> Revision | None:
    """Record a prediction, of the frame's own square where nothing else is given."""
    return workspace.record_prediction(
        clip,
        frame,
        square(frame) if mask is None else mask,
        model_version="net-1.0.0+1",
        references="r",
        uncertainty=0.25,
    )
