from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_tarrow
from napari_tarrow.engine.errors import UserError
from napari_tarrow.samples import SAMPLES, cancer_cell_migration, sample_path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def modules_after(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after running `code`."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_the_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").read_bytes() == (files("napari_tarrow") / "napari.yaml").read_bytes()


def test_napari_finds_the_manifest_of_what_is_installed():
    manifest = PluginManifest.from_distribution("napari-tarrow")
    assert manifest.name == "napari-tarrow"
    assert manifest.contributions.widgets


def test_the_version_has_one_source():
    assert importlib.metadata.version("napari-tarrow") == napari_tarrow.__version__
    assert f"## {napari_tarrow.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_importing_the_package_loads_nothing_heavy():
    loaded = modules_after("import napari_tarrow; dir(napari_tarrow)")
    assert loaded.isdisjoint({"torch", "numpy", "pydantic", "yaml", "matplotlib", "napari", "qtpy", "PyQt6", "PySide6"})


def test_importing_the_samples_loads_neither_torch_nor_napari():
    loaded = modules_after("from napari_tarrow.samples import sample_path; sample_path('cancer_cell_migration')")
    assert loaded.isdisjoint({"torch", "tifffile", "napari", "qtpy"})


@pytest.mark.parametrize("name", napari_tarrow.__all__)
def test_every_public_name_is_there_and_listed(name):
    assert getattr(napari_tarrow, name) is not None
    assert name in dir(napari_tarrow)


def test_the_models_are_reached_as_an_attribute():
    assert napari_tarrow.models.__name__ == "napari_tarrow.engine.models"


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'napari_tarrow' has no attribute 'modles'"):
        napari_tarrow.modles  # noqa: B018


def test_the_oldest_dependencies_tested_are_those_that_the_project_admits():
    admitted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["napari"]]
    floors = {re.sub(r"\[.*\]", "", line).replace(">=", "==") for line in admitted}
    pinned = (ROOT / "scripts" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    assert floors == {line for line in pinned if not line.startswith("#")}


def test_the_base_dependencies_hold_neither_qt_nor_napari():
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in PROJECT["dependencies"]}
    assert names.isdisjoint({"napari", "qtpy", "superqt", "magicgui", "pyqtgraph", "pyqt6", "pyside6"})
    assert any(line.startswith("napari[all]") for line in PROJECT["optional-dependencies"]["all"])


def test_every_script_named_in_the_readme_is_there():
    named = re.findall(r"python3? (scripts/\w+\.py)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"scripts/demo.py", "scripts/test.py"} <= set(named)
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.slow
def test_the_python_of_the_readme_runs_as_pasted(tmp_path):
    [code] = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert answer.stdout.splitlines()[-1] == "Dense representations: (1, 2, 32, 96, 96)"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_bundled_movie_comes_with_its_divisions_and_its_attribution(name):
    sample = SAMPLES[name]
    assert sample_path(name) == sample.movie
    divisions = np.genfromtxt(sample.divisions, delimiter=",", names=True)
    assert {"frame", "y", "x"} <= set(divisions.dtype.names)
    assert sample.movie.name in (sample.movie.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")


def test_napari_gets_the_bundled_movie_as_an_image_layer_with_its_attribution():
    [(frames, options, kind)] = cancer_cell_migration()
    assert (frames.shape, frames.dtype, kind) == ((48, 130, 130), np.uint16, "image")
    assert options["name"] == "cancer_cell_migration"
    assert "CC BY 4.0" in options["metadata"]["attribution"]


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("cancer_cell_migraton", "Did you mean 'cancer_cell_migration'?"),
        ("hela", "Choose one of: cancer_cell_migration."),
    ],
)
def test_an_unknown_sample_is_refused_with_what_there_is(typed, advice):
    with pytest.raises(UserError) as refused:
        sample_path(typed)
    assert str(refused.value) == f"There is no bundled movie {typed!r}. {advice}"
