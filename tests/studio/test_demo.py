"""`mvps demo` as a person starts it, a second time beside it, and the other commands meanwhile."""

import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.backend.terminal import Terminal
from tests.labeler.videos import write_video


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, str]]:
    """A demo that runs, and what it said until everything was started."""
    folder = tmp_path_factory.mktemp("demo")
    terminal = Terminal(folder / "workspace")
    for name in [name for name in terminal.environment if name.startswith("LABEL_STUDIO_")]:
        del terminal.environment[name]
    video = write_video(folder / "walk.mp4", 12)
    process = terminal.start("demo", "--model", "copy", video)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C"):
            break
    yield terminal, said
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, said + err


def address(said: str, name: str) -> str:
    [found] = re.findall(rf"^{name}: +(\S+)", said, re.MULTILINE)
    return str(found)


def test_it_says_what_nobody_has_reviewed(demo: tuple[Terminal, str]) -> None:
    assert "3 of its masks not reviewed" in demo[1]


def test_a_second_one_is_told_where_the_first_one_is(demo: tuple[Terminal, str]) -> None:
    terminal, said = demo
    _, err = terminal.run("demo", "--model", "copy", expect=1)
    assert "runs already" in err
    assert address(said, "label") in err
    assert address(said, "status") in err
    assert not (terminal.root / "demo.mp4").exists()  # it did nothing before it looked


def test_other_commands_find_it_without_any_setting(demo: tuple[Terminal, str]) -> None:
    terminal, said = demo
    out, _ = terminal.run("doctor")
    assert re.search(rf"fine +studio +{address(said, 'label').rstrip('/')}, as you@", out)
    for name in ("service", "worker", "files", "backend", "webhook"):
        assert re.search(rf"fine +{name} ", out), out
    out, _ = terminal.run("studio", "connect")
    assert "Everything is as it should be." in out
    out, _ = terminal.run("studio", "sync")
    assert "fetched 0 submissions" in out


def test_its_clip_is_watched_by_the_link_that_it_prints(demo: tuple[Terminal, str]) -> None:
    _, said = demo
    with httpx.Client(follow_redirects=True) as nobody:
        assert nobody.get(address(said, "status")).status_code == 401
        shown = nobody.get(address(said, "watch"))
        assert shown.status_code == 200
        assert "<h1>walk</h1>" in shown.text
        assert nobody.get(f"{shown.url}/frames/3.jpg").headers["content-type"] == "image/jpeg"
        assert nobody.get(address(said, "status")).status_code == 401
