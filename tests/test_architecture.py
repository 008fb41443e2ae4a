"""The line backend -> model -> labeler, and the rooms of each, read off the imports."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("labeler", "model", "backend")
MAY_USE = {
    "labeler": {"labeler"},
    "model": {"labeler", "model"},
    "backend": {"labeler", "model", "backend"},
}
LEVELS = {
    "labeler": (
        "errors lazy threads version",
        "text",
        "images",
        "clip console files mask revision",
        "likeness metrics reference",
        "layouts",
        "workspace",
        "review",
        "collect",
        "publish",
        "inspect",
        "__init__",
    ),
    "model": (
        "segmenter window",
        "data nn",
        "samples",
        "learning",
        "engine",
        "card drivers",
        "engines registry weights",
        "loading",
        "measure training",
        "commands",
        "simulation",
        "__main__ __init__",
    ),
    "backend": (
        "settings",
        "credentials",
        "page_links store",
        "studio",
        "doctor work",
        "service",
        "cli",
        "__main__ _wsgi",
        "__init__",
    ),
}
"""The rooms and files of each package from the bottom up: each may import what stands in lines
above its own. A new room gets its place here. What a room has in a lower line is named with it."""
UPWARD = {("engine", "engines")}  # which folders there are, and no name out of them
FILES_IN_A_FOLDER = 13
NOT_IN_LABELER = {"torch", "flask", "requests", "httpx", "label_studio_sdk"}
NOT_ON_A_BARE_GPU_BOX = (
    "sqlalchemy",
    "av",
    "huey",
    "pydantic_settings",
    "jinja2",
    "matplotlib",
    "scenedetect",
)


def imports_of(path: Path) -> set[str]:
    """The first names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole name, as it stands on disk"
            found.add((node.module or "").split(".")[0])
    return found


def modules_imported_by(path: Path) -> set[str]:
    """The whole names of all modules that a file imports, `a.b` for `from a import b`, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            inside = (ROOT / module.replace(".", "/")).is_dir()
            found |= {f"{module}.{a.name}" for a in node.names} if inside else {module}
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_never_run_against_the_line(package):
    assert sources(package)
    for path in sources(package):
        against = (imports_of(path) & set(PACKAGES)) - MAY_USE[package]
        assert not against, f"{path.relative_to(ROOT)} imports {against}"


def room_of(module: str, rooms: Iterable[str]) -> str | None:
    """The room that a module of a package is in, without the package's name."""
    inside = module.partition(".")[2]
    found = [room for room in rooms if f"{inside}.".startswith(f"{room}.")]
    return max(found, key=len, default=None)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_room_knows_only_those_below_it(package):
    lines = enumerate(LEVELS[package])
    level_of = {room: number for number, line in lines for room in line.split()}
    for path in sources(package):
        room = room_of(module_of(path), level_of)
        assert room, f"give {path.relative_to(ROOT)} its place in LEVELS"
        for module in modules_imported_by(path):
            if module.partition(".")[0] != package:
                continue
            other = room_of(module, level_of)
            assert other, f"{path.relative_to(ROOT)} imports {module}, which has no place in LEVELS"
            known = other == room or level_of[other] < level_of[room] or (room, other) in UPWARD
            assert known, f"{path.relative_to(ROOT)} imports {module}, which is not below it"


def test_no_room_is_crowded():
    for package in PACKAGES:
        for folder in {path.parent for path in sources(package)}:
            files = [path for path in folder.glob("*.py") if path.stem != "__init__"]
            assert len(files) <= FILES_IN_A_FOLDER, f"{folder.relative_to(ROOT)}: {len(files)}"


def test_the_domain_knows_no_torch_and_no_http():
    for path in sources("labeler"):
        assert not imports_of(path) & NOT_IN_LABELER, path


def test_the_network_runs_on_a_bare_gpu_box():
    """`model` and what it imports of `labeler` need neither the database nor video libraries."""
    modules = [module_of(path) for path in sources("model") if path.stem[0] != "_"]
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in NOT_ON_A_BARE_GPU_BOX)
    program = f"import sys\n{blocked}import {', '.join(modules)}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_asking_for_help_does_not_wait_for_torch():
    program = "import sys, backend.cli.main\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_no_engine_is_named_outside_model():
    for package in ("labeler", "backend"):
        for path in sources(package):
            engines = {
                *(
                    "model.engines.pdnet.network",
                    "model.engines.pdnet.segmenter",
                    "model.engines.gam.network",
                    "model.engines.gam.segmenter",
                ),
                *("model.drivers.seeds", "model.engines.baselines.baselines"),
            }
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    assert node.module not in engines, path


def test_no_file_of_the_plugin_hides_a_standard_module():
    names = {path.stem for path in sources("backend")} - {"__init__"}
    assert not names & (set(sys.stdlib_module_names) | {"model"})


def test_packages_are_listed_and_tests_do_not_ship():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {path.parent for package in PACKAGES for path in sources(package)}
    listed = settings["tool"]["setuptools"]["packages"]["find"]["include"]
    assert listed == [f"{package}*" for package in PACKAGES]
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_what_is_no_python_is_shipped_too():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package, patterns in settings["tool"]["setuptools"]["package-data"].items():
        shipped = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
        there = {
            path
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        assert there == shipped
