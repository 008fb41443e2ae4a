"""The page of a clip: who may open it, what it says, and how it plays in a browser."""

import json
import re
import threading
import time
from base64 import b64encode

import cv2
import numpy as np
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from werkzeug.serving import make_server

from backend.page_links import FILE, page_key, page_path
from backend.service.clip_pictures import mask_picture, reduction
from backend.store import tables
from labeler.errors import LabelerError
from labeler.review.crosscheck import record_check
from labeler.revision import Draft, Shown
from tests.backend.callers import SECRETS, basic, predict
from tests.browser import browser
from tests.workspaces import SIZE, make_bare_clip, make_clip, square

RATE = 24000 / 1001


@pytest.fixture
def link(workspace):
    """The secret link to a clip's page, as a path."""
    key = page_key(workspace.root)
    return lambda clip: page_path(key, clip.name)


def embedded(client, clip, **more):
    shown = client.get(f"/clips/{clip.name}", headers=basic(), **more)
    assert shown.status_code == 200
    [text] = re.findall(r'type="application/json">(.*?)</script>', shown.text, re.DOTALL)
    return json.loads(text)


# Who may open it


def test_without_login_or_link_nothing_of_a_clip_is_shown(client, half_done):
    paths = (
        "",
        "/clip.js",
        "/frames/0.jpg",
        "/masks/0/1.png",
        "/frames/99.jpg",
        "?key=",
        "?key=wrong",
    )
    for path in paths:
        answer = client.get(f"/clips/walk{path}")
        assert answer.status_code == 401, path
        assert "Label Studio" in answer.text
    assert client.get("/clips/unknown").status_code == 401  # not even which clips there are


def test_a_task_shows_its_neighbours_with_their_masks(client, workspace, link):
    clip = make_clip(workspace)

    def picture(frame):
        answer = client.get(f"{link(clip)}&beside={frame}")
        assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        pixels = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
        return pixels.astype(int), answer.headers["ETag"]

    bare, before = picture(5)
    ends = [picture(frame)[0].shape[1] for frame in (0, clip.key_frames[-1])]
    assert max(ends) < 0.6 * bare.shape[1], "at an end of the clip there is one"
    workspace.append(clip, 10, square(10, SIZE), Draft("anna"))
    masked, after = picture(5)
    assert after != before
    half = bare.shape[1] // 2
    changed = np.abs(masked - bare).max(axis=2) > 40
    assert changed[:, half:].sum() > 2000, "the mask of the frame after is on the right"
    assert not changed[:, : half - 6].any()
    same = client.get(f"{link(clip)}&beside=5", headers={"If-None-Match": after})
    assert same.status_code == 304
    for odd in ("x", "-1", "9" * 40):
        assert client.get(f"{link(clip)}&beside={odd}").status_code == 404
    assert client.get("/clips/walk?key=wrong&beside=5").status_code == 401


def test_a_link_opens_one_clip_and_nothing_else(client, workspace, half_done, link):
    other = make_clip(workspace, "other")
    opened = client.get(link(half_done))
    assert (opened.status_code, opened.headers["Location"]) == (303, "/clips/walk")
    assert "key" not in opened.headers["Location"]
    cookie = opened.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/clips/walk" in cookie
    for path in ("", "/clip.js", "/frames/0.jpg", "/frames/0.jpg?whole", "/masks/0/1.png"):
        assert client.get(f"/clips/walk{path}").status_code == 200, path
    token = link(half_done).partition("=")[2]
    client.set_cookie("mvps-clip", token, path="/")  # even where the browser sends it elsewhere
    for path in ("/", "/metrics", "/annotators", f"/clips/{other.name}", f"/?key={token}"):
        assert client.get(path).status_code == 401, path
    assert client.get(f"/clips/other?key={token}").status_code == 401
    for path in ("/models/rollback", "/retraining/start", f"/events/1/confirm?key={token}"):
        assert client.post(path).status_code == 401, path
    for path in ("/clips/walk", "/clips/walk/frames/0.jpg"):
        assert client.post(path).status_code == 401, path
        assert client.post(path, headers=basic()).status_code in (403, 405), path


def test_links_end_with_their_key(client, workspace, half_done, link):
    old = link(half_done)
    (workspace.root / FILE).unlink()
    assert client.get(old).status_code == 401
    new = page_path(page_key(workspace.root), half_done.name)
    assert client.get(new).status_code == 303


def test_only_its_owner_can_read_the_key_and_a_damaged_one_is_told(workspace):
    page_key(workspace.root)
    path = workspace.root / FILE
    assert path.stat().st_mode & 0o077 == 0
    for damaged in ("", "{}", '{"key": ""}', '{"key": 7}', "[]"):
        path.write_text(damaged)
        with pytest.raises(LabelerError, match=r"page-key\.json has no key"):
            page_key(workspace.root)


def test_the_page_lets_nobody_frame_it_nor_tells_others_its_address(client, half_done, link):
    for path in (link(half_done), "/clips/walk", "/clips/walk/frames/0.jpg"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "public" not in headers.get("Cache-Control", "")


# What it says


def test_the_page_says_where_each_mask_comes_from(client, workspace, half_done):
    workspace.record(half_done, 5, square(5), Draft("ann <b>"))
    record_check(workspace, half_done, 15, square(15), Draft("bob", look=Shown.CONFIRM))
    project = {"role": "labeling", "url": "http://studio", "project": 3}
    task = {"project": 3, "clip": "walk", "frame": 5, "task": 77, "fields": {}, "shown": 0}
    with workspace.database.writing() as connection:
        connection.execute(sa.insert(tables.projects).values(project))
        connection.execute(sa.insert(tables.tasks).values(task))
    page = embedded(client, half_done)
    stages = [key["stage"] for key in page["keys"]]
    assert stages == ["predicted", "unchecked", "missing", "accepted"]
    assert page["keys"][0]["uncertainty"] == 0.25
    assert page["keys"][1]["said"] == "corrected by ann <b>; nobody has checked it"
    assert page["keys"][1]["task"] == "http://studio/projects/3/data?task=77"
    assert page["keys"][0]["task"] == ""
    assert page["keys"][2]["mask"] == ""
    assert page["keys"][0]["area"] == pytest.approx(square(0).mean())
    assert (page["frames"], page["rate"]) == (16, pytest.approx(RATE))
    text = client.get("/clips/walk", headers=basic()).text
    assert "ann <b>" not in text.replace(json.dumps("ann <b>"), "")
    assert "1 two people disagree" not in text
    assert "1 accepted" in text


def test_a_conflict_says_who_disagrees_and_why(client, workspace, half_done):
    said = Draft("bob", look=Shown.CONFIRM, reason="the hat")
    record_check(workspace, half_done, 15, square(15), said)
    [last] = [key for key in embedded(client, half_done)["keys"] if key["frame"] == 15]
    assert (last["stage"], last["said"]) == (
        "conflict",
        "corrected by ann; bob disagrees: the hat",
    )


def test_its_version_changes_with_its_masks_only(client, workspace, half_done):
    first = client.get("/clips/walk", headers=basic()).headers["ETag"]
    again = client.get("/clips/walk", headers=basic() | {"If-None-Match": first})
    assert again.status_code == 304
    assert f'"{embedded(client, half_done)["version"]}"' == first
    workspace.record(half_done, 5, square(9), Draft("ann"))
    assert client.head("/clips/walk", headers=basic()).headers["ETag"] != first


def test_frames_and_masks_are_small_for_playing_and_whole_for_looking(client, workspace):
    size = (1080, 1920)
    clip = make_clip(workspace, "large", 6, size)
    predict(workspace, clip, 5, square(5, size))
    shapes = {}
    for path in ("frames/5.jpg", "frames/5.jpg?whole", "masks/5/1.png", "masks/5/1.png?whole"):
        answer = client.get(f"/clips/large/{path}", headers=basic())
        decoded = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_UNCHANGED)
        shapes[path] = decoded.shape
        if path.endswith("png?whole"):
            assert np.array_equal(decoded[..., 3] > 127, square(5, size))
    assert list(shapes.values()) == [(540, 960, 3), (1080, 1920, 3), (540, 960, 4), (*size, 4)]


@pytest.mark.parametrize(
    ("size", "by"),
    [((96, 128), 1), ((720, 1280), 1), ((1080, 1920), 2), ((1920, 1080), 2), ((2160, 3840), 4)],
)
def test_how_much_is_played_depends_on_the_size(workspace, size, by):
    clip = make_clip(workspace, "sized", 1, (8, 8))
    assert reduction(type(clip)(**vars(clip) | {"width": size[1], "height": size[0]})) == by


def test_odd_sizes_are_reduced_as_a_jpeg_is():
    mask = np.ones((1079, 1919), bool)
    decoded = cv2.imdecode(np.frombuffer(mask_picture(mask, 2), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.shape[:2] == (540, 960)


def test_what_is_not_there_is_told_in_a_sentence(client, workspace, half_done):
    for path, status in {
        "walk/frames/16.jpg": 404,
        "walk/masks/5/9.png": 404,
        "walk/masks/6/1.png": 404,
        "nobody": 400,
        "walk/frames/-1.jpg": 404,
    }.items():
        answer = client.get(f"/clips/{path}", headers=basic())
        assert (answer.status_code, bool(answer.json["error"])) == (status, True), path
    (workspace.frames(half_done).folder / "00003.jpg").unlink()
    answer = client.get("/clips/walk/frames/3.jpg", headers=basic())
    assert (answer.status_code, "mvps doctor" in answer.json["error"]) == (400, True)


def test_a_thousand_key_frames_are_one_page_of_moderate_size(client, workspace):
    clip = make_bare_clip(workspace, key_frames=1000)
    began = time.process_time()
    answer = client.get(f"/clips/{clip.name}", headers=basic())
    assert answer.status_code == 200
    assert len(answer.data) < 1_500_000
    assert time.process_time() - began < 5


# How it plays


@pytest.fixture
def page(app):
    """A browser's page, logged in at the service that runs at its `base`."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with browser() as chromium:
        login = {"username": SECRETS.user, "password": SECRETS.password}
        context = chromium.new_context(
            base_url=f"http://127.0.0.1:{server.server_port}",
            viewport={"width": 1280, "height": 720},
            http_credentials=login,
        )
        context.set_default_timeout(20_000)
        yield context.new_page()
        context.close()
    server.shutdown()
    thread.join()


def wait_for(page, frame):
    expect(page.locator("#picture")).to_have_attribute("data-frame", str(frame), timeout=20_000)


def colours(page, size=SIZE):
    """The picture as it is on the screen, H x W x BGR, at the size of the frame."""
    data = page.locator("#picture").screenshot()
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height = round(seen.shape[1] * size[0] / size[1])
    width = round(seen.shape[0] * size[1] / size[0])
    top, left = max(0, (seen.shape[0] - height) // 2), max(0, (seen.shape[1] - width) // 2)
    inside = seen[top : seen.shape[0] - top, left : seen.shape[1] - left]
    return cv2.resize(inside, size[::-1], interpolation=cv2.INTER_AREA).astype(int)


def pink(page):
    """Where the picture is tinted: much more red and blue than green."""
    seen = colours(page)
    return (seen[..., 2] - seen[..., 1] > 40) & (seen[..., 0] - seen[..., 1] > 10)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.browser
def test_a_clip_is_played_stepped_and_looked_at(page, workspace, half_done, link):
    predict(workspace, half_done, 10)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(link(half_done))
    assert page.url.partition("#")[0].endswith("/clips/walk")
    wait_for(page, 0)
    assert overlap(pink(page), square(0)) > 0.9

    page.keyboard.press("Shift+ArrowRight")
    wait_for(page, 5)
    assert overlap(pink(page), square(5)) > 0.9
    expect(page.locator("#said")).to_contain_text("Key frame 5: predicted by net-1.0.0+1")
    page.keyboard.press("ArrowRight")
    wait_for(page, 6)
    expect(page.locator("#said")).to_contain_text("blended")
    page.keyboard.press("Shift+ArrowLeft")
    wait_for(page, 5)
    page.keyboard.press("End")
    wait_for(page, 15)
    page.keyboard.press("ArrowRight")  # there is no frame after it
    expect(page.locator("#said")).to_contain_text("corrected by ann")

    page.keyboard.press("3")
    grey = colours(page)
    assert np.abs(grey[~square(15)] - 128).mean() < 4
    assert np.abs(grey[square(15)] - 128).mean() > 10
    page.keyboard.press("2")
    line = pink(page)
    assert line.sum() < 0.5 * square(15).sum()
    edge = cv2.dilate(square(15).astype(np.uint8), np.ones((5, 5))) != 0
    assert line.sum() > 20
    assert (line & ~edge).sum() <= 0.1 * line.sum()
    page.keyboard.press("4")
    assert not pink(page).any()
    page.keyboard.press("1")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator("#speed").input_value() == "0.25"
    began = time.monotonic()
    page.keyboard.press(" ")  # from the end it begins again
    expect(page.locator("#play")).to_have_text("Pause")
    expect(page.locator("#play")).to_have_text("Play", timeout=20_000)
    took = time.monotonic() - began
    wait_for(page, 15)
    assert took > 15 / RATE / 0.25 - 0.3  # never faster than a quarter of the clip's own speed
    box = page.locator("#strip").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 10.5 / 16, box["y"] + 30)
    wait_for(page, 10)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    wait_for(page, 0)
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press("Home")  # and any step ends it
    expect(page.locator("#play")).to_have_text("Play")
    wait_for(page, 0)
    assert errors == []
    assert all("127.0.0.1" in url or url.startswith(("data:", "blob:")) for url in requests)


@pytest.mark.browser
def test_enter_opens_the_task_of_the_nearest_key_frame(page, workspace, half_done):
    project = {"role": "labeling", "url": "http://127.0.0.1:9", "project": 3}
    task = {"project": 3, "clip": "walk", "frame": 10, "task": 77, "fields": {}, "shown": 0}
    with workspace.database.writing() as connection:
        connection.execute(sa.insert(tables.projects).values(project))
        connection.execute(sa.insert(tables.tasks).values(task))
    page.goto("/clips/walk#9")
    wait_for(page, 9)
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    assert opened.value is not page
    expect(page.locator("#task")).to_have_attribute(
        "href", "http://127.0.0.1:9/projects/3/data?task=77"
    )
    page.keyboard.press("Home")
    expect(page.locator("#task")).to_be_hidden()  # frame 0 has no task


@pytest.mark.browser
def test_a_long_clip_loads_only_what_is_near_and_shows_new_masks(page, workspace):
    clip = make_clip(workspace, "long", 1000)
    for frame in (0, 5, 900):
        predict(workspace, clip, frame, square(0))
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto("/clips/long")
    wait_for(page, 0)
    page.wait_for_load_state("networkidle")
    assert 10 < sum("/frames/" in url for url in requests) < 80
    page.goto("/clips/long#900")
    wait_for(page, 900)
    assert overlap(pink(page), square(0)) > 0.9
    page.wait_for_load_state("networkidle")
    assert sum("/frames/" in url for url in requests) < 200
    workspace.record(clip, 900, square(60), Draft("ann"))
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    expect(page.locator("#said")).to_contain_text("corrected by ann", timeout=20_000)
    wait_for(page, 900)
    assert overlap(pink(page), square(60)) > 0.9


@pytest.mark.browser
def test_a_frame_that_cannot_be_shown_is_told_and_costs_no_other(page, workspace, half_done):
    (workspace.frames(half_done).folder / "00003.jpg").write_bytes(b"no picture")
    page.goto("/clips/walk")
    wait_for(page, 0)
    expect(page.locator("#trouble")).to_contain_text("Frame 3 cannot be shown", timeout=20_000)
    page.keyboard.press("End")
    wait_for(page, 15)


def test_a_password_in_the_address_is_no_link(client, half_done):
    word = b64encode(SECRETS.password.encode()).decode()
    assert client.get(f"/clips/walk?key={word}").status_code == 401
