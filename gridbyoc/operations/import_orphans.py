"""Import resources that a run created in AWS but could not write into the state, before anything is planned.

If Terraform is killed while it creates the role (or the answer is lost), the role exists but no state has it. The next
run would then create a second role, or fail every time if role and policy have fixed names.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gridbyoc.aws.orphans import OrphanQuery, policy_tags, stray_roles
from gridbyoc.errors import TerraformError
from gridbyoc.operations.events import Note
from gridbyoc.operations.journal import cut_off_since, read_journal
from gridbyoc.operations.prepare import MODULE, PreparedStack, rerender
from gridbyoc.operations.run import Run
from gridbyoc.stack.defaults import NAME_PREFIX, STACK_TAG, own_policy_arn
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import State

ROLE = f"{MODULE}.aws_iam_role.this"
POLICY = f"{MODULE}.aws_iam_policy.this[0]"
EXTERNAL_ID = f"{MODULE}.terraform_data.this"
SKEW = timedelta(minutes=5)
"""How far our clock may be ahead of AWS's: AWS rejects signed requests with a larger difference."""


def import_orphans(run: Run, site: PreparedStack) -> PreparedStack:
    """Import the role and its policy if AWS has them and the state does not. Returns the updated site.

    Returns ``site`` itself if nothing was imported.

    A role is the stack's if its live trust policy names the external id in the state, which nobody else knows. If a run
    was cut off before the id was written, a role is also the stack's if it has the stack's tag, was created since that
    run began, and no cluster runs through it. A policy is the stack's if it has the role's name and path and the
    stack's tags. Nothing in AWS is changed.
    """
    if run.stack.terraform.module is not None:
        return site
    cut_off = cut_off_since(read_journal(run.journal.path))
    if site.fresh and cut_off is None:
        return site
    if ROLE not in site.state.addresses:
        role = _stray_role(run, site, _sought(run, site, cut_off))
        if role is None:
            return site
        site = _import(run, site, ROLE, role)
    policy = _own_policy(run, site)
    return _import(run, site, POLICY, policy) if policy else site


def _stray_role(run: Run, site: PreparedStack, sought: OrphanQuery) -> str | None:
    if sought.external_id is None and sought.since is None:
        return None
    found = stray_roles(site.preflight.session, sought)
    if len(found) > 1:
        text = f"Any of {', '.join(found)} may come from a run that was cut off; none of them is imported."
        run.outside.emit(Note(text, "warning"))
    return found[0] if len(found) == 1 else None


def _own_policy(run: Run, site: PreparedStack) -> str | None:
    """The role's own policy if AWS has it and the state does not. Its ARN follows from the role's ARN and the file."""
    role_arn = site.standing.role_arn
    if not role_arn or POLICY in site.state.addresses or run.stack.role.statements == ():
        return None
    arn = own_policy_arn(str(role_arn), run.stack.role)
    tags = policy_tags(site.preflight.session, arn)
    return arn if tags and tags.get(STACK_TAG) == run.stack.name else None


def _import(run: Run, site: PreparedStack, address: str, ident: str) -> PreparedStack:
    """Import one resource and return the site with the new state."""
    run.outside.emit(Note(f"{ident} was left by a run that was cut off: it is imported into the state.", "warning"))
    with run.effect("import", address=address, ident=ident):
        rerender(run, site)
        try:
            site.runner.import_(address, ident)
        except TerraformError:
            # The previous run's Terraform may have been ending just now, and may have written the resource itself.
            if address not in site.runner.state().addresses:
                raise
    return replace(site, state=site.runner.state(), fresh=False)


def _sought(run: Run, site: PreparedStack, cut_off: datetime | None) -> OrphanQuery:
    """The query for an orphaned role. A role being replaced is excluded: the state has it under another address."""
    role = run.stack.role
    roles = (each.attributes for each in site.state.instances if each.type == "aws_iam_role")
    return OrphanQuery(
        stack=run.stack.name,
        path=role.path or "/",
        name=role.name,
        prefix=role.name_prefix or NAME_PREFIX,
        known=frozenset(each.get("name", "") for each in roles),
        external_id=_generated_id(site.state),
        since=cut_off - SKEW if cut_off else None,
        used=frozenset(str(cluster.role_arn).rsplit("/", 1)[-1] for cluster in site.preflight.clusters),
    )


def _generated_id(state: State) -> Secret | None:
    """The generated external id.

    It exists before the role. An id from the user proves nothing: several stacks may use it.
    """
    found = state.at(EXTERNAL_ID).get("triggers_replace")
    value = found.get("value") if isinstance(found, dict) else found
    return Secret(value) if isinstance(value, str) and value else None
