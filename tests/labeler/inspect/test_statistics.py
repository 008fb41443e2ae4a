"""Statistics against plain and slow code, on made data; the page as a person sees it."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labeler.clip import Scenario
from labeler.errors import LabelerError
from labeler.inspect.distribution import Spread, distributions
from labeler.inspect.report import summary, to_json, write_report
from labeler.inspect.statistics import (
    ClipStatistics,
    DatasetStatistics,
    FrameStatistics,
    count_portraits,
    glcm_entropy,
    measure_dataset,
)
from labeler.layouts.clips_table import ClipRow, format_clips
from labeler.layouts.mvps import open_dataset
from labeler.mask import Mask
from labeler.publish.resize import resize_image, resize_mask, size_480p
from tests.browser import browser
from tests.labeler.made_datasets import made_dataset, made_mask, write_mask
from tests.labeler.made_portraits import mask_path, picture_path, walk, where


def plain_entropy(grey: np.ndarray) -> float:
    """Haralick's, pair by pair, both orders, mean of four directions, in bits."""
    entropies = []
    for down, right in ((0, 1), (-1, 1), (-1, 0), (-1, -1)):
        pairs: dict[tuple[int, int], int] = {}
        for y, x in np.ndindex(grey.shape):
            if 0 <= y + down < grey.shape[0] and 0 <= x + right < grey.shape[1]:
                a, b = int(grey[y, x]), int(grey[y + down, x + right])
                for pair in ((a, b), (b, a)):
                    pairs[pair] = pairs.get(pair, 0) + 1
        total = sum(pairs.values())
        entropies.append(-sum(n / total * math.log2(n / total) for n in pairs.values()))
    return sum(entropies) / 4


@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(2, 12), st.integers(2, 12)),
        elements=st.sampled_from([0, 1, 7, 128, 254, 255]),
    )
)
@settings(deadline=None)
def test_the_entropy_is_that_of_counted_pairs(grey: np.ndarray) -> None:
    assert glcm_entropy(grey) == pytest.approx(plain_entropy(grey), abs=1e-9)


def test_the_entropy_of_what_is_known() -> None:
    assert glcm_entropy(np.full((20, 30), 9, np.uint8)) == 0
    stripes = np.tile(np.array([0, 255], np.uint8), (20, 10))
    across, down = 1.0, 1.0  # two pairs either way, but up and down they are of like levels
    assert glcm_entropy(stripes) == pytest.approx((across + down + 1 + 1) / 4)
    noise = np.random.default_rng(0).integers(0, 256, (480, 854), np.uint8)
    assert 15.8 < glcm_entropy(noise) < 16


def flood(mask: Mask) -> list[int]:
    """The sizes of the pieces of a mask, by walking from pixel to pixel."""
    left, sizes = {tuple(p) for p in np.argwhere(mask).tolist()}, []
    while left:
        todo, size = [left.pop()], 0
        while todo:
            y, x = todo.pop()
            size += 1
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    todo.append(near)
        sizes.append(size)
    return sizes


@given(hnp.arrays(np.bool_, (20, 30)))
@settings(deadline=None, max_examples=30)
def test_portraits_are_pieces_of_some_size(mask: Mask) -> None:
    expected = sum(size >= 0.005 * mask.size for size in flood(mask))
    assert count_portraits(mask) == expected


def two_people(index: int, size: tuple[int, int]) -> Mask:
    mask = made_mask(index, size)
    mask[: size[1] // 10, : size[0] // 12] = True
    return mask


@pytest.mark.parametrize("small", [True, False], ids=["480p", "full resolution alone"])
def test_a_dataset_against_plain_code(tmp_path: Path, small: bool) -> None:
    folder = made_dataset(tmp_path / "set", frames=13, size=(972, 730))
    for resolution, size in (("Full-Resolution", (972, 730)), ("480p", size_480p(972, 730))):
        tree = folder / "Annotations" / resolution / "hike"
        write_mask(tree / "00005.png", two_people(5, size))
        write_mask(tree / "00010.png", np.zeros(size[::-1], bool))
    if not small:
        (folder / "JPEGImages" / "480p").rename(tmp_path / "pictures")
        (folder / "Annotations" / "480p").rename(tmp_path / "masks")
    seen: list[tuple[int, int]] = []
    found = measure_dataset(open_dataset(folder), progress=lambda *step: seen.append(step))
    assert seen == [(n, 6) for n in range(1, 7)]
    assert (found.name, found.every) == ("set", 5)
    assert [(c.clip, c.scenario, c.frames, c.seconds) for c in found.clips] == [
        ("hike", "news", 13, 13 / 25),
        ("lucia", "news", 13, 13 / 25),
    ]
    size = size_480p(972, 730)
    for clip in found.clips:
        before: Mask | None = None
        for frame, each in zip((0, 5, 10), clip.key_frames, strict=True):
            assert each.frame == frame
            name = f"{clip.clip}/{frame:05d}"
            tree = "480p" if small else "Full-Resolution"
            path = folder / "JPEGImages" / tree / f"{name}.jpg"
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if not small:
                grey = resize_image(grey, size)
            assert each.entropy == pytest.approx(reference_entropy(grey), abs=1e-9)
            mask = open_dataset(folder).mask(clip.clip, frame, tree)
            mask = resize_mask(mask, size)
            assert each.portraits == sum(s >= 0.005 * mask.size for s in flood(mask))
            assert each.area == mask.mean()
            if before is None or not before.any() or not mask.any():
                assert each.step is None
                assert each.overlap is None
            else:
                centres = [np.argwhere(m).mean(axis=0) for m in (before, mask)]
                assert each.step == pytest.approx(math.dist(*centres) / math.hypot(*size))
                assert each.overlap == (before & mask).sum() / (before | mask).sum()
            before = mask
    hike = found.clips[0]
    assert [each.portraits for each in hike.key_frames] == [1, 2, 0]
    assert hike.mean("portraits") == 1
    assert hike.mean("overlap") == hike.key_frames[1].overlap


def reference_entropy(grey: np.ndarray) -> float:
    """As `plain_entropy`, by numpy, for large pictures."""
    height, width = grey.shape
    entropies = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        left, start = max(0, -right), max(0, right)
        a = grey[: height - down, left : width - start].astype(int)
        b = grey[down:, start : width - left].astype(int)
        pairs = np.concatenate([(256 * a + b).ravel(), (256 * b + a).ravel()])
        shares = np.unique(pairs, return_counts=True)[1] / pairs.size
        entropies.append(-(shares * np.log2(shares)).sum())
    return float(np.mean(entropies))


def test_masks_on_each_frame_are_measured_at_key_frames(tmp_path: Path) -> None:
    walk(tmp_path / "set", "walk", frames=12, stride=1)
    (clip,) = measure_dataset(open_dataset(tmp_path / "set")).clips
    assert [each.frame for each in clip.key_frames] == [0, 5, 10]
    assert (clip.scenario, clip.seconds) == (None, None)
    moved = (where(10) - where(5)) / math.hypot(360, 240)
    assert clip.key_frames[2].step == pytest.approx(moved, rel=0.05)
    (clip,) = measure_dataset(open_dataset(tmp_path / "set"), every=2).clips
    assert [each.frame for each in clip.key_frames] == [0, 2, 4, 6, 8, 10]


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    """A clip that clips.csv names but that has no files; a frame without a mask."""
    walk(tmp_path / "set", "walk", frames=16)
    mask_path(tmp_path / "set", "walk", 5).unlink()
    rows = [
        ClipRow(name, Scenario.LECTURE, 16, 4, Fraction(25), 360, 240) for name in ("gone", "walk")
    ]
    (tmp_path / "set" / "clips.csv").write_text(format_clips(rows))
    gone, clip = measure_dataset(open_dataset(tmp_path / "set")).clips
    assert (gone.key_frames, gone.mean("entropy")) == ((), None)
    assert [each.area is None for each in clip.key_frames] == [False, True, False, False]
    assert [each.step is None for each in clip.key_frames] == [True, True, True, False]


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    walk(tmp_path / "set", "walk", frames=6)
    picture_path(tmp_path / "set", "walk", 5).write_bytes(b"no picture")
    with pytest.raises(LabelerError, match=r"00005\.jpg is not a readable picture"):
        measure_dataset(open_dataset(tmp_path / "set"))


def made_statistics(name: str, entropies: list[float], scenario: str | None) -> DatasetStatistics:
    clips = []
    for number, entropy in enumerate(entropies):
        frames = tuple(
            FrameStatistics(5 * n, entropy, n % 3, 0.1 * n, 0.02 * n if n else None, 1 - 0.1 * n)
            for n in range(4)
        )
        clips.append(
            ClipStatistics(f"{name}{number}", scenario, 20 + number, 2.0, 480, 854, frames)
        )
    return DatasetStatistics(name, 5, tuple(clips))


def test_each_value_is_counted_once() -> None:
    first = made_statistics("a", [10.0, 10.5, 12.0, 12.0], "news")
    second = made_statistics("b", [13.9], None)
    by_name = {each.name: each for each in distributions([first, second])}
    order = ["scenario", "entropy", "frames", "portraits", "area", "step", "change"]
    assert list(by_name) == order
    for each in by_name.values():
        values = [16, 4] if each.counted == "masks" else [4, 1]
        assert [sum(counts) for counts in each.counts] == values
        assert len(each.rows) == len(each.counts[0]) == len(each.counts[1])
    scenario = by_name["scenario"]
    assert dict(zip(scenario.rows, zip(*scenario.counts, strict=True), strict=True)) == {
        **{each.value: (0, 0) for each in Scenario},
        "news": (4, 0),
        "not said": (0, 1),
    }
    entropy = by_name["entropy"]
    edges = [float(label) for label in entropy.labels]
    for counts, values in zip(entropy.counts, ([10, 10.5, 12, 12], [13.9]), strict=True):
        for count, low, high in zip(counts, edges, edges[1:], strict=False):
            assert count == sum(low <= v < high or v == high == edges[-1] for v in values)
    assert entropy.spreads[1] == Spread(13.9, 0, 13.9, 13.9)
    assert by_name["portraits"].rows == ["0", "1", "2"]
    assert by_name["portraits"].counts[0] == (8, 4, 4)
    bare = DatasetStatistics("c", 5, (replace(first.clips[0], key_frames=()),))
    assert [each.name for each in distributions([bare])] == ["scenario", "frames"]
    assert summary(bare)["GLCM entropy per clip, bits"] == "-"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_sees_a_plot_and_a_table_of_each(tmp_path: Path, scheme: str) -> None:
    first = made_statistics("a <b> $x$", [10.0, 10.5, 12.0, 12.0], "news")
    second = made_statistics("b", [13.9], None)
    page_file, json_file = write_report([first, second], tmp_path / "new" / "report")
    assert json.loads(json_file.read_text()) == json.loads(json.dumps(to_json([first, second])))
    text = page_file.read_text()
    assert "http" not in text.replace("http://www.w3.org", "")
    with browser() as chromium:
        page = chromium.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.locator(".plot").count() == 7
        assert page.locator(".plot svg").count() == page.locator(".plot table").count() == 7
        assert page.locator("h1").inner_text() == "a <b> $x$ and b"
        row = page.locator("#scenario tbody tr", has_text="news").inner_text()
        assert row.split() == ["news", "4", "100.0", "0", "0.0"]
        shot = cv2.imdecode(
            np.frombuffer(page.locator("#entropy svg").screenshot(), np.uint8), cv2.IMREAD_COLOR
        )
        paper = {"light": (255, 255, 255), "dark": (30, 32, 32)}[scheme]
        blue = {"light": (178, 114, 0), "dark": (233, 180, 86)}[scheme]
        assert (shot == paper).all(axis=2).mean() > 0.5
        assert 0.01 < (shot == blue).all(axis=2).mean() < 0.5
        assert (shot == (0, 159, 230)).all(axis=2).mean() > 0.01
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        page.set_viewport_size({"width": 380, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        assert problems == []


def test_neither_statistics_nor_quality_need_a_database() -> None:
    modules = "labeler.inspect.statistics, labeler.inspect.report, labeler.inspect.quality"
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in ("sqlalchemy", "av"))
    program = f"import sys\n{blocked}import {modules}"
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)
