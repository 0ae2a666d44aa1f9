"""Render a stack into its work_dir: the root module from the templates, the module that it calls, and the values."""

from gridbyoc.render.hcl import hcl
from gridbyoc.render.root import NO_PREVIOUS_ROLE, KnownPolicies, PreviousRole, s3_settings
from gridbyoc.render.templates import data_dir
from gridbyoc.render.work_dir import (
    Rendered,
    declared_files,
    file_digest,
    module_digest,
    read_by_terraform,
    render,
    rendered_files,
    root_digest,
    standing_account,
    standing_ids,
    standing_known,
    strange_files,
    terraform_files,
    values_differ,
)

__all__ = [
    "NO_PREVIOUS_ROLE",
    "KnownPolicies",
    "PreviousRole",
    "Rendered",
    "data_dir",
    "declared_files",
    "file_digest",
    "hcl",
    "module_digest",
    "read_by_terraform",
    "render",
    "rendered_files",
    "root_digest",
    "s3_settings",
    "standing_account",
    "standing_ids",
    "standing_known",
    "strange_files",
    "terraform_files",
    "values_differ",
]
