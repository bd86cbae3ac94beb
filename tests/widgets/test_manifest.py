from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pytest

npe2 = pytest.importorskip("npe2")
menus = pytest.importorskip("napari._app_model.constants")

from napari_tarrow import widgets  # noqa: E402
from napari_tarrow.samples import SAMPLES  # noqa: E402
from napari_tarrow.samples.public import PUBLIC  # noqa: E402

MANIFEST = npe2.PluginManifest.from_file(str(files("napari_tarrow") / "napari.yaml"))
GIVEN = MANIFEST.contributions


def loaded_after(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after running `code`."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_there_are_three_widgets_with_their_names():
    assert [widget.display_name for widget in GIVEN.widgets] == ["Train TAP", "Compute embeddings", "Show attribution"]
    assert sorted(widgets.__all__) == sorted(
        command.python_name.split(":")[1] for command in GIVEN.commands if "widgets:" in command.python_name
    )


def test_everything_the_manifest_names_is_there():
    MANIFEST.validate_imports()


def test_every_sample_stands_in_the_menu():
    assert {sample.key for sample in GIVEN.sample_data} == {*SAMPLES, *PUBLIC}


def test_every_widget_stands_in_a_layer_menu_that_napari_opens_to_plugins():
    assert sorted(item.command for items in GIVEN.menus.values() for item in items) == sorted(
        widget.command for widget in GIVEN.widgets
    )
    assert all(menus.MenuId(menu) in menus.MenuId.contributables() for menu in GIVEN.menus)


def test_loading_the_widgets_brings_neither_torch_nor_what_draws():
    loaded = loaded_after("from napari_tarrow.widgets import AttributionWidget, EmbeddingWidget, TrainWidget")
    assert "napari_tarrow" in loaded
    assert loaded.isdisjoint({"torch", "matplotlib", "pyqtgraph", "tifffile", "zarr", "pooch", "sklearn"})


def test_opening_every_dock_brings_no_torch():
    code = """
import napari
viewer = napari.Viewer(show=False)
viewer.open_sample("napari-tarrow", "cancer_cell_migration")
for name in ("Train TAP", "Compute embeddings", "Show attribution"):
    viewer.window.add_plugin_dock_widget("napari-tarrow", name)
viewer.close()
"""
    loaded = loaded_after(code)
    assert {"napari", "napari_tarrow"} <= loaded
    assert loaded.isdisjoint({"torch", "matplotlib", "tensorboard"})


def test_naming_the_widgets_loads_none():
    loaded = loaded_after("import napari_tarrow.widgets as widgets; dir(widgets)")
    assert loaded.isdisjoint({"napari", "qtpy", "torch", "numpy"})


def test_an_unknown_widget_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'TrainWidgets'"):
        widgets.TrainWidgets  # noqa: B018
