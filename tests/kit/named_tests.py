"""Tests by their names, for whoever shows that a test can fail."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module


def named_test(name: str) -> Callable[..., None]:
    """Return the function of a test named as pytest does: a file below `tests/`, `::`, a name."""
    file, _, function = name.partition("::")
    module = import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
    test: Callable[..., None] = getattr(module, function)
    return test
