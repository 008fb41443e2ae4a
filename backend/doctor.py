"""The checks of `mvps doctor`: this machine, the workspace and Label Studio."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import distributions
from typing import Any

import httpx

from backend.credentials import SECRET_HEADER, Credentials, credentials
from backend.settings import Settings
from backend.store.facts import WORKER_ALIVE, Facts
from backend.store.inbox import DELETED, SUBMITTED
from backend.studio.client import Studio
from backend.studio.exposure import exposed_files, is_signup_open
from backend.studio.projects import Role, connected_projects
from labeler.errors import LabelerError
from labeler.workspace.integrity import adopt_masks, faults, open_workspace
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace
from model.registry import ModelRegistry


class Health(StrEnum):
    """What a check found."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what was found, and how to fix it if it is not fine."""

    name: str
    state: Health
    found: str
    fix: str = ""


LOW_DISK_BYTES = 5 << 30
"""Less free space is a fault: five minutes of 1080p at 30 FPS take about 4 GB as JPEG at 95."""


def examine(settings: Settings, *, mend: bool = False, deep: bool = False) -> list[Check]:
    """Check everything that this tool needs to work.

    Args:
        settings: the workspace, its database, and the device.
        mend: record mask files that the database does not know.
        deep: also read every mask and compare it with its digest.
    """
    checks: list[Callable[[], list[Check]]] = [
        _video_libraries,
        _one_opencv,
        lambda: _device(settings),
        _weights,
        lambda: _disk(settings),
        lambda: _workspace(settings, mend, deep),
        lambda: _files_of_others(settings),
        lambda: _registry(settings),
        lambda: _studio(settings),
    ]
    return [check for look in checks for check in look()]


def _video_libraries() -> list[Check]:
    import av

    versions = ", ".join(
        f"{name} {'.'.join(map(str, number))}"
        for name, number in sorted(av.library_versions.items())
        if name in {"libavcodec", "libavformat"}
    )
    missing = [codec for codec in ("h264", "hevc", "vp9") if codec not in av.codecs_available]
    if missing:
        fix = "install PyAV's own build: pip install --force-reinstall --only-binary :all: av"
        return [Check("video", Health.FAULT, f"no decoder for {', '.join(missing)}", fix)]
    return [Check("video", Health.FINE, f"PyAV {av.__version__}, {versions}")]


def _one_opencv() -> list[Check]:
    installed = sorted(
        name
        for distribution in distributions()
        if (name := distribution.metadata["Name"] or "").startswith("opencv-")
    )
    if len(installed) > 1:
        found = f"{' and '.join(installed)} overwrite each other"
        fix = "pip uninstall every opencv-*, then install opencv-python-headless alone"
        return [Check("opencv", Health.FAULT, found, fix)]
    return [Check("opencv", Health.FINE, ", ".join(installed))]


def _device(settings: Settings) -> list[Check]:
    import torch

    from model.loading import find_device

    try:
        device = find_device(settings.device)
    except LabelerError as error:
        return [Check("device", Health.FAULT, str(error), "set MVPS_DEVICE to auto")]
    if device.type == "cuda":
        found = f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
        return [Check("device", Health.FINE, found)]
    found = f"{device.type}, torch {torch.__version__}"
    if settings.device == "auto":
        fix = "masks take longer; for a GPU, install a CUDA build of torch and NVIDIA's driver"
        return [Check("device", Health.WARNING, found, fix)]
    return [Check("device", Health.FINE, found)]


def _weights() -> list[Check]:
    from model.loading import load_segmenter

    try:
        _, card = load_segmenter(device="cpu")
    except LabelerError as error:
        return [Check("weights", Health.FAULT, str(error), "reinstall mvps-labeler")]
    if not card.trained:
        fix = "masks will be noise; give trained weights with --model FOLDER"
        return [Check("weights", Health.WARNING, f"{card.model_version} is untrained", fix)]
    return [Check("weights", Health.FINE, f"{card.model_version}, {card.licence}")]


def _disk(settings: Settings) -> list[Check]:
    place = settings.workspace.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free below {settings.workspace}"
    if free < LOW_DISK_BYTES:
        return [
            Check("disk", Health.FAULT, found, "free some space, or choose another folder with -w")
        ]
    return [Check("disk", Health.FINE, found)]


def _workspace(settings: Settings, mend: bool, deep: bool) -> list[Check]:
    if not (settings.workspace / "clips").is_dir():
        fix = "add a video: mvps add VIDEO --scenario S"
        return [Check("workspace", Health.WARNING, f"{settings.workspace} does not exist yet", fix)]
    try:
        workspace, notices = open_workspace(settings.workspace, settings.database_url)
    except LabelerError as error:
        return [Check("workspace", Health.FAULT, str(error), "see the message")]
    if mend:
        for clip in workspace.clips():
            notices += adopt_masks(workspace, clip)
    troubles = Troubles(workspace.database).listed()
    told = {each.sentence for each in troubles}
    checks = [
        Check("workspace", Health.WARNING, text, "nothing: it is repaired")
        for text in notices
        if text not in told
    ]
    checks += [
        Check(
            each.work, Health.FAULT, f"{each.item}: {each.reason}", each.cure or "see the message"
        )
        for each in troubles
    ]
    found = faults(workspace, deep=deep)
    clips = len(workspace.clips())
    workspace.close()
    checks += [Check("workspace", Health.FAULT, fault, "see the message") for fault in found]
    return checks or [Check("workspace", Health.FINE, f"{clips} clips, every row has its file")]


def _registry(settings: Settings) -> list[Check]:
    found = ModelRegistry(settings.workspace / "models").faults()
    return [Check("models", Health.FAULT, fault, "see the message") for fault in found]


def _files_of_others(settings: Settings) -> list[Check]:
    root = settings.document_root or settings.workspace
    return [
        Check("secrets", Health.FAULT, found, fix)
        for found, fix in exposed_files(settings.workspace, root)
    ]


def _studio(settings: Settings) -> list[Check]:
    if not (settings.workspace / "clips").is_dir():
        return []
    workspace = Workspace(settings.workspace, settings.database_url)
    try:
        return examine_studio(settings, workspace)
    finally:
        workspace.close()


CONNECT = "run `mvps studio connect`"
SECONDS = 5.0


def examine_studio(settings: Settings, workspace: Workspace) -> list[Check]:
    """Check everything that labeling in Label Studio needs.

    A check is skipped if one that it depends on has failed.
    """
    if not settings.studio_key:
        found = "not in use: LABEL_STUDIO_API_KEY is not set"
        return [Check("studio", Health.FINE, found)]
    return list(_checks(settings, workspace))


def _checks(settings: Settings, workspace: Workspace) -> Iterator[Check]:
    known = credentials(settings)
    yield _service(settings.backend_url.rstrip("/"), known)
    yield _worker(workspace)
    try:
        studio = Studio(settings.studio_url.rstrip("/"), settings.studio_key)
        user = studio.whoami()
    except LabelerError as error:
        yield Check("studio", Health.FAULT, str(error), "see the message")
        return
    yield Check("studio", Health.FINE, f"{studio.url}, as {user}")
    if is_signup_open(studio.url):
        fix = "start Label Studio with LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true"
        found = f"anybody who reaches {studio.url} can sign up and see all projects"
        yield Check("sign-up", Health.FAULT, found, fix)
    projects = connected_projects(workspace, studio.url)
    project = projects.get(Role.LABELING)
    if project is None:
        yield Check("project", Health.FAULT, "the workspace has no project there", CONNECT)
        return
    looks: list[Callable[[], Check]] = [
        lambda: _files(studio, project),
        lambda: _backend(studio, project, settings.backend_url.rstrip("/")),
        lambda: _webhooks(studio, projects, settings.backend_url.rstrip("/"), known),
    ]
    for look in looks:
        try:
            yield look()
        except LabelerError as error:
            yield Check("project", Health.FAULT, str(error), "see the message")


def _service(url: str, known: Credentials) -> Check:
    fix = "start `mvps serve`, or set MVPS_BACKEND_URL to its address"
    try:
        answer = httpx.get(f"{url}/health", auth=(known.user, known.password), timeout=SECONDS)
    except httpx.HTTPError as error:
        return Check("service", Health.FAULT, f"{url} does not answer ({error})", fix)
    if answer.status_code == 401:
        fix = "give the service and this command the same BASIC_AUTH_USER and BASIC_AUTH_PASS"
        return Check("service", Health.FAULT, f"{url} refuses our user and password", fix)
    if answer.status_code != 200:
        return Check("service", Health.FAULT, f"{url} answers HTTP {answer.status_code}", fix)
    return Check("service", Health.FINE, url)


def _worker(workspace: Workspace) -> Check:
    facts = Facts(workspace.database)
    if not facts.worker_alive:
        heard = facts.get(WORKER_ALIVE)
        since = "yet" if heard is None else f"since {heard[1]:%Y-%m-%d %H:%M:%S} UTC"
        return Check("worker", Health.FAULT, f"not heard of {since}", "start `mvps worker`")
    return Check("worker", Health.FINE, "at work")


def _files(studio: Studio, project: int) -> Check:
    """Check whether Label Studio can serve the picture of a task."""
    task = next(studio.tasks(project), None)
    if task is None:
        return Check("files", Health.WARNING, "the project has no tasks", CONNECT)
    path = str(task.data.get("image"))
    status, kind = studio.file_status(path)
    if status == 200 and kind.startswith("image/"):
        return Check("files", Health.FINE, f"Label Studio serves {path}")
    return Check(
        "files",
        Health.FAULT,
        f"Label Studio answers HTTP {status} for {path}",
        "start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to a folder that holds the workspace, set "
        f"the same DOCUMENT_ROOT here, and {CONNECT}",
    )


def _backend(studio: Studio, project: int, url: str) -> Check:
    backends: list[Any] = studio.call(studio.client.ml.list, project=project)
    ours = next((each for each in backends if each.url == url), None)
    if ours is None:
        return Check("backend", Health.FAULT, f"the project has no backend {url}", CONNECT)
    if ours.state == "CO":
        return Check("backend", Health.FINE, f"Label Studio reaches {url}")
    return Check(
        "backend",
        Health.FAULT,
        f"Label Studio cannot reach {url}: {ours.error_message or ours.readable_state}",
        "if that address is private or on this machine, let Label Studio reach it by "
        f"USER_ADDITIONAL_BANNED_SUBNETS, as docs/installing.md says; then {CONNECT}",
    )


def _webhooks(studio: Studio, projects: dict[Role, int], url: str, known: Credentials) -> Check:
    """Check the webhook of each project; return the first fault, or that all are fine."""
    found = [_webhook(studio, project, url, known) for project in projects.values()]
    return next((each for each in found if each.state is Health.FAULT), found[0])


def _webhook(studio: Studio, project: int, url: str, known: Credentials) -> Check:
    listed: list[Any] = studio.call(studio.client.webhooks.list, project=str(project))
    ours = [each for each in listed if each.url == f"{url}/webhook"]
    if len(ours) != 1:
        found = f"the project has {len(ours)} webhooks to {url}/webhook, not 1"
        return Check("webhook", Health.FAULT, found, CONNECT)
    [hook] = ours
    if (hook.headers or {}).get(SECRET_HEADER) != known.webhook_secret:
        found = "the webhook does not send our secret, so submissions would be refused"
        return Check("webhook", Health.FAULT, found, CONNECT)
    if set(hook.actions or []) != {*SUBMITTED, DELETED} or not hook.is_active:
        found = "the webhook does not report submissions and deletions"
        return Check("webhook", Health.FAULT, found, CONNECT)
    return Check("webhook", Health.FINE, "reports submissions and deletions")
