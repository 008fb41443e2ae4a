"""The service that Label Studio calls, and the status page for people."""

import hmac
import logging
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, abort, redirect, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from backend.credentials import SECRET_HEADER, Credentials
from backend.service.annotators_page import annotators_routes
from backend.service.clip_page import clip_routes, has_link
from backend.service.models_page import models_routes, network_of
from backend.service.our_page import changes_something, from_our_page, guarded
from backend.service.plugin import NO_MODEL, START_TRAINING, PortraitLabeler, Service
from backend.service.review_page import review_of, review_routes
from backend.service.telemetry import metrics_of
from backend.store.facts import MODEL_VERSION, STUDIO
from backend.store.inbox import EventState
from backend.store.jobs import Job, JobKind, QueueAwayError
from backend.studio.projects import task_links
from labeler.errors import LabelerError
from labeler.inspect.overview import overview
from labeler.review.priority import next_frames
from labeler.workspace.troubles import Troubles

SHOWN_JOBS = 12
SHOWN_EVENTS = 50


def status_of(service: Service) -> dict[str, Any]:
    """Return everything that the template of the status page needs; no secret is among it."""
    waiting, queue = Counter[str](), ""
    try:
        waiting.update(job.kind.value for job in service.queue.waiting())
    except QueueAwayError as error:
        queue = str(error)
    model = service.facts.get(MODEL_VERSION)
    studio = service.facts.get(STUDIO)
    return {
        "workspace": service.workspace.root.resolve().name,
        "model": NO_MODEL if model is None else model[0],
        "worker": service.facts.worker_alive,
        "studio": None if studio is None else studio[0],
        "clips": overview(service.workspace, judged=True),
        "next": next_frames(service.workspace),
        "review": review_of(service),
        "network": network_of(service),
        "waiting": waiting,
        "queue": queue,
        "jobs": service.log.latest(SHOWN_JOBS),
        "tasks": task_links(service.workspace),
        "asking": service.inbox.listed(EventState.ASKING, limit=SHOWN_EVENTS),
        "refused": service.inbox.listed(EventState.REFUSED, limit=SHOWN_EVENTS),
        "events": service.inbox.counted(),
        "troubles": Troubles(service.workspace.database).listed(),
        "now": datetime.now(UTC),
    }


logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 64 << 20
"""Enough for a hundred thousand tasks, or a noisy mask at 4K; larger requests are refused."""


def create_app(service: Service, credentials: Credentials) -> Flask:
    """Make the application. It never imports torch.

    Args:
        service: the workspace, its inbox and its queue.
        credentials: what callers must send: Label Studio's webhook the secret, everybody else
            user and password. The page of a clip opens by its secret link, too.
    """
    app = Flask("backend.service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    labeler = PortraitLabeler(service=service)

    @app.before_request
    def _authorize() -> Response | None:
        if not (_is_authorized(credentials) or has_link(service)):
            return _unauthorized()
        if changes_something() and not from_our_page():
            abort(HTTPStatus.FORBIDDEN, "Use the forms of the status page.")
        return None

    app.after_request(guarded)

    @app.errorhandler(LabelerError)
    @app.errorhandler(RecursionError)  # JSON nested a thousand deep
    def _refuse(error: Exception) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, HTTPStatus.BAD_REQUEST

    @app.errorhandler(HTTPException)
    def _fail(error: HTTPException) -> tuple[dict[str, str], int]:
        return {"error": error.description or error.name}, error.code or 500

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP", "model_class": type(labeler).__name__}

    @app.post("/setup")
    def setup() -> dict[str, str]:
        return {"model_version": labeler.live_version}

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        tasks = _json().get("tasks")
        if not isinstance(tasks, list):
            raise LabelerError("The request has no list of tasks; send it as Label Studio does.")
        return {"results": labeler.predict(tasks), "model_version": labeler.weights}

    @app.post("/webhook")
    def webhook() -> tuple[dict[str, Any], int]:
        payload = _json()
        kept = labeler.fit(payload)
        if not kept["events"]:
            logger.info("nothing to do for %.40r", payload.get("action"))
        return kept, HTTPStatus.OK

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(metrics_of(service), content_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def status() -> str:
        return render_template("status.html", **status_of(service))

    @app.post("/events/<int:number>/<any(confirm, dismiss):decision>")
    def decide(number: int, decision: str) -> AnyResponse:
        event = service.inbox.get(number)
        if event.state is EventState.ASKING:
            state = EventState.CONFIRMED if decision == "confirm" else EventState.DISMISSED
            service.inbox.settle(event, state, event.note)
            service.queue.ask(Job(JobKind.TAKE))
        return redirect("/", HTTPStatus.SEE_OTHER)

    app.register_blueprint(review_routes(service))
    app.register_blueprint(models_routes(service))
    app.register_blueprint(annotators_routes(service))
    app.register_blueprint(clip_routes(service))
    return app


def _json() -> dict[str, Any]:
    payload = request.get_json(silent=True)
    if not isinstance(payload, dict):
        raise LabelerError("The request is not a JSON object; send it as Label Studio does.")
    return payload


def _is_authorized(credentials: Credentials) -> bool:
    """Compare in constant time: user and password are both compared, even if the first differs.

    The webhook sends the secret. Start training comes to the same address, but with user and
    password.
    """
    if request.path == "/webhook" and SECRET_HEADER in request.headers:
        return _same(request.headers[SECRET_HEADER], credentials.webhook_secret)
    try:
        shown = request.authorization
    except ValueError:  # raised by Werkzeug for characters that the header must not have
        return False
    if shown is None or shown.type != "basic":
        return False
    user = _same(shown.username or "", credentials.user)
    password = _same(shown.password or "", credentials.password)
    return user & password and (request.path != "/webhook" or _starts_training())


def _starts_training() -> bool:
    payload = request.get_json(silent=True)
    return isinstance(payload, dict) and payload.get("action") == START_TRAINING


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _unauthorized() -> Response:
    return Response(
        "Send the backend's user and password, or the webhook's secret. A clip's page opens by the "
        "link in its tasks in Label Studio.\n",
        HTTPStatus.UNAUTHORIZED,
        {"WWW-Authenticate": 'Basic realm="mvps"'},
        content_type="text/plain",
    )
