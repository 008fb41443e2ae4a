"""The status page's part on weights: the champion, the retraining, and the buttons for both."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort, redirect
from werkzeug.wrappers import Response as AnyResponse

from backend.service.plugin import Service
from backend.store.jobs import Job, JobKind
from backend.work.training_runs import is_running, last_run, runs
from model.registry import ModelRegistry


def network_of(service: Service) -> dict[str, Any]:
    """Return what the status page shows of the weights and of the last retraining."""
    root = service.workspace.root
    registry = ModelRegistry(root / "models")
    run = last_run(root)
    return {
        "champion": registry.champion,
        "can_roll_back": registry.can_roll_back,
        "models": registry.cards(),
        "running": run is not None and is_running(root),
        "run": run,
        "state": None if run is None else run.state,
        "report": run is not None and run.report.exists(),
    }


def models_routes(service: Service) -> Blueprint:
    """Return the routes of the buttons and of the reports."""
    routes = Blueprint("models", __name__)
    root = service.workspace.root
    registry = ModelRegistry(root / "models")

    @routes.post("/models/<version>/promote")
    def promote(version: str) -> AnyResponse:
        registry.promote(version, "promoted on the status page")
        return _reconciled()

    @routes.post("/models/rollback")
    def rollback() -> AnyResponse:
        registry.rollback("rolled back on the status page")
        return _reconciled()

    @routes.post("/retraining/start")
    def start() -> AnyResponse:
        service.queue.ask(Job(JobKind.TRAIN))
        return redirect("/", HTTPStatus.SEE_OTHER)

    @routes.post("/retraining/stop")
    def stop() -> AnyResponse:
        if (run := last_run(root)) is not None:
            run.stop()
        return redirect("/", HTTPStatus.SEE_OTHER)

    @routes.get("/retraining/<name>/report")
    def report(name: str) -> Response:
        found = [run for run in runs(root) if run.name == name and run.report.exists()]
        if not found:
            abort(HTTPStatus.NOT_FOUND, "There is no such report.")
        return Response(found[0].report.read_bytes(), content_type="text/html; charset=utf-8")

    def _reconciled() -> AnyResponse:
        """Let the worker take up the other champion."""
        service.queue.ask(Job(JobKind.RECONCILE))
        return redirect("/", HTTPStatus.SEE_OTHER)

    return routes
