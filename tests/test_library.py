"""The packages as a library: their public names, their version, the example of the README."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import labeler
from labeler.clip import encode_jpeg
from labeler.mask import encode_mask, read_mask
from tests.accepted import figure, picture

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", ["labeler", "model"])
def test_every_public_name_is_there_and_listed_once_for_all(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"{package}.*nonsense"):
        module.nonsense  # noqa: B018

    homes = {"__version__": "labeler.version"} | module._HOMES
    assert homes.keys() == set(module.__all__)
    tree = ast.parse(Path(module.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for_types = {alias.name: node.module for node in imports for alias in node.names}
    assert {name: for_types.get(name) for name in homes} == homes


def test_importing_a_package_imports_nothing_heavy():
    program = (
        "import sys, labeler, model\n"
        "heavy = {'torch', 'sqlalchemy', 'cv2', 'numpy', 'av', 'huey'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_version_is_one_number():
    from backend.cli.main import app

    said = CliRunner().invoke(app, ["--version"]).output
    assert said.strip() == labeler.__version__
    assert importlib.import_module("model").__version__ == labeler.__version__
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"]
    attribute = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    module, _, name = attribute.rpartition(".")
    assert getattr(importlib.import_module(module), name) == labeler.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == f"[{labeler.__version__}]"
    assert f"mvps-labeler {labeler.__version__}" in (ROOT / "docs" / "results.md").read_text()


def test_the_example_of_the_readme_makes_masks(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (example,) = [block for block in blocks if "load_segmenter" in block]
    assert len(example.splitlines()) <= 12
    (tmp_path / "pictures").mkdir()
    for index in range(3):
        jpeg = encode_jpeg(picture(index, seed=0))
        (tmp_path / "pictures" / f"{index:05d}.jpg").write_bytes(jpeg)
    (tmp_path / "first.png").write_bytes(encode_mask(figure(0, seed=0)))
    (tmp_path / "masks").mkdir()
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    masks = [read_mask(path) for path in sorted((tmp_path / "masks").glob("*.png"))]
    assert [mask.shape for mask in masks] == [figure(0, seed=0).shape] * 3
    assert np.array_equal(masks[0], figure(0, seed=0))  # a person's mask is never changed
    assert all(mask.any() for mask in masks)
