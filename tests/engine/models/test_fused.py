"""Kernels of our own: see `kernels_against_torch.py`, which takes a process of its own, as Triton is told once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_tarrow.engine.models.fused import available

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed")


def compare(**environment):
    tests = Path(__file__).with_name("kernels_against_torch.py")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider", str(tests)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_in_the_interpreter():
    compare(TRITON_INTERPRET="1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu():
    compare()


def test_only_where_they_are_asked_for(monkeypatch):
    monkeypatch.delenv("NAPARI_TARROW_KERNELS", raising=False)
    assert not available(torch.device("cuda:0"), True)
    monkeypatch.setenv("NAPARI_TARROW_KERNELS", "1")
    assert not available(torch.device("cpu"), True)
