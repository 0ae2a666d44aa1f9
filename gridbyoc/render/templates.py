"""The Jinja environment of the templates. It ensures that they print only text that a filter has made safe."""

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

    Raises ``FileError`` if neither contains it. ``package`` is the directory of the installed package.
    """
    places = (package / "_data" / name, package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileError(
        f"The directory {name} of this program is missing.",
        why=f"Neither {places[0]} nor {places[1]} exists.",
        fix="Install gridbyoc again.",
    )


_HCL: Mapping[str, Callable[..., Any]] = MappingProxyType({"hcl": hcl, "identifier": identifier})
_NO_SYNTAX: Mapping[str, Any] = MappingProxyType({})


def template_environment(
    finalize: Callable[[object], str] = only_hcl,
    filters: Mapping[str, Callable[..., Any]] = _HCL,
    syntax: Mapping[str, Any] = _NO_SYNTAX,
) -> jinja2.Environment:
    """A Jinja environment of the directory ``templates``. Undefined names are errors; every value must pass a filter.

    ``finalize`` and ``filters`` default to those of HCL. ``syntax`` overrides Jinja's delimiters, for a language that
    uses braces itself.
    """
    environment = jinja2.Environment(  # noqa: S701  finalize refuses every value that is not quoted
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
