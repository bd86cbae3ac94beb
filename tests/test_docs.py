from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.engine.config import EmbedConfig, TrainConfig
from napari_tarrow.engine.config.attribution import AttributeConfig
from napari_tarrow.samples import sample_path

if TYPE_CHECKING:
    from types import ModuleType

    from napari_tarrow.engine.options import Options

ROOT = Path(__file__).parent.parent
CARD = ROOT / "src" / "napari_tarrow" / "engine" / "bundled" / "general_nuclei" / "CARD.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", CARD, *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
SETS: dict[str, type[Options]] = {"train": TrainConfig, "embed": EmbedConfig, "attribute": AttributeConfig}
FOREIGN = {"logdir", "control", "help", "packages"}  # of other commands that the pages show


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def python_of(name: str) -> list[str]:
    return re.findall(r"^```python\n(.+?)^```", page(name), flags=re.DOTALL | re.MULTILINE)


def commands_of(path: Path) -> list[list[str]]:
    """Command lines of ours that stand in a page by themselves."""
    lines = re.findall(r"^    (napari-tarrow-.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [shlex.split(line) for line in lines]


def known_options(command: str) -> set[str]:
    """Options that a command offers, as its own parser knows them."""
    module, _, name = COMMANDS[command].partition(":")
    answer = subprocess.run(
        [sys.executable, "-c", f"from {module} import {name}; {name}()", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    return set(re.findall(r"(?<![\w-])--?([a-z]\w*)", answer.stdout))


@pytest.fixture
def options() -> ModuleType:
    spec = util.spec_from_file_location("docs_options", ROOT / "docs" / "options.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", SETS)
def test_the_tables_have_a_row_for_every_option(options: ModuleType, command: str) -> None:
    table = options.tables(SETS[command])
    rows = [line for line in table.splitlines() if line.startswith(("| `", "| **`"))]
    assert sorted(re.findall(r"`--(\w+)`", row)[0] for row in rows) == sorted(SETS[command].model_fields)
    columns = 5 if SETS[command].presets else 4
    assert all(len(re.findall(r"(?<!\\)\|", row)) == columns for row in rows)


def test_the_page_of_options_holds_all_tables_as_they_are_now(options: ModuleType) -> None:
    there = page("options.md")
    assert re.findall(r"<!-- options of (\w+) -->", there) == list(SETS)
    assert options.with_tables(there) == there, "Run: python docs/options.py"


def test_a_row_says_both_presets_and_what_is_allowed(options: ModuleType) -> None:
    rows = options.tables(TrainConfig).splitlines()
    assert "| `--clip` |  | `3` |" in next(row for row in rows if "`--clip`" in row)
    [row] = [row for row in rows if "`--lr_scheduler`" in row]
    assert "| `cyclic` | `onecycle` |" in row
    assert "`cyclic`, `plateau`, `onecycle`, `constant`" in row
    assert "(at least 1, at most 100)" in next(row for row in rows if "`--contrast`" in row)
    assert "9223372036854775807" not in "".join(rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_pages_show_only_options_that_the_command_has(command: str) -> None:
    lines = [line for path in PAGES for line in commands_of(path) if line[0] == command]
    assert lines
    known = known_options(command)
    assert {word.lstrip("-").partition("=")[0] for line in lines for word in line if word.startswith("-")} <= known


def test_every_option_that_is_named_exists() -> None:
    known = FOREIGN.union(*(known_options(command) for command in COMMANDS))
    for path in PAGES:
        if path.name not in ("architecture.md", "decisions.md", "experiments.md", "performance.md"):
            named = set(re.findall(r"`--([a-z]\w+)", path.read_text(encoding="utf-8")))
            assert named <= known, path.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_file_that_is_linked_is_there(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert all((path.parent / target).is_file() for target in targets)


def test_every_picture_is_used_and_small() -> None:
    shown = {name for path in PAGES for name in re.findall(r"images/([\w.-]+)\)", path.read_text(encoding="utf-8"))}
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert set(there) == shown
    assert max(there.values()) < 300_000


@pytest.mark.slow
def test_the_python_of_the_guide_runs_as_pasted_and_its_table_knows_every_file(tmp_path: Path) -> None:
    blocks = [python_of(name) for name in ("train.md", "embeddings.md", "attribution.md")]
    assert [len(one) for one in blocks] == [3, 1, 1]
    code = "\n".join(block for one in blocks for block in one)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)

    [first, *_] = sorted((tmp_path / "runs").iterdir())
    table = page("train.md").partition("## The run folder")[2].partition("\n## ")[0]
    known = {name.rstrip("/") for name in re.findall(r"^\| `(.+?)` \|", table, flags=re.MULTILINE)}
    assert {path.name for path in first.iterdir()} <= known


@pytest.mark.slow
def test_the_commands_of_the_guide_run_as_pasted(tmp_path: Path) -> None:
    import tifffile

    shutil.copy(sample_path("cancer_cell_migration"), tmp_path / "movie.tif")
    shutil.copy(
        sample_path("cancer_cell_migration").with_name("cancer_cell_migration_divisions.csv"),
        tmp_path / "my_divisions.csv",
    )
    movie = tifffile.imread(tmp_path / "movie.tif")
    tifffile.imwrite(tmp_path / "nuclei.tif", (movie > movie.mean()).astype("uint16"), photometric="minisblack")
    train = next(line for line in commands_of(ROOT / "README.md") if line[0] == "napari-tarrow-train")
    train[train.index("--minutes") + 1] = "0.3"
    others = [line for name in ("embeddings.md", "attribution.md") for line in commands_of(ROOT / "docs" / name)]
    assert len(others) == 5
    for line in (train, *others):
        program = Path(sys.executable).with_name(line[0])
        subprocess.run([str(program), *line[1:]], check=True, cwd=tmp_path)

    table = page("attribution.md").partition("writes into the folder")[2].partition("\n`--overlay")[0]
    named = set(re.findall(r"^\| `(.+?)` \|", table, flags=re.MULTILINE))
    assert named <= {path.name for path in (tmp_path / "attribution").iterdir()}
    assert (tmp_path / "embedding_pca3.zarr").is_dir()
    assert (tmp_path / "nuclei.csv").is_file()
