"""A clock that jumps changes neither which mask counts, nor what waits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeler.mask import encode_mask
from labeler.revision import Draft
from tests.workspaces import make_clip, square

ROOT = Path(__file__).parents[3]
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")
@pytest.mark.parametrize("jump", ["-400d", "+400d"])
def test_the_later_correction_counts_though_the_clock_was_set(workspace, tmp_path, jump):
    clip = make_clip(workspace)
    workspace.record(clip, 5, square(1), Draft("ann"))
    for number, shift in enumerate((jump, "+0d"), start=2):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encode_mask(square(number)))
        command = [sys.executable, "-m", "backend", "-w", str(workspace.root), "correct", "walk"]
        done = subprocess.run(
            [*command, "5", str(path), "--by", "ann", "--model", "copy", "--device", "cpu"],
            env=os.environ | {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": shift},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (workspace.read(workspace.current(clip)[5]) == square(number)).all()


def test_masks_recorded_one_after_the_other_are_in_that_order(workspace, monkeypatch):
    clip = make_clip(workspace)
    for number in range(1, 6):
        workspace.record(clip, 5, square(number), Draft("ann"))
    made = [each.created for each in workspace.revisions(clip, 5)]
    assert made == sorted(set(made))
