from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

npe2 = pytest.importorskip("npe2")
settings = pytest.importorskip("napari.settings")

from napari_tarrow.engine.config import TrainConfig  # noqa: E402
from napari_tarrow.widgets.shared.preferences import Preferences, read_preferences  # noqa: E402

if TYPE_CHECKING:
    from npe2._pytest_plugin import TestPluginManager

MANIFEST = npe2.PluginManifest.from_file(str(files("napari_tarrow") / "napari.yaml"))
HAS_PAGE = hasattr(settings, "get_plugin_settings")


@pytest.fixture
def page(request: pytest.FixtureRequest, npe2pm: TestPluginManager) -> Any:
    """Our page of napari's preferences, as napari made it from the manifest."""
    if not HAS_PAGE:
        pytest.skip("napari shows plugins' preferences since 0.9")
    request.getfixturevalue("plugin_settings")
    npe2pm.register(MANIFEST)
    return settings.get_plugin_settings("napari-tarrow").computing


def test_untouched_preferences_are_the_defaults(page):
    assert read_preferences() == Preferences()
    assert Preferences().run_folder == Path.home() / "napari-tarrow"


def test_what_the_user_sets_is_read(page, tmp_path):
    page.device, page.precision, page.run_folder, page.memory_gb = "cpu", "bf16", str(tmp_path), 1.5
    assert read_preferences() == Preferences("cpu", "bf16", tmp_path, 1_500_000_000)


def test_the_home_folder_may_be_written_short(page):
    page.run_folder = " ~/movies/runs "
    assert read_preferences().run_folder == Path.home() / "movies" / "runs"


def test_every_choice_is_one_that_training_takes(page):
    properties = MANIFEST.contributions.configurations["computing"].properties
    for name in ("device", "precision"):
        assert properties[name].default == TrainConfig.model_fields[name].default
    for precision in properties["precision"].enum:
        assert TrainConfig(precision=precision).precision == precision
    for device in properties["device"].enum:
        assert TrainConfig(device=device).device == device


def test_an_older_napari_gives_the_defaults(monkeypatch):
    monkeypatch.delattr(settings, "get_plugin_settings", raising=False)
    assert read_preferences() == Preferences()


@pytest.mark.skipif(not HAS_PAGE, reason="napari shows plugins' preferences since 0.9")
def test_a_plugin_that_is_switched_off_gives_the_defaults(plugin_settings):
    assert read_preferences() == Preferences()


def test_asking_loads_no_window():
    before = set(sys.modules)
    read_preferences()
    assert not {name for name in set(sys.modules) - before if name.startswith("torch")}
