"""Terraform as this program drives it: find a binary, run its verbs, hear its events, read its outputs."""

from gridbyoc.terraform.binary import Binary, find_binary
from gridbyoc.terraform.events import (
    ChangeSummary,
    Diagnostic,
    Log,
    OutputsEvent,
    PlannedChange,
    ResourceChange,
    ResourceDrift,
    ResourceEvent,
    TerraformEvent,
    Version,
    parse_event,
)
from gridbyoc.terraform.mirror import check_mirror
from gridbyoc.terraform.outputs import Outputs
from gridbyoc.terraform.runner import Runner
from gridbyoc.terraform.summary import ApplySummary, PlanSummary

__all__ = [
    "ApplySummary",
    "Binary",
    "ChangeSummary",
    "Diagnostic",
    "Log",
    "Outputs",
    "OutputsEvent",
    "PlanSummary",
    "PlannedChange",
    "ResourceChange",
    "ResourceDrift",
    "ResourceEvent",
    "Runner",
    "TerraformEvent",
    "Version",
    "check_mirror",
    "find_binary",
    "parse_event",
]
