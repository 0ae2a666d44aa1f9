"""The templates: what they may use, and that nothing comes out of them but text in the language they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2

from gridbyoc.errors import FileError
from gridbyoc.render.hcl import hcl, identifier, only_hcl

_PACKAGE = Path(__file__).parent.parent


def data_dir(name: str, package: Path = _PACKAGE) -> Path:
    """The directory ``modules`` or ``templates``: ``_data`` of the installed package, else the checkout's top level.

    Raises ``FileError`` where neither holds it. ``package`` is the directory of the installed package.
    """
    places = (package / "_data" / name, package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileError(
        f"The directory {name} of this program is missing.",
        why=f"Neither {places[0]} nor {places[1]} is there.",
        fix="Install gridbyoc again.",
    )


_HCL: Mapping[str, Callable[..., Any]] = MappingProxyType({"hcl": hcl, "identifier": identifier})
_NO_SYNTAX: Mapping[str, Any] = MappingProxyType({})


def template_environment(
    finalize: Callable[[object], str] = only_hcl,
    filters: Mapping[str, Callable[..., Any]] = _HCL,
    syntax: Mapping[str, Any] = _NO_SYNTAX,
) -> jinja2.Environment:
    """Jinja over the directory ``templates``: undefined names are errors, every printed value has passed a filter.

    ``finalize`` and ``filters`` are those of HCL unless another language's are given; ``syntax`` are Jinja's own signs,
    for a language that has braces of its own.
    """
    environment = jinja2.Environment(  # noqa: S701  nothing but what finalize lets pass comes out
        loader=jinja2.FileSystemLoader(data_dir("templates")),
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **syntax,
    )
    environment.filters |= dict(filters)
    return environment
