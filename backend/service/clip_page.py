"""The page of a clip: its frames are played with their masks. It changes nothing."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import (
    Blueprint,
    Response,
    abort,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from backend.page_links import page_key, page_token
from backend.service.clip_pictures import mask_picture, reduced_frame, reduction
from backend.service.plugin import Service
from backend.service.task_pictures import TaskPicture, both_masks_picture, neighbours_picture
from backend.studio.projects import task_links
from labeler.clip import Clip, frame_name
from labeler.review.standing import Stage, Standing, standing
from labeler.workspace.workspace import Workspace

COOKIE = "mvps-clip"
"""Holds the token of a secret link, for the pages and pictures of one clip."""

NAME = "clip"
"""The name of the blueprint; all of its routes are below `/clips/<clip_name>`."""

STATIC = Path(__file__).parent / "static"

A_DAY = 24 * 3600

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""What its answers say in place of `our_page.HEADERS`, which add the rest: it has a script."""

LEGEND = {
    Stage.MISSING: "no mask yet",
    Stage.PREDICTED: "predicted, nobody has looked",
    Stage.UNCHECKED: "masked by a person, not checked",
    Stage.CONFLICT: "two people disagree",
    Stage.ACCEPTED: "accepted",
}


@dataclass(frozen=True)
class KeyFrame:
    """A key frame on the page.

    `mask` is the path of its mask below the page, and `task` the address of its task in Label
    Studio; "" if there is none. `area` is the mask's share of the frame. `said` is a sentence on
    where the mask comes from.
    """

    frame: int
    stage: Stage
    mask: str
    area: float
    uncertainty: float | None
    said: str
    task: str


def has_link(service: Service) -> bool:
    """Whether the request comes by the secret link of the clip that it asks for."""
    name = (request.view_args or {}).get("clip_name")
    if request.blueprint != NAME or not isinstance(name, str):
        return False
    wanted = page_token(page_key(service.workspace.root), name).encode()
    shown = (request.args.get("key", ""), request.cookies.get(COOKIE, ""))
    return any(hmac.compare_digest(each.encode(errors="replace"), wanted) for each in shown)


def clip_routes(service: Service) -> Blueprint:
    """Return the routes of the page and of its pictures; all of them only read."""
    routes = Blueprint(NAME, __name__, url_prefix="/clips/<clip_name>")
    workspace = service.workspace

    @routes.after_request
    def _guard(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @routes.get("")
    def page(clip_name: str) -> AnyResponse:
        clip = workspace.clip(clip_name)
        for name, make in TASK_PICTURES.items():
            if name in request.args:
                return _task_picture(workspace, clip, request.args[name], make)
        if "key" in request.args:
            return _with_cookie(clip.name)
        frames = key_frames(workspace, clip, task_links(workspace))
        shown = render_template("clip.html", **_page_of(clip, frames))
        response = Response(shown, headers={"Cache-Control": "private, no-cache"})
        response.set_etag(_version(frames))
        return response.make_conditional(request)

    @routes.get("/<any('clip.css', 'clip.js'):file>")
    def style_or_script(clip_name: str, file: str) -> AnyResponse:
        kind = "text/css" if file.endswith(".css") else "text/javascript"
        found = Response((STATIC / file).read_bytes(), content_type=f"{kind}; charset=utf-8")
        found.add_etag()
        found.headers["Cache-Control"] = "private, no-cache"
        return found.make_conditional(request)

    @routes.get("/frames/<int:frame>.jpg")
    def frame_picture(clip_name: str, frame: int) -> Response:
        clip = workspace.clip(clip_name)
        if frame >= clip.frame_count:
            abort(HTTPStatus.NOT_FOUND, f"{clip.name} has no frame {frame}.")
        path = workspace.frames(clip).folder / f"{frame_name(frame)}.jpg"
        by = 1 if "whole" in request.args else reduction(clip)
        if by == 1 and path.is_file():
            return _picture(path.read_bytes(), "image/jpeg")
        return _picture(reduced_frame(path, by), "image/jpeg")

    @routes.get("/masks/<int:frame>/<int:number>.png")
    def mask(clip_name: str, frame: int, number: int) -> Response:
        clip = workspace.clip(clip_name)
        found = [each for each in workspace.revisions(clip, frame) if each.number == number]
        if not found:
            abort(HTTPStatus.NOT_FOUND, f"{clip.name} frame {frame} has no mask {number}.")
        by = 1 if "whole" in request.args else reduction(clip)
        return _picture(mask_picture(workspace.read(found[0]), by), "image/png")

    return routes


def key_frames(
    workspace: Workspace, clip: Clip, tasks: Mapping[tuple[str, int], str]
) -> list[KeyFrame]:
    """Return what the page shows of each key frame.

    Args:
        workspace: where the clip is.
        clip: the clip.
        tasks: the addresses of tasks, by clip and frame.
    """
    revisions = workspace.revisions_by_frame(clip)
    found = []
    for index in clip.key_frames:
        now = standing(revisions.get(index, []))
        counts = now.first
        found.append(
            KeyFrame(
                frame=index,
                stage=now.stage,
                mask="" if counts is None else f"masks/{index}/{counts.number}.png",
                area=0.0 if counts is None else counts.area / (clip.width * clip.height),
                uncertainty=None if counts is None else counts.uncertainty,
                said=_said(now),
                task=tasks.get((clip.name, index), ""),
            )
        )
    return found


def _said(now: Standing) -> str:
    """Say where a key frame's mask comes from, and what it waits for."""
    first, second = now.first, now.second
    if first is None:
        return LEGEND[Stage.MISSING]
    if now.stage is Stage.PREDICTED:
        return f"predicted by {first.model_version}; nobody has looked at it"
    if now.stage is Stage.ACCEPTED:
        return "accepted" + (f" ({first.author})" if first.author else "")
    made = f"{first.provenance.name.lower()} by {first.author}"
    if now.stage is Stage.CONFLICT and second is not None:
        reason = f": {second.reason}" if second.reason else ""
        return f"{made}; {second.author} disagrees{reason}"
    return f"{made}; nobody has checked it"


def _page_of(clip: Clip, frames: list[KeyFrame]) -> dict[str, Any]:
    """Return what the template needs."""
    data = {
        "page": url_for(f"{NAME}.page", clip_name=clip.name),
        "frames": clip.frame_count,
        "rate": float(clip.fps),
        "stride": clip.stride,
        "cuts": list(clip.cuts or ()),
        "width": clip.width,
        "height": clip.height,
        "reduced": reduction(clip) > 1,
        "keys": [asdict(each) for each in frames],
        "version": _version(frames),
    }
    return {
        "clip": clip,
        "keys": frames,
        "data": data,
        "counts": {stage: sum(each.stage is stage for each in frames) for stage in LEGEND},
        "legend": LEGEND,
        "largest": max((each.area for each in frames), default=0) or 1,
    }


def _version(frames: list[KeyFrame]) -> str:
    """Return a text that changes whenever the page does."""
    said = json.dumps([asdict(each) for each in frames])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _with_cookie(clip_name: str) -> AnyResponse:
    """Take the secret out of the address: it goes on in a cookie that only this page sees."""
    clean = url_for(f"{NAME}.page", clip_name=clip_name)
    response = redirect(clean, HTTPStatus.SEE_OTHER)
    response.set_cookie(
        COOKIE,
        request.args["key"],
        path=f"/clips/{quote(clip_name, safe='')}",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _task_picture(
    workspace: Workspace, clip: Clip, said: str, make: Callable[..., TaskPicture]
) -> AnyResponse:
    """Return a picture of a key frame, as its task shows it; never an outdated one.

    A task holds the secret link and can add only more of the query to it, so this has no path of
    its own. Label Studio's page, another site, has no cookie of ours.
    """
    if not said.isdecimal() or len(said) > 9:
        abort(HTTPStatus.NOT_FOUND, f"{clip.name} has no such frame.")
    picture = make(clip, int(said), workspace.revisions_by_frame(clip), workspace)
    version = hashlib.sha256(json.dumps([said, picture.shows]).encode()).hexdigest()[:32]
    response = Response(content_type="image/jpeg", headers={"Cache-Control": "private, no-cache"})
    if "key" in request.args:
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.set_etag(version)
    if version not in request.if_none_match:
        response.set_data(picture.draw())
    return response.make_conditional(request)


TASK_PICTURES = {"beside": neighbours_picture, "conflict": both_masks_picture}
"""The pictures that a task can show, by the words that its address adds to the secret link."""


def _picture(data: bytes, kind: str) -> Response:
    """Return a picture for the browser to keep: what is under its address never changes."""
    headers = {"Cache-Control": f"private, max-age={A_DAY}, immutable"}
    return Response(data, content_type=kind, headers=headers)
