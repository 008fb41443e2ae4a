from pathlib import Path

import cv2
import numpy as np
import pytest

from labeler.clip import Clip
from labeler.inspect.preview import TINT, overlay, write_preview
from labeler.revision import Draft
from labeler.workspace.workspace import Workspace
from tests.browser import browser
from tests.workspaces import make_clip, picture, square

SIZE = (180, 320)


@pytest.fixture
def clip(workspace: Workspace) -> Clip:
    clip = make_clip(workspace, frame_count=31, size=SIZE)
    for frame in (0, 5, 15, 20, 25):
        workspace.record_prediction(
            clip,
            frame,
            square(frame, SIZE),
            model_version="pdnet-small-1.0.0+00000000",
            references="",
            uncertainty=frame / 100,
        )
    workspace.record(clip, 10, square(10, SIZE), Draft("ann <b>"))
    return clip


def test_an_overlay_tints_the_mask_and_nothing_else():
    image, mask = picture(3), square(3)
    drawn = overlay(image, mask)
    assert np.array_equal(drawn[~mask], image[~mask])
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
    expected = 0.55 * image[inner] + 0.45 * np.array(TINT)
    assert np.abs(drawn[inner] - expected).max() <= 1
    edge = mask & ~(cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) > 0)
    assert (drawn[edge] == TINT).all()
    assert overlay(image, mask, 64).shape == (48, 64, 3)


def test_the_page_needs_nothing_else_and_escapes_names(workspace, clip, tmp_path):
    page = tmp_path / "new" / "walk.html"
    write_preview(workspace, clip, page)
    text = page.read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "ann &lt;b&gt;" in text
    assert text.count("data:image/jpeg;base64,") == 7


@pytest.mark.browser
def test_a_person_sees_masks_provenance_and_uncertainty(workspace, clip, tmp_path):
    page_file = tmp_path / "walk.html"
    write_preview(workspace, clip, page_file)
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1000, "height": 800})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.locator("figure").count() == 7
        assert page.locator("figure.corrected").count() == 1
        assert page.locator("figure.predicted").count() == 5
        assert page.locator("figure.none").count() == 1
        assert "corrected by a person" in page.locator("#f00010").inner_text()
        heights = [
            float(bar.get_attribute("height") or 0) for bar in page.locator("rect.doubt").all()
        ]
        assert heights == [0, 5, 15, 20, 25]
        picture_of_10 = page.locator("#f00010 img")
        picture_of_10.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#f00010 img').naturalWidth > 0")
        shot = screenshot(picture_of_10.screenshot())
        mask = cv2.resize(square(10, SIZE).astype(np.uint8), shot.shape[1::-1]) > 0
        orange = shot[..., 2].astype(int) - shot[..., 0]
        assert orange[mask].mean() > orange[~mask].mean() + 60  # the mask is where the person is
        page.locator("a[href='#f00025'] rect.hit").first.click()
        assert page.evaluate("location.hash") == "#f00025"
        page.set_viewport_size({"width": 380, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        assert problems == []


def screenshot(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_an_unmasked_clip_has_a_page_too(workspace: Workspace, tmp_path: Path):
    clip = make_clip(workspace, frame_count=2)
    write_preview(workspace, clip, tmp_path / "walk.html")
    assert "no mask yet" in (tmp_path / "walk.html").read_text()
