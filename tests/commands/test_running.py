"""What every command shares: a process of its own, looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from napari_tarrow import __version__
from napari_tarrow.commands.running import run_command

RUN = "import sys; from napari_tarrow.commands.train import main; code = main()"


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_loads_nothing_heavy(word: str) -> None:
    heavy = "{'torch', 'matplotlib', 'zarr', 'scipy', 'numpy', 'tifffile', 'tensorboard', 'yaml'}"
    ended = run(f"{RUN}; print('loaded:', sorted({heavy} & set(sys.modules))); sys.exit(code)", word)
    assert ended.returncode == 0
    assert "usage: napari-tarrow-train" in ended.stdout
    assert ended.stdout.endswith("loaded: []\n")
    assert ended.stderr == ""


def test_a_slip_loads_no_torch() -> None:
    ended = run(f"{RUN}; print('torch' in sys.modules); sys.exit(code)", "--sise", "3")
    assert (ended.returncode, ended.stdout) == (2, "False\n")
    assert ended.stderr == "napari-tarrow-train: error: Unknown option --sise. Did you mean --size?\n"


def test_the_version_is_told() -> None:
    ended = run(f"{RUN}; sys.exit(code)", "--version")
    assert (ended.returncode, ended.stdout) == (0, f"napari-tarrow-train {__version__}\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise elsewhere")
@pytest.mark.parametrize("command", ["print('x') or 0", "print('x', flush=True) or 0", "main(['--help'])"])
def test_a_reader_that_goes_away_leaves_no_complaint(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        script = f"""
import sys
from napari_tarrow.commands.running import run_command
from napari_tarrow.commands.train import main
sys.exit(run_command("it", lambda: {command}))
"""
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        ended = subprocess.run(
            [sys.executable, "-c", script], stdout=gone, stderr=subprocess.PIPE, env=buffered, text=True, check=False
        )
    assert ended.stderr == ""


def test_a_name_the_terminal_cannot_write_is_escaped() -> None:
    script = (
        "from napari_tarrow.commands.running import run_command;"
        " run_command('it', lambda: print('\\u7d30\\udce4') or 0)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.stderr) == ("\\u7d30\\udce4", "")


def test_ctrl_c_before_anything_began_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert run_command("it", interrupted) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_the_exit_code_is_the_command_s() -> None:
    assert run_command("it", lambda: 0) == 0
    assert run_command("it", lambda: 7) == 7


@pytest.mark.skipif(os.name != "posix", reason="closes a stream as a shell does")
def test_a_closed_output_stops_nothing() -> None:
    script = "from napari_tarrow.commands.running import run_command; import sys; "
    script += "sys.exit(run_command('it', lambda: print('unheard', flush=True) or 0))"
    ended = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" >&-', sys.executable, script], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_output_on_a_full_disk_is_one_sentence() -> None:
    script = "from napari_tarrow.commands.running import run_command; import sys; "
    script += "sys.exit(run_command('it', lambda: print('lost', flush=True) or 0))"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr == "it: error: The disk is full: what is printed could not be written. Free some space.\n"
