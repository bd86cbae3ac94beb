"""The info command: lines for people, an object for scripts, a sentence for what is no model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tarrow.commands.info import main
from napari_tarrow.engine.models import TimeArrowNet, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mine"
    write_model(folder, TimeArrowNet("unet_16fmaps", n_features=6, symmetric=True))
    (folder / "losses.json").write_text("{")
    return folder


def test_lines_are_labelled_aligned_and_fit_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    assert main([str(folder)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [str(folder), ""]
    assert "Network          unet_16fmaps, 488,992 parameters" in lines
    assert "                 permutation-equivariant" in lines
    assert max(map(len, lines[2:-1])) <= 60
    assert lines[-1] == f"Note: {folder / 'losses.json'} is damaged; without it the losses are not known."


def test_json_holds_the_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(folder)]) == 0

    values = json.loads(capsys.readouterr().out)
    assert values["network"]["backbone"] == "unet_16fmaps"
    assert values["receptive_field"] == TimeArrowNet("unet_16fmaps").receptive_field
    assert (values["ours"], values["history"], values["files"][0]) == (False, None, "losses.json")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere is no folder. Give the model folder, which holds model_kwargs.yaml and model_state.pt"),
        (["."], "has no model_state.pt"),
        ([], "The following arguments are required: MODEL. Write: napari-tarrow-info MODEL [options]"),
        (["a", "--jsn"], "Unknown option --jsn. Did you mean --json?"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(words) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert told.err.count("\n") == 1


def test_help_loads_neither_torch_nor_numpy() -> None:
    script = "import sys; from napari_tarrow.commands.info import main; main(['--help']);"
    script += "print(sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)))"
    project = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=project)
    assert ended.stdout.endswith("[]\n")
    assert ended.stdout.startswith("usage: napari-tarrow-info MODEL [options]")
