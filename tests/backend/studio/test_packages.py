"""What is told while pip works; pip is a script here that prints what the real one printed."""

import sys

import pytest

from backend.studio.packages import install_packages
from labeler.errors import LabelerError

PRINTED = """\
Collecting label-studio==1.23.2
  Downloading label_studio-1.23.2-py3-none-any.whl.metadata (25 kB)
Collecting numpy<3.0.0,>=2.2.4 (from label-studio==1.23.2)
  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl.metadata (6.6 kB)
Collecting Django
  Using cached django-5.2-py3-none-any.whl (8.1 MB)
Collecting numpy
Requirement already satisfied: pip in ./lib (23.2)
Downloading label_studio-1.23.2-py3-none-any.whl (97.3 MB)
Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.9 MB)
Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)
Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (1.1 GB)
Installing collected packages: numpy, Django, label-studio
Successfully installed
"""


@pytest.fixture
def python(tmp_path):
    """An interpreter whose pip prints a text and ends with an exit code."""

    def made(text, code=0):
        (tmp_path / "text").write_text(text)
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nprint(open({str(tmp_path / 'text')!r}).read())\n"
            f"print(sys.argv, file=sys.stderr)\nsys.exit({code})\n"
        )
        script.chmod(0o755)
        return script

    return made


def test_large_downloads_and_the_count_of_packages_are_told(python):
    told, counts = [], []
    install_packages(python(PRINTED), ["label-studio==1.23.2"], told.append, counts.append)
    assert told == [
        "  downloading label_studio, 97 MB",
        "  downloading numpy, 17 MB",
        "  downloading torch, 1100 MB",
        "  unpacking 3 packages",
    ]
    assert counts == [1, 2, 3, 3]


def test_a_failure_tells_the_end_of_what_pip_said(python):
    said = "x\n" * 500 + "ERROR: No matching distribution found for label-studio==1.23.2\n"
    with pytest.raises(LabelerError, match="No matching distribution") as raised:
        install_packages(python(said, 1), ["label-studio==1.23.2"], print)
    assert str(raised.value).count("x\n") < 40
    assert "label-studio==1.23.2 failed" in str(raised.value)
