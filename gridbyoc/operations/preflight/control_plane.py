"""Check whether the control plane will accept the clusters: its answers, credentials, names, types, trusted account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.errors import (
    AuthenticationError,
    ControlPlaneError,
    GridbyocError,
    UnsupportedByDialectError,
)
from gridbyoc.operations.finding import Finding, FindingKind, Verdict
from gridbyoc.operations.preflight.examine import guarded
from gridbyoc.operations.preflight.model import Check, PreflightContext
from gridbyoc.stack.defaults import trusted_account_of
from gridbyoc.stack.model import LocalBackend, Stack
from gridbyoc.stack.regions import partition_of
from gridbyoc.stack.words import Place, counted
from gridbyoc.terraform import standing_roles
from gridbyoc.vendors import VENDORS, facts_of

GROUP = "control-plane"
ANSWERS = FindingKind(
    "GBY-K001",
    GROUP,
    "control plane",
    "The control plane answers. Fails if it cannot be reached, or if something else answers; is unknown while "
    "it has an internal error.",
)
KEY = FindingKind(
    "GBY-K002",
    GROUP,
    "control-plane credentials",
    "There are credentials, and the control plane accepts them. Fails without any, and if it refuses them.",
)
CARRIES = FindingKind(
    "GBY-K003",
    GROUP,
    "what the clusters ask for",
    "The control plane's API supports each cluster of the stack: its name, types and profile. Fails if it does not.",
)
NAMES = FindingKind(
    "GBY-K004",
    GROUP,
    "cluster names",
    "Each name is free, or belongs to a cluster that runs through this stack's role. Fails if the cluster runs through "
    "another role or is being deleted; with remote state a role of this account counts as ours until it is read.",
)
ACCOUNT = FindingKind(
    "GBY-K005",
    GROUP,
    "trusted account",
    "The AWS account of the control plane, shown by its own global cluster, is the one that the role "
    "trusts (`role.trusted_account_id`). Fails if it is another account, or if the role is in another partition than "
    "the vendor's account. Is unknown if the control plane does not say (type lightning never does); warns if the "
    "account is then the vendor's default of an old guide.",
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html",
)
TYPES = FindingKind(
    "GBY-K006",
    GROUP,
    "instance types of the control plane",
    "The control plane's own list has each instance type. Warns if a type is not in it.",
)


WITHOUT_KEY = "To know whether clusters run through the role, log in with `gridbyoc login`."
TRUSTED_PLACE: Place = ("role", "trusted_account_id")
NOT_TOLD = "the control plane did not say: GBY-K001 and GBY-K002 have the reason"


def _without_api(scene: PreflightContext) -> bool:
    """Whether the stack's vendor has no API; then there is nothing to check here."""
    return scene.stack is not None and scene.stack.control_plane.type == "manual"


def _reached(scene: PreflightContext) -> Iterator[Finding]:
    if _without_api(scene):
        return
    try:
        count = len(scene.clusters())
        if unasked := scene.registrar().unasked:
            yield Finding(ANSWERS, "unknown", "not asked")
            yield Finding(
                KEY, "unknown", f"{unasked}; a stack without clusters does not need credentials", fix=WITHOUT_KEY
            )
            return
    except AuthenticationError as error:
        answers = error.http_status != 0
        yield Finding(ANSWERS, "pass" if answers else "unknown", "it answers" if answers else "not asked")
        yield Finding(KEY, "fail", _said(error), "credentials that it accepts", _with_login(error.fix), "GET clusters")
    except ControlPlaneError as error:
        own = error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.http_status == HTTPStatus.TOO_MANY_REQUESTS
        yield Finding(ANSWERS, "unknown" if own else "fail", _said(error), "an answer", error.fix, "GET clusters")
        yield Finding(KEY, "unknown", "unknown: the control plane did not answer", fix=error.fix)
    except GridbyocError as error:
        yield Finding(ANSWERS, "fail", _said(error), "an address that can be used", error.fix)
        yield Finding(KEY, "unknown", "not asked")
    else:
        yield Finding(ANSWERS, "pass", f"{scene.registrar().url} answers", source="GET clusters")
        yield Finding(KEY, "pass", f"credentials accepted; {counted(count, 'cluster')} listed", source="GET clusters")


def _carried(scene: PreflightContext) -> Iterator[Finding]:
    registrar, fine = scene.registrar(), []
    for index, spec in scene.numbered:
        try:
            registrar.check(spec)
            fine.append(spec.name)
        except UnsupportedByDialectError as error:
            at = ("clusters", index)
            yield Finding(CARRIES, "fail", _said(error), fix=error.fix, subject=spec.name, at=at)
    if fine and len(fine) == len(scene.wanted):
        yield Finding(CARRIES, "pass", ", ".join(fine))


def _names(scene: PreflightContext) -> Iterator[Finding]:
    if scene.stack is None or _without_api(scene):
        return
    clusters = scene.listed()
    if clusters is None:
        yield Finding(NAMES, "unknown", NOT_TOLD)
        return
    there = {cluster.name: cluster for cluster in _live(clusters)}
    ours = _our_roles(scene.stack, scene.work_dir)
    for index, spec in scene.numbered:
        found = _name(scene, spec.name, there.get(spec.name), ours)
        yield found if found.verdict == "pass" else replace(found, at=("clusters", index, "name"))


def _our_roles(stack: Stack, work_dir: Path) -> frozenset[str] | None:
    """The ARNs in the local state; ``None`` if the state is elsewhere, or the run must repair it first.

    Another module may output a role that it does not create.
    """
    local = isinstance(stack.terraform.backend, LocalBackend) and stack.terraform.module is None
    if not local or (work_dir / "errored.tfstate").exists():
        return None
    roles = standing_roles(work_dir)
    unsettled = not roles and any(work_dir.glob("*.tfstate*"))
    return None if unsettled else roles


def _live(clusters: tuple[Cluster, ...]) -> list[Cluster]:
    """Clusters that are being deleted come first, so that another cluster of the same name replaces them in a dict."""
    return sorted(clusters, key=lambda cluster: cluster.status != "terminating")


def _name(scene: PreflightContext, name: str, cluster: Cluster | None, ours: frozenset[str] | None) -> Finding:
    if cluster is None:
        return Finding(NAMES, "pass", "free", subject=name)
    through = cluster.role_arn or "a role that the control plane does not show"
    needed = "a free name, or a cluster of this stack's role"
    mine = _account_of(through) == scene.caller().account_id if ours is None else cluster.role_arn in ours
    if not mine:
        fix = "Choose another name in the stack file, or use the stack file and state that made that cluster."
        return Finding(
            NAMES, "fail", f"taken: a cluster of that name runs through {through}", needed, fix, subject=name
        )
    if cluster.status == "terminating":
        fix = "Wait until `gridbyoc clusters list` no longer shows it."
        return Finding(NAMES, "fail", "a cluster of that name is being deleted", needed, fix, subject=name)
    told = "this stack's role" if ours is not None else "a role of this account; the state will show whether it is ours"
    return Finding(NAMES, "pass", f"already exists ({cluster.status}), through {told}", subject=name)


def _account_of(role_arn: str) -> str:
    parts = role_arn.split(":")
    return parts[4] if len(parts) > 5 else ""


def _told(scene: PreflightContext) -> Iterator[Finding]:
    """What the control plane shows, through one of its clusters, of its own account and of its instance types."""
    if scene.stack is None or _without_api(scene):
        return
    clusters = scene.listed()
    if clusters is None:
        yield from (Finding(kind, "unknown", NOT_TOLD) for kind in (ACCOUNT, TYPES))
        return
    registrar, default = scene.registrar(), scene.listing().default_id
    yield from guarded((ACCOUNT,), _account(registrar, _global(clusters, default), scene.stack))
    ident = default or next((cluster.id for cluster in clusters), None)
    if ident is None:
        yield Finding(TYPES, "pass", "it has no cluster that could show a list")
        return
    own = {cluster.id for cluster in clusters if cluster.name in {spec.name for spec in scene.stack.clusters}}
    if ident in own:
        yield Finding(TYPES, "pass", "the only list is that of this stack's own cluster")
    else:
        yield from guarded((TYPES,), _types(registrar, ident, scene))


def _global(clusters: tuple[Cluster, ...], default: str | None) -> str | None:
    """The service's own cluster: any other runs in its customer's account and would show that one."""
    others = {cluster.id for cluster in clusters if cluster.cluster_type != "global"}
    own = (cluster.id for cluster in clusters if cluster.id not in others)
    return default if default and default not in others else next(own, None)


def _account(registrar: Registrar, ident: str | None, stack: Stack) -> Iterator[Finding]:
    if stack.terraform.module is not None:
        yield Finding(ACCOUNT, "unknown", f"the module {stack.terraform.module.source} decides whom its role trusts")
        return
    if (elsewhere := _of_another_partition(stack)) is not None:
        yield elsewhere
        return
    trusted = trusted_account_of(stack.role)
    if trusted is None:
        return
    account = None if ident is None else registrar.cloud_account_id(ident)
    if account is None:
        yield _not_told(stack, trusted)
        return
    principals = (*stack.role.trusted_principals, *stack.role.trusted_principals_without_external_id)
    others = {_account_of(arn) for arn in principals}
    verdict: Verdict = "pass" if account == trusted or account in others else "fail"
    fix = f'Write `trusted_account_id: "{account}"` under `role`, if that is the service that you want.'
    facts = {"account_id": account, "trusted_account_id": trusted}
    needed = f"the account that the role trusts, {trusted}"
    read, source = f"it comes from {account}", "GET cloud-provider-id"
    yield Finding(ACCOUNT, verdict, read, needed, fix, source, facts=facts, at=TRUSTED_PLACE)


def _not_told(stack: Stack, trusted: str) -> Finding:
    """The finding if the control plane does not show its account: a warning if a default may be out of date."""
    fact = facts_of(stack.control_plane.api).trusted_account
    if stack.role.trusted_account_id is not None or fact.check is None:
        fix = f"Ask the control plane's operator which AWS account it uses, and compare it with {trusted}."
        return Finding(ACCOUNT, "unknown", f"this control plane does not say; the role trusts {trusted}", fix=fix)
    read = f"this control plane does not say; the role would trust {trusted}, as known on {fact.source.date}"
    fix = (
        f'Check the account ({fact.check}), then write `trusted_account_id: "{trusted}"`, or the one that you find, '
        "under `role`."
    )
    facts = {"trusted_account_id": trusted, "source": str(fact.source)}
    return Finding(ACCOUNT, "warn", read, "an account that you have checked", fix, facts=facts, at=TRUSTED_PLACE)


def _of_another_partition(stack: Stack) -> Finding | None:
    """A finding if the role is in another partition.

    Roles can be assumed from their own partition only; vendors are in ``aws``.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_cross_partition.html
    """
    partition, trusted = partition_of(stack.aws.region), trusted_account_of(stack.role)
    known = {facts_of(vendor).trusted_account.account_id for vendor in VENDORS}
    if trusted not in known or partition in (None, "aws"):
        return None
    read = f"the role would trust {trusted}, an account of partition aws; {stack.aws.region} is in {partition}"
    fix = (
        "No role can be assumed from another partition: choose a region of partition aws, or write the account of a "
        f"control plane in {partition} as `trusted_account_id` under `role`."
    )
    facts = {"trusted_account_id": trusted, "partition": partition}
    return Finding(ACCOUNT, "fail", read, f"an account of partition {partition}", fix, facts=facts, at=TRUSTED_PLACE)


def _types(registrar: Registrar, ident: str, scene: PreflightContext) -> Iterator[Finding]:
    wanted = dict.fromkeys(item.name for spec in scene.wanted for item in spec.instance_types)
    offered = {item.name for item in registrar.instance_types(ident)} if wanted else set()
    missing = [name for name in wanted if name not in offered]
    if not wanted or not offered:
        yield Finding(TYPES, "pass", "it has no list" if wanted else "none are named: it chooses")
        return
    facts = {"missing": missing, "offered": sorted(offered)}
    if missing:
        read = f"not in its list: {', '.join(missing)}"
        fix = "Use types of its list, or ask the service: other types may be refused, or never start."
        yield Finding(TYPES, "warn", read, "types of its list", fix, "GET instance-types", facts=facts)
    else:
        yield Finding(TYPES, "pass", f"it has {', '.join(wanted)}", source="GET instance-types", facts=facts)


def _said(error: GridbyocError) -> str:
    return f"{error.what} {error.why}".strip()


def _with_login(fix: str) -> str:
    return fix if "gridbyoc login" in fix else f"{fix} Log in with `gridbyoc login`.".strip()


CHECKS = (
    Check((ANSWERS, KEY), _reached),
    Check((CARRIES,), _carried),
    Check((NAMES,), _names),
    Check((ACCOUNT, TYPES), _told),
)
