"""From a video file to a clip in the workspace."""

from collections.abc import Callable
from pathlib import Path

from labeler.clip import KEY_FRAME_STRIDE, Clip, Scenario, check_clip_name, clip_name_from
from labeler.errors import LabelerError
from labeler.files import sha256_of
from labeler.video import extract_frames
from labeler.workspace import Workspace


def add_video(
    workspace: Workspace,
    path: Path,
    scenario: Scenario,
    *,
    name: str | None = None,
    stride: int = KEY_FRAME_STRIDE,
    progress: Callable[[int], None] | None = None,
) -> Clip:
    """Decode a video into a new clip: wholly, or leaving nothing behind.

    Args:
        workspace: where the clip goes.
        path: any video that FFmpeg reads.
        scenario: one of the seven of MVPS.
        name: the clip's name; by default the file's stem, made safe.
        stride: every how many frames there is a key frame, at least 1.
        progress: called with the number of frames written so far.

    Raises:
        LabelerError: the file is no usable video, or the source or the name is known already.
    """
    if not path.is_file():
        raise LabelerError(f"{path} is not a file; give the path of a video.")
    clip_name = check_clip_name(name or clip_name_from(path))
    digest = sha256_of(path)
    workspace.refuse_known(clip_name, digest)
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        video = extract_frames(path, folder / "frames", progress)
        clip = Clip(
            name=clip_name,
            scenario=scenario,
            frame_count=video.frame_count,
            fps=video.fps,
            width=video.width,
            height=video.height,
            source=path.name,
            sha256=digest,
            stride=stride,
        )
        workspace.add_clip(clip, folder)
    return clip
