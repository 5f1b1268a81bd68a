"""Actor classes, imported by their names in a topology file."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.runtime.actor import Actor
from topology.config.findings import nearest
from topology.config.graph import INBOX

OWN_PACKAGES = ("actors", "gateways")
NOT_FOR_FILES = ("actors.events", "actors.model", "actors.runtime", "actors.testing")
USER_FOLDER = "user"
ENDINGS = ("_exit", "abort", "execv", "execve")
"""What of `os` ends a process without a word; the others of its kind call these."""
LOOKED_IN = f"; looked in the installed packages, the working directory and its '{USER_FOLDER}'"


class NoSuchClassError(ImportError):
    """A class of the file cannot be used; the text says why, and what may have been meant."""


def load_class(path: str) -> type[Actor]:
    """Import the actor class that ``package.module:Class`` names.

    Raises:
        NoSuchClassError: it does not exist, cannot be imported or is not a usable actor.
    """
    add_user_folders()
    module_name, _, class_name = path.partition(":")
    try:
        with endings_raise():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise NoSuchClassError(f"importing '{module_name}' failed: {error}") from error
        hint = nearest(module_name, _modules(), else_list=False) or LOOKED_IN
        raise NoSuchClassError(f"there is no module '{module_name}'{hint}") from error
    except (Exception, SystemExit) as error:
        # A user's module may raise anything while it is imported.
        text = f"importing '{module_name}' failed: {type(error).__name__}: {error}"
        raise NoSuchClassError(text) from error
    found = getattr(module, class_name, None)
    if found is None:
        classes = [f"{module_name}:{name}" for name, _ in _actors_of(module)]
        raise NoSuchClassError(f"'{module_name}' has no '{class_name}'{nearest(path, classes)}")
    return _usable(found, path)


@contextmanager
def endings_raise() -> Iterator[None]:
    """Let code of others that would end this process raise `SystemExit` instead.

    Otherwise a check or a run would end as if all were well. Only this thread is affected.
    """
    here = threading.get_ident()
    before = {name: getattr(os, name) for name in ENDINGS}

    def refusing(name: str) -> Callable[..., Any]:
        def refuse(*arguments: Any) -> Any:
            if threading.get_ident() != here:
                return before[name](*arguments)
            raise SystemExit(f"called os.{name}({', '.join(map(repr, arguments))})")

        return refuse

    for name in ENDINGS:
        setattr(os, name, refusing(name))
    try:
        yield
    finally:
        for name, ending in before.items():
            setattr(os, name, ending)


def add_user_folders() -> None:
    """Add the working directory and its folder ``user`` to the end of the import path."""
    here = Path.cwd()
    for folder in (here, here / USER_FOLDER):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))


def known_actors() -> Iterator[tuple[str, type[Actor]]]:
    """Yield (``module:Class``, class) of every actor that comes with the system."""
    for name in _modules():
        if name.partition(".")[0] in OWN_PACKAGES:
            for class_name, actor_class in _actors_of(importlib.import_module(name)):
                yield f"{name}:{class_name}", actor_class


def settings_context(
    path: Path, instruments: Iterable[str], currencies: Iterable[str]
) -> dict[str, object]:
    """Return what settings are validated against: the file's folder and what it defines."""
    return {
        "base": path.resolve().parent,
        "instruments": tuple(instruments),
        "currencies": tuple(currencies),
    }


def _usable(found: object, path: str) -> type[Actor]:
    if not isinstance(found, type) or not issubclass(found, Actor):
        raise NoSuchClassError(
            f"'{path}' is not an actor: it does not extend actors.runtime.actor.Actor"
        )
    if found is Actor or inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ()))) or "all handlers"
        raise NoSuchClassError(f"'{path}' is abstract: it lacks {missing}")
    if INBOX in found.outputs:
        raise NoSuchClassError(f"'{path}' has an output '{INBOX}', a name that the runtime uses")
    try:
        with endings_raise():
            found.State()
    except TypeError as error:
        raise NoSuchClassError(
            f"'{path}': its State must start without arguments: {error}"
        ) from error
    except (Exception, SystemExit) as error:
        raise NoSuchClassError(
            f"'{path}': its State cannot be made: {type(error).__name__}: {error}"
        ) from error
    return found


def _modules() -> list[str]:
    """Return the names of modules that may hold actors: ours, then a user's."""
    own = [
        found.name
        for package in OWN_PACKAGES
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        if not found.ispkg and not found.name.startswith(NOT_FOR_FILES)
    ]
    user = pkgutil.iter_modules([str(Path.cwd() / USER_FOLDER), str(Path.cwd())])
    return own + [found.name for found in user]


def _actors_of(module: object) -> Iterator[tuple[str, type[Actor]]]:
    name = getattr(module, "__name__", "")
    for class_name, found in inspect.getmembers(module, inspect.isclass):
        abstract = inspect.isabstract(found)
        if found.__module__ == name and issubclass(found, Actor) and not abstract:
            yield class_name, found
