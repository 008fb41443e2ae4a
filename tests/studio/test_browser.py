"""The labeling loop as a person sees it: Label Studio in a real browser."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from labeler.mask import Mask
from labeler.revision import Provenance
from tests.browser import browser
from tests.studio.annotator import Annotator, invitation
from tests.studio.conftest import SIZE
from tests.workspaces import square

pytestmark = pytest.mark.browser

CLIP = "walk"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def masked(annotator: Annotator) -> Annotator:
    """Every frame is predicted to be as frame 50 is."""
    annotator.submit(CLIP, 50, square(50, SIZE))
    annotator.wait_until_shown(CLIP, 0, square(50, SIZE))
    annotator.wait_until_quiet()
    return annotator


class Editor:
    """Label Studio's editor with one task open."""

    def __init__(self, page: Page, annotator: Annotator, frame: int) -> None:
        self.page = page
        task = annotator.tasks[CLIP, frame]
        with page.expect_response(lambda answer: f"/api/tasks/{task}" in answer.url):
            page.goto(f"{annotator.stack.studio.url}/projects/{annotator.project}/data?task={task}")
        self.image = page.locator("img[alt=image]").first
        expect(self.image).to_be_visible(timeout=60_000)
        page.wait_for_timeout(2000)  # the mask is painted after the picture has come

    @property
    def painted(self) -> Mask:
        """Where the screen changes when all masks are hidden, at the size of the frame."""
        shown = self._seen()
        toggle = self.page.get_by_label("Hide all regions").or_(
            self.page.get_by_label("Show all regions")
        )
        toggle.click()
        self.page.wait_for_timeout(500)
        hidden = self._seen()
        toggle.click()
        self.page.wait_for_timeout(500)
        return np.asarray(np.abs(shown - hidden).max(axis=2) > 20)

    def _seen(self) -> NDArray[np.int16]:
        box = self.image.bounding_box()
        assert box is not None
        shot = self.page.screenshot(clip=box)  # type: ignore[arg-type]
        seen = Image.open(io.BytesIO(shot)).convert("RGB")
        return np.asarray(seen.resize(SIZE[::-1], Image.Resampling.BOX), np.int16)

    def select_mask(self) -> None:
        self.page.locator(".lsf-outliner-item", has_text="Portrait").first.click()

    def stroke(self, key: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Draw from one position (x, y) of the frame to another with the tool of that key."""
        self.page.keyboard.press(key)
        box = self.image.bounding_box()
        assert box is not None
        scale = box["width"] / SIZE[1]
        (x0, y0), (x1, y1) = ((box["x"] + scale * x, box["y"] + scale * y) for x, y in (start, end))
        self.page.mouse.move(x0, y0)
        self.page.mouse.down()
        self.page.mouse.move(x1, y1, steps=8)
        self.page.mouse.up()
        self.page.wait_for_timeout(300)

    def submit(self) -> None:
        with self.page.expect_response(
            lambda answer: "/annotations" in answer.url and answer.request.method == "POST"
        ):
            self.page.get_by_role("button", name="Submit current annotation").click()


@pytest.fixture
def page(chromium: Browser, masked: Annotator) -> Iterator[Page]:
    login = masked.stack.studio.login
    yield from logged_in(chromium, masked, login.email, login.password)


def logged_in(chromium: Browser, annotator: Annotator, email: str, password: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{annotator.stack.studio.url}/user/login")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)
    yield page
    context.close()


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_mask_is_seen_where_the_person_is(page: Page, masked: Annotator) -> None:
    editor = Editor(page, masked, 45)
    assert iou(editor.painted, square(50, SIZE)) > 0.85


def test_erase_a_piece_paint_another_and_submit(page: Page, masked: Annotator) -> None:
    editor = Editor(page, masked, 40)
    before = masked.shown(CLIP, 55)
    editor.select_mask()
    editor.stroke("e", (62, 25), (62, 85))
    editor.stroke("b", (150, 120), (200, 120))
    on_screen = editor.painted
    editor.submit()
    [clip] = [c for c in masked.workspace.clips() if c.name == CLIP]
    masked.until(lambda: masked.workspace.current(clip)[40].provenance.human, "recorded")
    mask = masked.workspace.read(masked.workspace.current(clip)[40])
    assert iou(mask, on_screen) > 0.85
    assert not mask[40:60, 62].any(), "what was erased"
    assert mask[120, 155:195].all(), "what was painted"
    masked.wait_until_shown(CLIP, 45, mask)  # of two as near the one before is copied
    masked.wait_until_shown(CLIP, 35, mask)
    masked.wait_until_quiet()
    np.testing.assert_array_equal(masked.shown(CLIP, 55), before, "beyond frame 50 nothing changes")
    masked.stack.run("studio", "sync")
    np.testing.assert_array_equal(
        masked.workspace.read(masked.workspace.current(clip)[40]), mask, "and stays so"
    )


def test_painting_counts_though_nothing_is_selected(page: Page, masked: Annotator) -> None:
    masked.wait_until_quiet()
    shown = masked.shown(CLIP, 90)
    editor = Editor(page, masked, 90)
    editor.stroke("e", (62, 25), (62, 85))  # erases nothing: nothing is selected
    editor.stroke("b", (150, 130), (200, 130))
    editor.submit()
    [clip] = [c for c in masked.workspace.clips() if c.name == CLIP]
    masked.until(lambda: masked.workspace.current(clip)[90].provenance.human, "recorded")
    revision = masked.workspace.current(clip)[90]
    mask = masked.workspace.read(revision)
    assert revision.provenance is Provenance.CORRECTED
    assert mask[130, 155:195].all(), "what was painted"
    assert mask[shown].all(), "the mask that was shown"


def test_change_nothing_and_submit(page: Page, masked: Annotator) -> None:
    masked.wait_until_quiet()
    shown = masked.shown(CLIP, 70)
    Editor(page, masked, 70).submit()
    [clip] = [c for c in masked.workspace.clips() if c.name == CLIP]
    masked.until(lambda: masked.workspace.current(clip)[70].provenance.human, "recorded")
    revision = masked.workspace.current(clip)[70]
    assert revision.provenance is Provenance.CONFIRMED
    assert revision.lead_time is not None
    assert 1 < revision.lead_time < 600, "as long as the task was open"
    np.testing.assert_array_equal(masked.workspace.read(revision), shown)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1400, 900)])
def test_picture_and_neighbours_are_seen_whole(
    page: Page, masked: Annotator, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    editor = Editor(page, masked, 75)
    beside = page.locator(".beside img")
    expect(beside).to_be_visible()
    assert beside.evaluate("each => each.complete && each.naturalWidth") > 300
    brush = page.locator(".lsf-tool__controls").bounding_box()
    picture, below = editor.image.bounding_box(), beside.bounding_box()
    bar = page.get_by_role("button", name="Submit current annotation").bounding_box()
    assert brush is not None
    assert picture is not None
    assert below is not None
    assert bar is not None
    assert brush["x"] >= picture["x"] + picture["width"], "the brush's size is beside the picture"
    assert picture["y"] + picture["height"] <= below["y"]
    assert below["y"] + below["height"] <= bar["y"], "nothing is cut off"
    assert below["height"] > 120


def test_a_task_leads_to_its_clips_page_and_back(page: Page, masked: Annotator) -> None:
    Editor(page, masked, 60)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Watch the clip").click()
    watching = opened.value
    frame = watching.locator("#picture")
    expect(frame).to_have_attribute("data-frame", "60", timeout=60_000)
    assert "key" not in watching.url, "the secret is in a cookie now"
    watching.keyboard.press("Shift+ArrowRight")
    expect(frame).to_have_attribute("data-frame", "65", timeout=60_000)
    with page.context.expect_page() as opened:
        watching.keyboard.press("Enter")
    opened.value.wait_for_url(lambda url: f"task={masked.tasks[CLIP, 65]}" in url)


def test_a_second_person_is_told_apart(chromium: Browser, masked: Annotator) -> None:
    email, password = "second@localhost.example", "second-person-1"
    context = chromium.new_context()
    sign_up = context.new_page()
    sign_up.goto(masked.stack.studio.url + invitation(masked.stack))
    sign_up.fill("input[name=email]", email)
    sign_up.fill("input[name=password]", password)
    sign_up.click("button[type=submit]")
    sign_up.wait_for_url(lambda url: "signup" not in url)
    context.close()
    for page in logged_in(chromium, masked, email, password):
        Editor(page, masked, 80).submit()
    [clip] = [c for c in masked.workspace.clips() if c.name == CLIP]
    masked.until(lambda: masked.workspace.current(clip)[80].provenance.human, "recorded")
    assert masked.workspace.current(clip)[80].author == email


def test_the_status_page_tells_of_it(chromium: Browser, masked: Annotator) -> None:
    import json

    kept = json.loads((masked.workspace.root / "credentials.json").read_text())
    context = chromium.new_context(
        http_credentials={"username": kept["user"], "password": kept["password"]}
    )
    page = context.new_page()
    page.goto(masked.stack.backend)
    expect(page.get_by_text("at work")).to_be_visible()
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name=CLIP, exact=True).first).to_be_visible()
    assert kept["password"] not in page.content()
    assert kept["webhook_secret"] not in page.content()
    context.close()
