"""Triton is imported with symbols of its own, where an LLVM of another library is loaded."""

from __future__ import annotations

import os
import sys

import pytest

from napari_tarrow.engine import apart

pytestmark = pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="libraries are bound otherwise here")


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Stand in for Triton, and say with which flags it is imported while these libraries are loaded."""
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(apart, "_MAPS", tmp_path / "maps")

    def flags(libraries, code="import sys\nflags = sys.getdlopenflags()"):
        (tmp_path / "triton.py").write_text(code)
        if libraries is not None:
            (tmp_path / "maps").write_text(libraries)
        apart.import_triton()
        return getattr(sys.modules.pop("triton", None), "flags", None)

    return flags


def test_beside_another_llvm_it_is_bound_deeply(imported):
    before = sys.getdlopenflags()
    assert imported("7f00-7f01 r-xp /usr/lib/libLLVM-15.so.1\n") == before | os.RTLD_DEEPBIND
    assert sys.getdlopenflags() == before


@pytest.mark.parametrize("libraries", ["7f00-7f01 r-xp /usr/lib/libGL.so\n", None])
def test_else_it_is_left_to_torch(imported, libraries):
    assert imported(libraries) is None
    assert "triton" not in sys.modules


def test_one_that_cannot_be_imported_is_left_to_torch(imported):
    before = sys.getdlopenflags()
    assert imported("libLLVM", "raise RuntimeError") is None
    assert sys.getdlopenflags() == before
