"""The status page's part on the cross-check: what waits, conflicts, a third person's decision."""

from http import HTTPStatus
from typing import Any

import cv2
from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from backend.service.plugin import Service
from backend.store.jobs import Job, JobKind
from labeler.inspect.preview import conflict_picture
from labeler.review.crosscheck import Preferred, decide
from labeler.review.report import review_report
from labeler.review.standing import Stage, standing

SHOWN_CONFLICTS = 12


def review_of(service: Service) -> dict[str, Any]:
    """Return what the status page shows of the cross-check."""
    report = review_report(service.workspace)
    conflicts = report.at(Stage.CONFLICT)
    waiting: dict[tuple[str, str], int] = {}
    for each in report.at(Stage.UNCHECKED):
        waiting[each.clip, each.first] = waiting.get((each.clip, each.first), 0) + 1
    return {
        "conflicts": conflicts[:SHOWN_CONFLICTS],
        "all_conflicts": len(conflicts),
        "unchecked": [
            {"clip": clip, "first": first, "frames": count}
            for (clip, first), count in waiting.items()
        ],
        "accepted": len(report.at(Stage.ACCEPTED)),
        "by_clip": report.by_clip,
        "by_pair": report.by_pair,
        "audit": report.audit,
        "faults": report.faults,
        "conflicts_by_clip": {
            name: sum(each.clip == name for each in conflicts)
            for name in {each.clip for each in conflicts}
        },
    }


def review_routes(service: Service) -> Blueprint:
    """Return the routes of the pictures and decisions for a third person."""
    routes = Blueprint("review", __name__)

    @routes.get("/conflicts/<clip_name>/<int:frame>.jpg")
    def picture(clip_name: str, frame: int) -> Response:
        clip = service.workspace.clip(clip_name)
        found = standing(service.workspace.revisions(clip, frame))
        if found.stage is not Stage.CONFLICT or found.first is None or found.second is None:
            abort(HTTPStatus.NOT_FOUND, "That frame is in no conflict; reload the page.")
        masks = [service.workspace.read(each) for each in (found.first, found.second)]
        drawn = conflict_picture(service.workspace.frames(clip)[frame], *masks)
        encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        return Response(encoded.tobytes(), mimetype="image/jpeg")

    @routes.post("/conflicts/<clip_name>/<int:frame>")
    def verdict(clip_name: str, frame: int) -> AnyResponse:
        person = request.form.get("person", "").strip()[:200]
        said = request.form.get("verdict", "")
        if not person or said not in set(Preferred):
            abort(HTTPStatus.BAD_REQUEST, "Say who you are, and whose mask is right.")
        clip = service.workspace.clip(clip_name)
        reason = request.form.get("reason", "").strip()[:1000]
        decide(service.workspace, clip, frame, person, Preferred(said), reason)
        service.queue.ask(Job(JobKind.REFRESH, clip.name))
        return redirect("/#conflicts", HTTPStatus.SEE_OTHER)

    return routes
