"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def on_demand(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``, so that importing it loads none of its modules.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping of names to modules
        Where each public name is defined, relative to the package; a module's own name stands for the module.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{modules[name]}")
        return module if modules[name].rpartition(".")[2] == name else getattr(module, name)

    return get, lambda: sorted(sys.modules[package].__all__)
