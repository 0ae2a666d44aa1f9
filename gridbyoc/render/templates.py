"""The templates: what they may use, and that nothing but HCL comes out of them."""

from __future__ import annotations

import jinja2

from gridbyoc.render.data import data_dir
from gridbyoc.render.hcl import hcl, identifier, only_hcl


def template_environment() -> jinja2.Environment:
    """Jinja over the directory ``templates``: undefined names are errors, every printed value has passed a filter."""
    environment = jinja2.Environment(  # noqa: S701  what comes out is HCL, and only_hcl guards it
        loader=jinja2.FileSystemLoader(data_dir("templates")),
        undefined=jinja2.StrictUndefined,
        finalize=only_hcl,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"hcl": hcl, "identifier": identifier}
    return environment
