"""The commands to begin with: `demo` and `doctor`."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import typer
from skimage.data import astronaut

from backend.cli.collect import add_clip
from backend.cli.dataset import export_dataset
from backend.cli.labeling import say_refresh
from backend.cli.options import Device, Json, Model, load, opened
from backend.cli.stack import running
from backend.credentials import FILE
from backend.doctor import Health, examine
from backend.page_links import page_key, page_path
from backend.settings import Settings
from backend.studio.running import claimed, with_running
from backend.work.preannotate import refresh
from labeler.clip import Clip, Image, Scenario
from labeler.console import note, out, progress, say, say_json
from labeler.inspect.preview import write_preview
from labeler.publish.validate import validate
from labeler.revision import Provenance


def demo(
    context: typer.Context,
    video: Annotated[Path | None, typer.Argument(metavar="[VIDEO]", show_default=False)] = None,
    scenario: Annotated[
        Scenario, typer.Option(help="Scenario of the video.")
    ] = Scenario.ENTERTAINMENT,
    model: Model = None,
    device: Device = None,
    with_studio: Annotated[
        bool, typer.Option("--studio/--no-studio", help="Start Label Studio at the end.")
    ] = True,
) -> None:
    """Turn a video into masks, a page and a dataset, and start Label Studio to correct them.

    Without VIDEO, a clip is made from a photograph. Everything stays on this machine. Ctrl-C ends
    Label Studio.
    """
    settings: Settings = context.obj
    if not with_studio:
        _make_dataset(context, video, scenario, model, device)
        return
    options = [*(["--model", model] if model else []), *(["--device", device] if device else [])]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as until_the_end:
        announce = until_the_end.enter_context(claimed(settings.workspace))
        clip = _make_dataset(context, video, scenario, model, device)
        stack = until_the_end.enter_context(running(settings, options, note))
        announce(stack.place)
        login, where = stack.studio.login, settings.workspace / FILE
        watch = page_path(page_key(settings.workspace), clip.name)
        say(f"label:   {stack.studio.url}/ as {login.email}, password {login.password}")
        say(f"watch:   {stack.backend}{watch}")
        say(f"status:  {stack.backend}/ (user and password: {where})")
        say("Ctrl-C ends everything; the next start goes on where you were.")
        while True:
            time.sleep(0.5)
            for name in stack.revive():
                note(f"The {name} ended by itself and was started again; see {stack.log(name)}.")


def _make_dataset(
    context: typer.Context,
    video: Path | None,
    scenario: Scenario,
    model: str | None,
    device: str | None,
) -> Clip:
    with opened(context) as workspace:
        if video is None:
            video = workspace.root / "demo.mp4"
            if not video.exists():
                write_demo_video(video)
            note(
                "No VIDEO was given, so this clip is made from a photograph of an astronaut that "
                "comes with scikit-image, panned and zoomed. Expect hair and face to be masked "
                "well, and faults at the collar of the space suit: correct one of them."
            )
        clip = add_clip(workspace, video, scenario)
        segmenter = load(context, workspace, model, device)
        with progress(f"masking {clip.name}") as update:
            say_refresh(refresh(workspace, clip, segmenter, progress=update))
        page = workspace.root / "previews" / f"{clip.name}.html"
        with progress(f"drawing {clip.name}") as update:
            write_preview(workspace, clip, page, update)
        dataset = workspace.root / "dataset"
        export_dataset(workspace, dataset, include_unreviewed=True)
        faults = validate(dataset)
        unreviewed = sum(
            each.provenance is not Provenance.ACCEPTED
            for one in workspace.clips()
            for each in workspace.current(one).values()
        )
    for fault in faults:
        say(f"{fault.rule}: {fault.message}")
    say(f"look:    {page.resolve().as_uri()}")
    reviewed = f"{unreviewed} of its masks not reviewed" if unreviewed else "all masks reviewed"
    say(f"dataset: {dataset} ({len(faults) or 'no'} faults in its layout; {reviewed})")
    if faults:
        raise typer.Exit(1)
    return clip


def doctor(
    context: typer.Context,
    mend: Annotated[
        bool, typer.Option("--mend", help="Record mask files that the database lacks.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every mask, too.")] = False,
    as_json: Json = False,
) -> None:
    """Find what is wrong on this machine, in the workspace and with Label Studio."""
    checks = examine(with_running(context.obj), mend=mend, deep=deep)
    if as_json:
        say_json([asdict(check) for check in checks])
    else:
        colours = {Health.FINE: "green", Health.WARNING: "yellow", Health.FAULT: "red"}
        for check in checks:
            out.print(f"[{colours[check.state]}]{check.state:8}[/] {check.name:10}", end=" ")
            out.print(check.found, markup=False)
            if check.fix:
                out.print(f"{'':19} -> {check.fix}", markup=False)
    if any(check.state is Health.FAULT for check in checks):
        raise typer.Exit(1)


RATE = Fraction(30)
FRAME_COUNT = 192
"""6.4 s; MVPS asks for at least 6 s (PDNet paper, section 3.1)."""
WIDTH, HEIGHT = 1280, 720
"""MVPS asks for at least 720 pixels on the short side (PDNet paper, section 3.1)."""


def write_demo_video(path: Path) -> None:
    """Write a video of scikit-image's bundled photograph of a person, panned and zoomed."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in _pan_and_zoom():
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _pan_and_zoom() -> Iterator[Image]:
    photograph = np.ascontiguousarray(astronaut()[:, :, ::-1])
    side = photograph.shape[0]
    for index in range(FRAME_COUNT):
        phase = 2 * np.pi * index / FRAME_COUNT
        width = side * (0.64 - 0.04 * np.cos(phase))  # of the part that is shown, in pixels
        left = (side - width) * (0.28 + 0.14 * np.sin(phase))  # head and shoulders stay inside
        top = side * (0.01 - 0.01 * np.cos(phase))
        scale = WIDTH / width
        move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        yield np.asarray(cv2.warpAffine(photograph, move, (WIDTH, HEIGHT)), np.uint8)
