"""What a stack file may say, beyond its shape. Every rule runs, whatever the others found.

A rule takes the ``Findings`` (with the document in it) and the ``Context``, and looks only at values of the right type:
wrong types are reported with the shape.
"""

from __future__ import annotations

from gridbyoc.stack.findings import Findings
from gridbyoc.stack.rules.clusters import check_clusters
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.control_plane import check_control_plane
from gridbyoc.stack.rules.iam import check_role
from gridbyoc.stack.rules.place import check_aws, check_stack_name
from gridbyoc.stack.rules.policies import check_policies
from gridbyoc.stack.rules.principals import check_principals
from gridbyoc.stack.rules.state import check_backend
from gridbyoc.stack.rules.tags import check_tags
from gridbyoc.stack.rules.terraform import check_terraform

RULES = (
    check_stack_name,
    check_aws,
    check_role,
    check_principals,
    check_policies,
    check_tags,
    check_clusters,
    check_control_plane,
    check_backend,
    check_terraform,
)


def check_rules(findings: Findings, context: Context) -> None:
    """Run them all."""
    for rule in RULES:
        rule(findings, context)


__all__ = ["RULES", "Context", "check_rules"]
