"""What is wrong on this machine and in this workspace, and how to fix it."""

import shutil
from collections.abc import Callable
from importlib.metadata import distributions

from backend.check import Check, State
from backend.settings import Settings
from labeler.errors import LabelerError
from labeler.integrity import adopt_masks, faults, open_workspace
from labeler.workspace import Workspace

LOW_DISK_BYTES = 5 << 30
"""Five minutes of 1080p at 30 FPS take about 4 GB as JPEG of quality 95."""


def examine(settings: Settings, *, mend: bool = False, deep: bool = False) -> list[Check]:
    """Look at everything this tool stands on.

    Args:
        settings: the workspace, its database, and the device.
        mend: take mask files in that the database does not know.
        deep: also read every mask and compare it with its digest.
    """
    checks: list[Callable[[], list[Check]]] = [
        _video_libraries,
        _one_opencv,
        lambda: _device(settings),
        _weights,
        lambda: _disk(settings),
        lambda: _workspace(settings, mend, deep),
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
        return [Check("video", State.FAULT, f"no decoder for {', '.join(missing)}", fix)]
    return [Check("video", State.FINE, f"PyAV {av.__version__}, {versions}")]


def _one_opencv() -> list[Check]:
    installed = sorted(
        name
        for distribution in distributions()
        if (name := distribution.metadata["Name"] or "").startswith("opencv-")
    )
    if len(installed) > 1:
        found = f"{' and '.join(installed)} overwrite each other"
        fix = "pip uninstall every opencv-*, then install opencv-python-headless alone"
        return [Check("opencv", State.FAULT, found, fix)]
    return [Check("opencv", State.FINE, ", ".join(installed))]


def _device(settings: Settings) -> list[Check]:
    import torch

    from model.engines import find_device

    try:
        device = find_device(settings.device)
    except LabelerError as error:
        return [Check("device", State.FAULT, str(error), "set MVPS_DEVICE to auto")]
    if device.type == "cuda":
        found = f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
        return [Check("device", State.FINE, found)]
    found = f"{device.type}, torch {torch.__version__}"
    if settings.device == "auto":
        fix = "masks take longer; for a GPU, install a CUDA build of torch and NVIDIA's driver"
        return [Check("device", State.WARNING, found, fix)]
    return [Check("device", State.FINE, found)]


def _weights() -> list[Check]:
    from model.engines import load_segmenter

    try:
        _, card = load_segmenter(device="cpu")
    except LabelerError as error:
        return [Check("weights", State.FAULT, str(error), "reinstall mvps-labeler")]
    if not card.trained:
        fix = "masks will be noise; give trained weights with --model FOLDER"
        return [Check("weights", State.WARNING, f"{card.model_version} is untrained", fix)]
    return [Check("weights", State.FINE, f"{card.model_version}, {card.licence}")]


def _disk(settings: Settings) -> list[Check]:
    place = settings.workspace.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free below {settings.workspace}"
    if free < LOW_DISK_BYTES:
        return [Check("disk", State.FAULT, found, "make room, or choose another folder with -w")]
    return [Check("disk", State.FINE, found)]


def _workspace(settings: Settings, mend: bool, deep: bool) -> list[Check]:
    if not (settings.workspace / "clips").is_dir():
        fix = "add a video: mvps add VIDEO --scenario S"
        return [Check("workspace", State.WARNING, f"{settings.workspace} is not there yet", fix)]
    try:
        workspace, notices = open_workspace(settings.workspace, settings.database_url)
    except LabelerError as error:
        return [Check("workspace", State.FAULT, str(error), "see the message")]
    if mend:
        for clip in workspace.clips():
            notices += adopt_masks(workspace, clip)
    checks = [Check("workspace", State.WARNING, text, "nothing; it is mended") for text in notices]
    found = faults(workspace, deep=deep)
    clips = len(workspace.clips())
    workspace.close()
    checks += [Check("workspace", State.FAULT, fault, "see the message") for fault in found]
    return checks or [Check("workspace", State.FINE, f"{clips} clips, every row has its file")]


def _studio(settings: Settings) -> list[Check]:
    from backend.studio_doctor import examine_studio

    if not (settings.workspace / "clips").is_dir():
        return []
    workspace = Workspace(settings.workspace, settings.database_url)
    try:
        return examine_studio(settings, workspace)
    finally:
        workspace.close()
