"""What a run made in AWS and could not write into the state is taken into it, before anything is planned.

A Terraform that is killed (or whose answer is lost) while it makes the role leaves one that no state knows. Left alone,
the next run would make a second one, or fail for ever where role and policy have a fixed name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.aws.stray import RoleName, policy_tags, role_that_accepts
from gridbyoc.errors import TerraformError
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.events import Note
from gridbyoc.steps.prepare import Site
from gridbyoc.steps.run import Run
from gridbyoc.terraform import snapshot_of

MODULE = "module.gridbyoc"
ROLE = f"{MODULE}.aws_iam_role.this"
POLICY = f"{MODULE}.aws_iam_policy.this[0]"
PREFIX = "grid-cloud-"
"""The module's own default of ``role_name_prefix``."""


def adopt_strays(run: Run, site: Site) -> None:
    """Import the role, and its policy, where AWS has them and the state has not.

    A role is the stack's if its live trust policy names the external id that the stack's state holds, which nobody
    else knows. A policy is, if it has the role's name and path and the stack's tags. Nothing in AWS is changed.
    """
    if site.fresh or run.stack.terraform.module is not None:
        return
    state = site.runner.state()
    if ROLE not in _addresses(state):
        wanted = _role_name(run, state)
        role = role_that_accepts(site.preflight.session, wanted, frozenset(_external_ids(run, state)))
        if role is None:
            return
        _import(run, site, ROLE, role)
        state = site.runner.state()
    if POLICY not in _addresses(state) and run.stack.role.statements != ():
        arn = _policy_arn(state)
        tags = policy_tags(site.preflight.session, arn) if arn else None
        if arn and tags and tags.get("gridbyoc:stack") == run.stack.name:
            _import(run, site, POLICY, arn)


def _import(run: Run, site: Site, address: str, ident: str) -> None:
    run.outside.emit(Note(f"{ident} was left by a run that was cut off: it is taken into the state.", "warning"))
    with run.effect("import", address=address, ident=ident):
        try:
            site.runner.import_(address, ident)
        except TerraformError:
            # The Terraform of the run before may have been about to end, and have written it itself.
            if address not in _addresses(site.runner.state()):
                raise


def _role_name(run: Run, state: Mapping[str, Any]) -> RoleName:
    """A role that is being replaced accepts the same id, and lies in the state under another address."""
    role = run.stack.role
    known = (
        (each.get("attributes") or {}).get("name", "")
        for resource in state.get("resources") or []
        for each in resource.get("instances") or []
        if resource.get("type") == "aws_iam_role"
    )
    return RoleName(role.path or "/", role.name, role.name_prefix or PREFIX, frozenset(known))


def _addresses(state: Mapping[str, Any]) -> frozenset[str]:
    return snapshot_of(state).addresses


def _external_ids(run: Run, state: Mapping[str, Any]) -> Iterator[Secret]:
    """The stack's own, the one in the outputs, and the generated one, which is made before the role."""
    if run.stack.role.external_id:
        yield run.stack.role.external_id
    output = (state.get("outputs") or {}).get("external_id") or {}
    generated = _attributes(state, "terraform_data").get("triggers_replace")
    for found in (output.get("value"), generated.get("value") if isinstance(generated, dict) else generated):
        if isinstance(found, str) and found:
            yield Secret(found)


def _policy_arn(state: Mapping[str, Any]) -> str:
    """The policy is called like the role and has its path, so that one ARN follows from the other."""
    arn = _attributes(state, "aws_iam_role").get("arn")
    return str(arn).replace(":role/", ":policy/", 1) if arn else ""


def _attributes(state: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for resource in state.get("resources") or []:
        if (resource.get("module"), resource.get("type"), resource.get("name")) == (MODULE, kind, "this"):
            return next((each.get("attributes") or {} for each in resource.get("instances") or []), {})
    return {}
