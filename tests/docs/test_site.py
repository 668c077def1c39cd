"""The site builds without a warning: no broken link, no page that is missing, no bad docstring."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_site_builds(repository, tmp_path):
    pytest.importorskip("sphinx", reason="pip install -e '.[docs]', or make docs")
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("-d", tmp_path / "doctrees", repository / "docs", tmp_path / "site"),
        ],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    for page, words in {
        "index": "a man walks forward and then turns left",
        "generated/configuration": "stage.module.align_weight",
        "api/generation": "load_motion_model",
        "reference/motion_features": "layout263.png",
    }.items():
        assert words in (tmp_path / "site" / f"{page}.html").read_text(encoding="utf-8"), page
    outside = [
        path
        for path in (tmp_path / "site").rglob("*.html")
        if "https://cdn" in path.read_text(encoding="utf-8")
    ]
    assert outside == []  # it reads without a network
