from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.engine.config import TrainConfig

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = {"config", "sample", "resume", "help"}  # of the training command
FOREIGN = {"logdir", "control"}  # of other commands that the guide shows


@pytest.fixture
def options() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_options", ROOT / "docs" / "options.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_have_a_row_for_every_option(options: ModuleType) -> None:
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    rows = [line for line in options.with_tables(page).splitlines() if line.startswith(("| `", "| **`"))]
    assert sorted(re.findall(r"`--(\w+)`", row)[0] for row in rows) == sorted(TrainConfig.model_fields)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)


def test_a_row_says_both_presets_and_what_is_allowed(options: ModuleType) -> None:
    rows = options.tables().splitlines()
    assert "| `--clip` |  | `3` |" in next(row for row in rows if "`--clip`" in row)
    [row] = [row for row in rows if "`--lr_scheduler`" in row]
    assert "| `cyclic` | `onecycle` |" in row
    assert "`cyclic`, `plateau`, `onecycle`, `constant`" in row
    assert "(at least 0, at most 5)" in next(row for row in rows if "`--augment`" in row)
    assert "9223372036854775807" not in "".join(rows)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "train.md"], ids=lambda page: page.name)
def test_every_option_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--([a-z]\w+)", page.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= {*TrainConfig.model_fields, *OTHERS, *FOREIGN}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_is_there(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert all((page.parent / target).is_file() for target in targets)


@pytest.mark.slow
def test_the_python_of_the_guide_runs_as_pasted_and_its_table_knows_every_file(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.+?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    subprocess.run([sys.executable, "-c", "\n".join(blocks)], check=True, cwd=tmp_path)

    assert (tmp_path / "places.png").is_file()
    [first, *_] = sorted((tmp_path / "runs").iterdir())
    table = GUIDE.partition("## The run folder")[2].partition("\n## ")[0]
    known = {name.rstrip("/") for name in re.findall(r"^\| `(.+?)` \|", table, flags=re.MULTILINE)}
    assert {path.name for path in first.iterdir()} <= known
