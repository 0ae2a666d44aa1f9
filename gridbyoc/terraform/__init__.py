"""Terraform as this program drives it: find a binary, run its verbs, hear its events, read its outputs."""

from gridbyoc.terraform.binary import Binary, find_binary
from gridbyoc.terraform.environment import provider_settings
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
from gridbyoc.terraform.lock_info import LockInfo, local_lock, locally_held, parse_lock
from gridbyoc.terraform.mirror import check_mirror
from gridbyoc.terraform.outputs import Outputs
from gridbyoc.terraform.places import (
    forget_record,
    place_words,
    recorded_backend,
    remember,
    same_place,
    standing_places,
)
from gridbyoc.terraform.runner import LOCK_TIMEOUT, Runner
from gridbyoc.terraform.snapshot import Snapshot, snapshot_of
from gridbyoc.terraform.state import Backend, ModuleInState, module_in, standing_role, standing_roles
from gridbyoc.terraform.summary import NOTHING_DONE, ApplySummary, PlanSummary

__all__ = [
    "LOCK_TIMEOUT",
    "NOTHING_DONE",
    "ApplySummary",
    "Backend",
    "Binary",
    "ChangeSummary",
    "Diagnostic",
    "LockInfo",
    "Log",
    "ModuleInState",
    "Outputs",
    "OutputsEvent",
    "PlanSummary",
    "PlannedChange",
    "ResourceChange",
    "ResourceDrift",
    "ResourceEvent",
    "Runner",
    "Snapshot",
    "TerraformEvent",
    "Version",
    "check_mirror",
    "find_binary",
    "forget_record",
    "local_lock",
    "locally_held",
    "module_in",
    "parse_event",
    "parse_lock",
    "place_words",
    "provider_settings",
    "recorded_backend",
    "remember",
    "same_place",
    "snapshot_of",
    "standing_places",
    "standing_role",
    "standing_roles",
]
