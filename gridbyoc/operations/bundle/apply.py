"""Apply a bundle: exactly the planned changes, or a refusal that says what has changed since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from gridbyoc.aws import caller_identity
from gridbyoc.control_plane.model import Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, StalePlanError
from gridbyoc.operations.bootstrap import carry_out
from gridbyoc.operations.bundle.file import LOCAL, Bundle, MadeFrom, PlannedCluster, basis_of, moved, other_account
from gridbyoc.operations.bundle.make import LOCK_FILE, environment_digest, made_from
from gridbyoc.operations.changes import ClusterChange, cluster_changes
from gridbyoc.operations.import_orphans import import_orphans
from gridbyoc.operations.journal import JOURNAL, read_journal
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.options import Approval, BootstrapOptions
from gridbyoc.operations.partial import limited, named_clusters
from gridbyoc.operations.plan import Plan, costs_of, policies_read, render_for_plan, role_reading, users_of
from gridbyoc.operations.prepare import PreparedStack, current_grant, open_runner, prepare
from gridbyoc.operations.report import Report
from gridbyoc.operations.rollback import CreatedResources
from gridbyoc.operations.run import Run
from gridbyoc.render import root_digest
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.words import counted, instant

ONLY_PLANNED = BootstrapOptions(only_planned=True)
TAKEN = "bundle_taken"
"""The journal record of a run that applies a bundle; ``bundle`` is the run that planned it."""
TAKEN_UP = "the state lacked resources that an interrupted run had left in AWS: they have been imported now"


def apply_bundle(run: Run, bundle: Bundle, approval: Approval) -> Report:
    """Apply the saved plan and the planned control plane changes; never plans again.

    Compares the checkout and the account before anything is touched, then the state and the clusters. Raises
    ``StalePlanError`` with a line for each difference. The caller holds the stack's lock.
    """
    _refuse(bundle, chain(_checkout_moved(run, bundle), _account_moved(run, bundle)))
    made = CreatedResources()
    run = made.watching(limited(run, named_clusters(run.stack, bundle.only)))
    _put_lock_file(run.work_dir, bundle)
    site = prepare(run)
    grant = current_grant(run, site)
    _refuse(bundle, moved(bundle.basis, basis_of(run, site, grant)))
    if import_orphans(run, site) is not site:
        # Not earlier: the import writes the state, which a refusal must not change.
        raise _stale(bundle, (TAKEN_UP,), rerun="Only the state was changed; a re-run is safe.")
    plan = _planned(run, site, bundle, grant)
    run.journal.write(TAKEN, bundle=bundle.run)
    try:
        return carry_out(run, site, plan, approval, ONLY_PLANNED, made)
    except StalePlanError as error:
        # Terraform checks again, under the state's lock. Unlike a bootstrap, this does not plan again.
        raise _stale(bundle, error.diagnostics) from None


def _planned(run: Run, site: PreparedStack, bundle: Bundle, grant: Grant | None) -> Plan:
    """The bundle's plan, written to its place. Everything recomputed here must equal what was planned."""
    reading = role_reading(run, site, grant)
    kept = render_for_plan(run, site, grant, reading)
    preflight = site.preflight
    changes = cluster_changes(
        preflight.registrar, run.stack, preflight.clusters, grant, our_roles=site.roles(grant), only=run.only
    )
    policies = policies_read(run, reading, grant)
    users = users_of(site, grant, preflight.clusters)
    costs, unasked = costs_of(run.stack, changes), preflight.registrar.unasked
    plan = Plan(bundle.terraform, changes, costs, grant, kept, None, policies, users, unasked, run.only, run.left_out)
    _refuse(bundle, chain(_decisions_moved(run, bundle, changes), _detaches_moved(bundle, plan)))
    saved = run.work_dir / SAVED_PLAN
    write_atomic(saved, bundle.plan)
    return replace(plan, saved=saved)


def _detaches_moved(bundle: Bundle, plan: Plan) -> Iterator[str]:
    """The policies that an exclusive role would now lose and that nobody has reviewed."""
    for name in plan.detaches:
        if name not in bundle.detaches:
            yield f"the apply would now also detach: {name}"


def _decisions_moved(run: Run, bundle: Bundle, changes: tuple[ClusterChange, ...]) -> Iterator[str]:
    if root_digest(run.work_dir) != bundle.root:
        values = "external ids that the role accepts, or known policies on it"
        yield f"the rendered root module differs: values such as {values} have changed"
    now = tuple(map(PlannedCluster.of, changes))
    for then in bundle.changes:
        if then not in now:
            yield f"the cluster {then.name} no longer needs what was planned: {then.action}"
    known = {then.name for then in bundle.changes}
    for each in now:
        if each.name not in known:
            yield f"the cluster {each.name} needs a change that was not planned: {each.action}"


def _checkout_moved(run: Run, bundle: Bundle) -> Iterator[str]:
    if bundle.stack != run.stack.name:
        yield f"the stack is {run.stack.name}, but the bundle is for {bundle.stack}"
    _, binary = open_runner(run)
    now = made_from(run.stack, run.work_dir, binary)
    yield from made_moved(bundle.made, now)
    if environment_digest(run.outside.environ) != bundle.environment:
        yield "the environment sets other default tags or endpoints for Terraform (TF_AWS_…, AWS_…_ENDPOINT)"
    records = read_journal(run.work_dir / JOURNAL)
    local = bundle.basis.state.place == LOCAL
    if local and not any(record.get("run") == bundle.run for record in records):
        yield f"the state is local, but the plan was not made in {run.work_dir}"
    yield from used_up(records, bundle.run)


def used_up(records: Sequence[Mapping[str, Any]], planned_by: str) -> Iterator[str]:
    """A line if the journal shows that this bundle was applied, and one if the stack was destroyed since its plan.

    After a destroy everything looks as before the first apply: local state, clusters and all. The journal survives it.
    A run that took the bundle but did nothing may be followed by another.
    """
    takers = {r.get("run") for r in records if r.get("type") == TAKEN and r.get("bundle") == planned_by}
    for record in records:
        if record.get("run") in takers and record.get("type") == "effect_done":
            yield f"this bundle was applied already ({record.get('time')})"
            break
    planned = max((index for index, r in enumerate(records) if r.get("run") == planned_by), default=len(records))
    for record in records[planned:]:
        if record.get("effect") == "destroy" and record.get("type") == "effect_started":
            yield f"the stack was destroyed after the plan was made ({record.get('time')})"
            break


def _account_moved(run: Run, bundle: Bundle) -> Iterator[str]:
    """Checked first: in another account, the state's bucket would merely seem missing."""
    caller = caller_identity(run.open_session())
    yield from other_account(bundle.basis.account_id, caller.account_id)


def made_moved(then: MadeFrom, now: MadeFrom) -> Iterator[str]:
    """One line per changed version or file. A missing lock file does not count."""
    for name in dict.fromkeys([*then.stack_files, *now.stack_files]):
        before, after = then.stack_files.get(name), now.stack_files.get(name)
        if before is None:
            yield f"the stack now also uses {name}"
        elif after is None:
            yield f"the stack no longer uses {name}"
        elif before != after:
            yield f"the stack file {name} was changed"
    if then.module != now.module:
        yield "the module was changed"
    if now.lock_file and then.lock_file != now.lock_file:
        yield f"the provider lock file {LOCK_FILE} was changed"
    if then.tool != now.tool:
        yield f"gridbyoc is {now.tool}, but was {then.tool}"
    if (then.flavour, then.version) != (now.flavour, now.version):
        yield f"Terraform is {now.flavour} {now.version}, but was {then.flavour} {then.version}"


def _put_lock_file(work_dir: Path, bundle: Bundle) -> None:
    """Give a fresh checkout the exact provider versions of the plan."""
    if bundle.lock_file is not None and not (work_dir / LOCK_FILE).exists():
        write_atomic(work_dir / LOCK_FILE, bundle.lock_file)


def _refuse(bundle: Bundle, differences: Iterator[str]) -> None:
    lines = tuple(differences)
    if lines:
        raise _stale(bundle, lines)


def _stale(bundle: Bundle, lines: tuple[str, ...], rerun: str = SAFE_NOTHING_DONE) -> StalePlanError:
    return StalePlanError(
        f"The bundle is stale: {counted(len(lines), 'thing')} changed since it was made ({instant(bundle.created)}).",
        diagnostics=lines,
        why="A bundle is applied exactly as it was reviewed, or not at all.",
        fix="Plan again (`gridbyoc plan --out FILE`), and have the new plan reviewed.",
        rerun=rerun,
    )
