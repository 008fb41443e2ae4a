"""Nobody's work is lost: processes are killed, told twice, told backwards, left alone."""

import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from backend.credentials import SECRET_HEADER
from backend.studio.annotation import from_result
from backend.work.preannotate import refresh
from labeler.clip import Clip
from labeler.mask import Mask
from labeler.review.correction import record_correction
from labeler.revision import Draft
from labeler.workspace.workspace import Workspace
from model.engines.baselines.baselines import NearestCopy
from tests.signals import hear_signals
from tests.studio.annotator import Annotator
from tests.studio.conftest import FRAMES, SIZE
from tests.workspaces import make_clip, square

KEY_FRAMES = list(range(0, FRAMES, 5))


def clip_of(annotator: Annotator, name: str) -> Clip:
    return annotator.workspace.clip(name)


def blob(seed: int) -> Mask:
    rng = np.random.default_rng(seed)
    mask = np.zeros(SIZE, bool)
    top, left = rng.integers(0, 120, 2)
    mask[top : top + 40, left : left + 60] = rng.random((40, 60)) < 0.7
    return mask


def tell(annotator: Annotator, payload: dict[str, Any]) -> None:
    """Send what Label Studio's webhook sends."""
    kept = json.loads((annotator.workspace.root / "credentials.json").read_text())
    request = urllib.request.Request(
        f"{annotator.stack.backend}/webhook",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json", SECRET_HEADER: kept["webhook_secret"]},
    )
    urllib.request.urlopen(request).close()


def payload_of(annotator: Annotator, clip: str, frame: int, action: str) -> dict[str, Any]:
    task = annotator.tasks[clip, frame]
    [annotation] = annotator.studio.annotations(task)
    data = annotator.data(clip, frame)
    return {
        "action": action,
        "annotation": annotation | {"project": annotator.project},
        "task": {"id": task, "data": data},
        "project": {"id": annotator.project},
    }


def undisturbed(folder: Path, corrections: dict[int, Mask]) -> dict[int, Mask]:
    """What the frames would be shown as, had all gone well."""
    workspace = Workspace(folder / "undisturbed")
    clip = make_clip(workspace, "walk", FRAMES, SIZE)
    engine = NearestCopy()
    refresh(workspace, clip, engine)
    for frame, mask in corrections.items():
        record_correction(workspace, clip, frame, mask, Draft("somebody"))
    refresh(workspace, clip, engine)
    found = {f: workspace.read(r) for f, r in workspace.current(clip).items()}
    workspace.close()
    return found


def test_many_at_once_are_all_recorded_bit_for_bit(annotator: Annotator, tmp_path: Path) -> None:
    """200 submissions by 8 clients, the worker killed in between."""
    submitted: dict[int, list[Mask]] = {frame: [] for frame in KEY_FRAMES}
    jobs = [(frame, blob(1000 * turn + frame)) for turn in range(10) for frame in KEY_FRAMES]
    jobs = jobs[:200]
    for frame, mask in jobs:
        submitted[frame].append(mask)

    def submit(job: tuple[int, Mask]) -> None:
        annotator.submit("walk", *job)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(submit, job) for job in jobs]
        while not all(future.done() for future in done):
            time.sleep(3)
            annotator.stack.children["worker"].send_signal(signal.SIGKILL)
            annotator.stack.children["worker"].wait()
            annotator.stack.revive()
        for future in done:
            future.result()
    annotator.stack.run("studio", "sync")  # a webhook that came to late was not told again
    annotator.wait_until_quiet(240)
    clip = clip_of(annotator, "walk")
    for frame in KEY_FRAMES:
        human = [r for r in annotator.workspace.revisions(clip, frame) if r.provenance.human]
        recorded = {annotator.workspace.read(r).tobytes() for r in human}
        assert recorded == {mask.tobytes() for mask in submitted[frame]}
        assert len(human) == len(submitted[frame])


def test_told_twice_and_backwards_nothing_changes(annotator: Annotator) -> None:
    clip = clip_of(annotator, "run")
    payloads = []
    for frame, seed in ((0, 1), (15, 2)):
        annotation = annotator.submit("run", frame, blob(seed))
        payloads.append(payload_of(annotator, "run", frame, "ANNOTATION_CREATED"))
        annotator.update(annotation, blob(seed + 10))
        payloads.append(payload_of(annotator, "run", frame, "ANNOTATION_UPDATED"))
    annotator.wait_until_quiet()
    revisions = annotator.workspace.revisions(clip)
    shown = annotator.all_shown("run")
    for payload in [*reversed(payloads), *payloads]:
        tell(annotator, payload)
    annotator.wait_until_quiet()
    assert annotator.workspace.revisions(clip) == revisions
    for frame, mask in annotator.all_shown("run").items():
        np.testing.assert_array_equal(mask, shown[frame])


def test_the_service_is_killed_in_the_middle_of_webhooks(annotator: Annotator) -> None:
    clip = clip_of(annotator, "run")
    masks = {frame: blob(50 + frame) for frame in (5, 10, 20, 25, 30)}
    with ThreadPoolExecutor(1) as pool:
        submitting = [pool.submit(annotator.submit, "run", f, m) for f, m in masks.items()]
        while not all(future.done() for future in submitting):
            time.sleep(random.uniform(0.05, 0.5))
            annotator.stack.children["serve"].kill()
            annotator.stack.children["serve"].wait()
            annotator.stack.revive()
        for future in submitting:
            future.result()
    annotator.stack.run("studio", "sync")
    annotator.wait_until_quiet()
    for frame, mask in masks.items():
        current = annotator.workspace.current(clip)[frame]
        assert current.provenance.human
        np.testing.assert_array_equal(annotator.workspace.read(current), mask)


def test_label_studio_is_away_for_a_while(annotator: Annotator) -> None:
    """What is corrected meanwhile is shown once it is back, and no process has ended."""
    clip, mask = clip_of(annotator, "run"), square(20, SIZE)
    annotator.wait_until_quiet()
    annotator.stack.studio.stop()
    before = {name: child.pid for name, child in annotator.stack.children.items()}
    path = annotator.workspace.root / "mine.png"
    from labeler.mask import encode_mask

    path.write_bytes(encode_mask(mask))
    annotator.stack.run("correct", "run", "10", str(path), "--model", "copy", "--by", "ann")
    kept = json.loads((annotator.workspace.root / "credentials.json").read_text())
    assert kept["user"]
    time.sleep(8)
    annotator.stack.studio.start()
    annotator.wait_until_shown("run", 10, mask, seconds=240)
    assert {n: c.pid for n, c in annotator.stack.children.items()} == before
    assert annotator.workspace.current(clip)[10].author == "ann"


def test_what_is_shown_in_the_end_is_what_an_undisturbed_run_gives(
    annotator: Annotator, tmp_path: Path
) -> None:
    annotator.wait_until_quiet()
    clip = clip_of(annotator, "walk")
    corrections = {
        frame: annotator.workspace.read(revision)
        for frame, revision in annotator.workspace.current(clip).items()
        if revision.provenance.human and frame in (20, 60)
    }
    for frame in KEY_FRAMES:
        if frame not in corrections:
            for annotation in annotator.studio.annotations(annotator.tasks["walk", frame]):
                annotator.delete(annotation["id"])
    annotator.stack.run("studio", "sync")
    annotator.wait_until_quiet(240)
    expected = undisturbed(tmp_path, corrections)
    shown = annotator.all_shown("walk")
    for frame in KEY_FRAMES:
        if frame not in corrections:
            np.testing.assert_array_equal(shown[frame], expected[frame])


STARTED = """
import sys, time
from pathlib import Path
from backend.settings import Settings
from backend.cli.stack import running

try:
    with running(Settings(workspace=Path(sys.argv[1])), ["--model", "copy"], print) as stack:
        pids = [child.pid for child in stack.children.values()]
        print("started", stack.studio.url, stack.backend, *pids, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


def test_two_that_start_at_once_share_no_port_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        with closing(Workspace(root)) as workspace:
            make_clip(workspace, "walk", 6, SIZE)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", STARTED, str(root)],
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=hear_signals,
                )
            )
            for root in roots
        ]
        for process in processes:
            stack.callback(process.kill)  # does nothing to one that has ended
        told = []
        for process in processes:
            assert process.stdout is not None
            told.append(next(line for line in process.stdout if line.startswith("started")).split())
        urls = [url for words in told for url in words[1:3]]
        assert len(set(urls)) == 4
        for process in processes:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60)[0].endswith("ended\n")
    assert not any(Path(f"/proc/{pid}").exists() for words in told for pid in words[3:])
    assert all((root / "label-studio" / "login.json").exists() for root in roots)


def test_a_prediction_of_ours_reads_back_by_the_sdk(annotator: Annotator) -> None:
    from label_studio_sdk.converter.brush import decode_rle

    [prediction] = annotator.predictions("walk", 50)
    rle = prediction.result[0]["value"]["rle"]
    theirs = decode_rle(rle).reshape(*SIZE, 4)[..., 3] > 127
    np.testing.assert_array_equal(theirs, from_result(prediction.result, *SIZE).mask)
