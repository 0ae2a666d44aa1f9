"""Describe a role that was made by hand as a stack file, and list what no stack file can describe.

Pure: everything has been read before. Each reason against adopting the role comes with a fix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.role_policies import VERSION, declared_arns
from gridbyoc.stack.defaults import STACK_TAG, own_policy_description, own_tags
from gridbyoc.stack.edit import type_data
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM
from gridbyoc.stack.model import ClusterSpec, PerformanceProfile, Role, S3Backend
from gridbyoc.stack.rules.role import ACTION, SUCCESSORS
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.starter import quoted, scalar
from gridbyoc.stack.words import counted, enumerated, escaped
from gridbyoc.vendors import DEFAULT_VENDOR, VENDORS, VendorType, facts_of

_RESOURCE = re.compile(r"\*|arn:.+")
_SID = re.compile(r"[A-Za-z0-9]*")
_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(root|(role|user)/[\x21-\x29\x2b-\x3e\x40-\x7e]+)")
_ROOT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")
MOST_POLICIES = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the role cannot be adopted unchanged, and what to do about it."""

    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class TrustTerms:
    """The trust policy in the stack file's terms."""

    account_id: str
    external_id: Secret
    principals: tuple[str, ...] = ()
    without_external_id: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdoptionRequest:
    """What the command line asks for: the stack's name, region and control plane, and policies to accept on the role.

    ``accepted``: ARNs of managed policies and names of inline policies that stay on the role unmanaged. ``profile`` and
    ``backend`` go into the stack file.
    """

    role_arn: str
    name: str
    region: str
    vendor: VendorType | None = None
    profile: str | None = None
    backend: S3Backend | None = None
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AdoptableRole:
    """A live role in the stack file's terms. ``own_policy`` is the policy that ``statements`` describe, if any.

    ``reasons`` is empty if a stack file can describe all of the role.
    """

    role: LiveRole = field(repr=False)
    vendor: VendorType
    trust: TrustTerms | None
    own_policy: LiveDocument | None
    managed: tuple[str, ...]
    reasons: tuple[Reason, ...]


def adoptable_role(role: LiveRole, asked: AdoptionRequest, shared: Collection[str]) -> AdoptableRole:
    """Judge a live role. ``shared``: ARNs of attached policies that are, or may be, attached elsewhere too."""
    trust, reasons = _trust(role.trust, asked)
    vendor = asked.vendor or _vendor_of(trust)
    own = _own_policy(role, asked, shared)
    attached = [each.name for each in role.policies if each.kind == "attached"]
    managed = tuple(
        arn for arn in attached if arn not in asked.accepted and (own is None or arn != own.name) and not _gone(arn)
    )
    reasons += [*_role_reasons(role, asked), *_policy_reasons(role, asked, len(managed) + (own is not None))]
    return AdoptableRole(role, vendor, trust, own, managed, tuple(reasons))


def _vendor_of(trust: TrustTerms | None) -> VendorType:
    accounts = {facts_of(vendor).trusted_account.account_id: vendor for vendor in VENDORS}
    return accounts.get(trust.account_id, DEFAULT_VENDOR) if trust is not None else DEFAULT_VENDOR


def _role_reasons(role: LiveRole, asked: AdoptionRequest) -> Iterator[Reason]:
    for why in role.unknown:
        yield Reason(f"Not all of the role could be read ({why}).", "Use credentials that may read it.")
    path, tags = str(role.attributes.get("Path") or "/"), role.attributes.get("tags") or {}
    if path.startswith("/aws-service-role/"):
        yield Reason("It is a service-linked role, which only AWS can change.", "Adopt the control plane's own role.")
    owner = tags.get("aws:cloudformation:stack-name")
    if owner:
        fix = "Take it out of that stack first, with DeletionPolicy: Retain, so that the role stays."
        yield Reason(f"The CloudFormation stack {owner} made it and would change it back.", fix)
    stack = tags.get(STACK_TAG)
    if stack is not None and stack != asked.name:
        fix = f"Run `gridbyoc release` there and remove the tag {STACK_TAG}, or adopt it as --name {stack}."
        yield Reason(f"Its tag {STACK_TAG} says that it belongs to the stack {stack}.", fix)


def _policy_reasons(role: LiveRole, asked: AdoptionRequest, count: int) -> Iterator[Reason]:
    inline = [each.name for each in role.policies if each.kind == "inline" and each.name not in asked.accepted]
    for name in inline:
        fix = (
            f"Put what it grants into a managed policy and attach that; or give --accept {name}: it stays on the role, "
            "stands under role.known_inline_policies, and is not managed."
        )
        yield Reason(f"It has the inline policy {name}; the module makes none.", fix)
    there = {each.name for each in role.policies}
    for name in sorted(asked.accepted - there):
        yield Reason(f"--accept names {name}, which is not on the role.", "Correct the name or the ARN.")
    if count > MOST_POLICIES:
        fix = "Give --accept ARN for those that something else attaches."
        yield Reason(f"It has {count} managed policies; a stack file lists {MOST_POLICIES}.", fix)


def _gone(arn: str) -> bool:
    """Whether AWS no longer lets anybody attach the policy. Terraform must not manage it; it stays attached."""
    return ":iam::aws:policy/" in arn and arn.rpartition("/")[2] in SUCCESSORS


def _own_policy(role: LiveRole, asked: AdoptionRequest, shared: Collection[str]) -> LiveDocument | None:
    """The customer policy that only this role has and that statements can express, if there is exactly one."""
    found = [
        each
        for each in role.policies
        if each.kind == "attached"
        and each.name.split(":")[4] == role.account_id
        and each.name not in asked.accepted
        and each.name not in shared
        and statements_in(each.document) is not None
    ]
    alike = [each for each in found if each.name.rpartition("/")[2] == role.name]
    candidates = alike or found
    return candidates[0] if len(candidates) == 1 else None


def statements_in(document: Mapping[str, Any] | None) -> tuple[dict[str, Any], ...] | None:
    """A policy's statements in the stack file's form; ``None`` if they have none."""
    if document is None or document.get("Version") != VERSION or not document.keys() <= {"Version", "Id", "Statement"}:
        return None
    if document.get("Id"):
        return None
    found = [_statement(each) for each in _list(document.get("Statement"))]
    statements = [each for each in found if each is not None]
    sids = [each["sid"] for each in statements if "sid" in each]
    complete = bool(statements) and len(statements) == len(found) and len(sids) == len(set(sids))
    return tuple(statements) if complete else None


def _statement(statement: object) -> dict[str, Any] | None:
    if not isinstance(statement, Mapping) or not statement.keys() <= {"Sid", "Effect", "Action", "Resource"}:
        return None
    actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
    good = (
        statement.get("Effect") in ("Allow", "Deny")
        and actions
        and resources
        and all(isinstance(each, str) and ACTION.fullmatch(each) for each in actions)
        and all(isinstance(each, str) and _RESOURCE.fullmatch(each) for each in resources)
        and _SID.fullmatch(str(statement.get("Sid") or ""))
    )
    if not good:
        return None
    sid = {"sid": statement["Sid"]} if statement.get("Sid") else {}
    effect = {} if statement["Effect"] == "Allow" else {"effect": statement["Effect"]}
    return {**sid, **effect, "actions": actions, "resources": resources}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _trust(document: LiveDocument, asked: AdoptionRequest) -> tuple[TrustTerms | None, list[Reason]]:
    """The trust policy in the stack file's terms, or every reason why it cannot be expressed there."""
    if document.document is None:
        return None, []  # role.unknown reports it
    if document.document.get("Version") != VERSION or document.document.get("Id"):
        fix = f'Write it with "Version": "{VERSION}" and without an Id; the grant stays the same.'
        return None, [Reason("Its trust policy is not written in the form that the module uses.", fix)]
    reasons: list[Reason] = []
    with_id: list[tuple[list[str], list[Any]]] = []
    without: list[list[str]] = []
    for number, statement in enumerate(_list(document.document.get("Statement")), 1):
        found = list(_statement_reasons(statement, f"Statement {number} of its trust policy"))
        reasons += found
        principals, ids = _read_statement(statement)
        if ids is not None:
            with_id.append((principals, ids))
        elif not found:
            without.append(principals)
    if with_id or not reasons:
        trust, more = _one_trust(with_id, without, asked)
        reasons += more
    return None if reasons else trust, reasons


def _read_statement(statement: object) -> tuple[list[str], list[Any] | None]:
    """The statement's AWS principals, and the external ids that it requires; ``None`` if they cannot be expressed."""
    found = statement if isinstance(statement, Mapping) else {}
    principal, condition = found.get("Principal"), found.get("Condition")
    principals = [str(each) for each in _list(principal.get("AWS"))] if isinstance(principal, Mapping) else []
    if not isinstance(condition, Mapping) or not _asks_for_external_id(condition):
        return principals, None
    return principals, _list(next(iter(condition["StringEquals"].values())))


def _one_trust(
    with_id: list[tuple[list[str], list[Any]]], without: list[list[str]], asked: AdoptionRequest
) -> tuple[TrustTerms | None, list[Reason]]:
    if not with_id:
        fix = "Add a condition on sts:ExternalId to the trust policy, give the control plane that id, then adopt it."
        return None, [Reason("Its trust policy asks for no external id, so any customer's cluster could use it.", fix)]
    if len(with_id) > 1 or len(without) > 1:
        fix = "Merge these statements into one that lists all their principals."
        return None, [Reason("Its trust policy has several statements with the same kind of condition.", fix)]
    principals, ids = with_id[0]
    if len(set(ids)) != 1 or not EXTERNAL_ID_FORM.fullmatch(str(ids[0])):
        what = f"Its trust policy accepts {counted(len(set(ids)), 'external id')}; the stack's role has one."
        return None, [Reason(what, "Keep only the one that the control plane's clusters use, then adopt it.")]
    accounts = [match[1] for match in map(_ROOT.fullmatch, principals) if match]
    known = [facts_of(vendor).trusted_account.account_id for vendor in VENDORS]
    trusted = [each for each in accounts if each in known] or accounts
    if not trusted:
        fix = "Trust the control plane's account (its root) with the external id, as its guide says."
        return None, [Reason("Its trust policy trusts no account as a whole with the external id.", fix)]
    if len(trusted) > 1 and asked.vendor is not None:
        wanted = facts_of(asked.vendor).trusted_account.account_id
        trusted = [each for each in trusted if each == wanted] or trusted
    account = trusted[0]
    further = tuple(_principal(each, asked) for each in principals if each != account and not _is_root(each, account))
    exempt = tuple(_principal(each, asked) for each in (without[0] if without else ()))
    twice = sorted(set(further) & set(exempt))
    if twice:
        fix = "Take it out of the statement with the external id; it has no effect there."
        return None, [Reason(f"{enumerated(twice)} may assume it with and without an external id.", fix)]
    return TrustTerms(account, Secret(str(ids[0])), further, exempt), []


def _is_root(principal: str, account: str) -> bool:
    match = _ROOT.fullmatch(principal)
    return match is not None and match[1] == account


def _principal(text: str, asked: AdoptionRequest) -> str:
    """A bare account id as the root that it stands for."""
    partition = asked.role_arn.split(":")[1]
    return f"arn:{partition}:iam::{text}:root" if re.fullmatch(r"[0-9]{12}", text) else text


def _statement_reasons(statement: object, name: str) -> Iterator[Reason]:
    if not isinstance(statement, Mapping):
        yield Reason(f"{name} is not a valid statement.", "Correct the trust policy.")
        return
    other = sorted(statement.keys() - {"Sid", "Effect", "Principal", "Action", "Condition"})
    if statement.get("Effect") != "Allow" or other:
        what = f"{name} uses {enumerated(other)}" if other else f"{name} is a {statement.get('Effect')}"
        yield Reason(
            f"{what}, which a stack file cannot express.", "Use Allow statements with Principal and Action only."
        )
    if statement.get("Sid"):
        yield Reason(f"{name} has a Sid, which the module does not write.", "Remove the Sid; the grant stays the same.")
    actions = [str(each) for each in _list(statement.get("Action"))]
    if [each.lower() for each in actions] != ["sts:assumerole"]:
        fix = "Allow only sts:AssumeRole; the control planes use no other action."
        yield Reason(f"{name} allows {enumerated(actions) or 'nothing'}; the module allows sts:AssumeRole.", fix)
    yield from _principal_reasons(statement.get("Principal"), name)
    condition = statement.get("Condition")
    if condition and not _asks_for_external_id(condition):
        fix = "Keep StringEquals on sts:ExternalId as the only condition."
        yield Reason(f"{name} has a condition other than StringEquals on sts:ExternalId.", fix)


def _principal_reasons(principal: object, name: str) -> Iterator[Reason]:
    if not isinstance(principal, Mapping) or principal.keys() - {"AWS"}:
        kinds = enumerated(sorted(principal.keys() - {"AWS"})) if isinstance(principal, Mapping) else str(principal)
        fix = "Use separate roles for services and federated users; the control plane's role trusts AWS accounts."
        yield Reason(f"{name} trusts {kinds}, which the module's role does not.", fix)
        return
    for each in _list(principal.get("AWS")):
        if not _ROOT.fullmatch(str(each)) and not _PRINCIPAL.fullmatch(str(each)):
            fix = "Name accounts, roles and users by their ARNs."
            yield Reason(f"{name} trusts {each}, which is not the ARN of an account's root, a role or a user.", fix)


def _asks_for_external_id(condition: object) -> bool:
    if not isinstance(condition, Mapping) or [*condition] != ["StringEquals"]:
        return False
    keys = condition["StringEquals"]
    return isinstance(keys, Mapping) and [str(key).lower() for key in keys] == ["sts:externalid"]


def spec_of(cluster: Cluster) -> ClusterSpec:
    """A cluster in the stack file's form."""
    profiles: Mapping[str, PerformanceProfile] = {"default": "default", "cost-saving": "cost-saving"}
    return ClusterSpec(cluster.name, cluster.instance_types, profiles.get(cluster.performance_profile or ""))


def stack_text(
    found: AdoptableRole, trust: TrustTerms, asked: AdoptionRequest, clusters: tuple[ClusterSpec, ...]
) -> str:
    """The stack file that describes a role without ``reasons``; comments name what it cannot express."""
    lines = [
        f"# Written by `gridbyoc adopt`: the role {found.role.arn} as it was found.",
        "# Nothing secret belongs here; it is safe to commit. The external id is kept in the state.",
        "version: 1",
        f"name: {_scalar(asked.name)}",
        "",
        "aws:",
        f"  region: {asked.region}",
    ]
    lines += [f"  profile: {_scalar(asked.profile)}"] if asked.profile else []
    lines += [f'  account_id: "{found.role.account_id}"']
    tags = dict(found.role.attributes.get("tags") or {})
    if not _has_own_tags(found, asked):
        lines += ["  default_tags: false  # the tool's own tags are not on the role"]
    lines += ["", "role:", *_role_lines(found, trust, asked, tags)]
    lines += ["", *_cluster_lines(clusters)]
    if found.vendor != DEFAULT_VENDOR:
        lines += ["", "control_plane:", f"  type: {found.vendor}"]
    if asked.backend is not None:
        backend = asked.backend
        lines += ["", "terraform:", "  backend:", "    s3:", f"      bucket: {_scalar(backend.bucket)}"]
        lines += [f"      key: {_scalar(backend.key)}", f"      region: {_scalar(backend.region)}"]
    return "\n".join(lines) + "\n"


def _has_own_tags(found: AdoptableRole, asked: AdoptionRequest) -> bool:
    ours = own_tags(asked.name)
    holders = [found.role.attributes.get("tags") or {}]
    holders += [found.own_policy.attributes.get("tags") or {}] if found.own_policy else []
    return all(ours.items() <= tags.items() for tags in holders)


def _role_lines(
    found: AdoptableRole, trust: TrustTerms, asked: AdoptionRequest, tags: Mapping[str, str]
) -> Iterator[str]:
    role, attributes = found.role, found.role.attributes
    yield f"  name: {_scalar(role.name)}"
    if (attributes.get("Path") or "/") != "/":
        yield f"  path: {_scalar(attributes['Path'])}"
    account, facts = trust.account_id, facts_of(found.vendor)
    usual = f"Lets the control plane in account {account} run clusters in this account."
    if (attributes.get("Description") or "") != usual:
        yield f"  description: {_scalar(attributes.get('Description') or '')}"
    if role.boundary:
        yield f"  permissions_boundary: {_scalar(role.boundary.name)}"
    seconds = role.max_session_seconds or facts.session_hours * 3600
    if seconds % 3600 == 0:
        yield f"  max_session_hours: {seconds // 3600}"
    else:
        yield f"  max_session_seconds: {seconds}"
    yield "  force_detach_policies: false  # `destroy` fails while something else has attached a policy"
    yield f'  trusted_account_id: "{account}"'
    yield from _listed("trusted_principals", trust.principals)
    yield from _listed("trusted_principals_without_external_id", trust.without_external_id)
    yield from _policy_lines(found, asked)
    own = own_tags(asked.name) if _has_own_tags(found, asked) else ()
    kept = {key: value for key, value in tags.items() if key not in own and not key.lower().startswith("aws:")}
    yield from _mapping("tags", kept)


def _policy_lines(found: AdoptableRole, asked: AdoptionRequest) -> Iterator[str]:
    prefix = f"arn:{found.role.partition}:iam::aws:policy/"
    usual = declared_arns(Role(vendor=found.vendor), found.role.partition)
    if set(found.managed) != set(usual):
        names = [arn.removeprefix(prefix) for arn in found.managed]
        yield from _listed("managed_policies", names, empty=True)
    live = {each.name: each for each in found.role.policies}
    stay = [arn for arn, each in live.items() if each.kind == "attached" and (arn in asked.accepted or _gone(arn))]
    if any(map(_gone, stay)):
        yield "  # AWS no longer lets anybody attach this deprecated policy: it stays, unmanaged by Terraform."
    yield from _listed("known_policies", stay)
    inline = [name for name, each in live.items() if each.kind == "inline" and name in asked.accepted]
    yield from _listed("known_inline_policies", inline)
    if found.own_policy is None:
        yield "  statements: []  # it has no policy of its own that a stack file can express"
        return
    yield "  statements:"
    for statement in statements_in(found.own_policy.document) or ():
        yield f"    - {_scalar(statement)}"
    yield from _own_policy_lines(found, asked, found.own_policy)


def _own_policy_lines(found: AdoptableRole, asked: AdoptionRequest, own: LiveDocument) -> Iterator[str]:
    name = own.name.rpartition("/")[2]
    said: list[str] = []
    if name != found.role.name:
        said.append(f"    name: {_scalar(name)}")
    path, role_path = own.attributes.get("Path") or "/", found.role.attributes.get("Path") or "/"
    if path != role_path:
        said.append(f"    path: {_scalar(path)}")
    usual = own_policy_description(found.role.name)
    if (own.attributes.get("Description") or "") != usual:
        said.append(f"    description: {_scalar(own.attributes.get('Description') or '')}")
    tags, role_tags = own.attributes.get("tags") or {}, found.role.attributes.get("tags") or {}
    if tags != role_tags:
        ours = own_tags(asked.name) if _has_own_tags(found, asked) else ()
        said.append(f"    tags: {_scalar({key: value for key, value in tags.items() if key not in ours})}")
    if said:
        yield "  policy:"
        yield from said


def _cluster_lines(clusters: tuple[ClusterSpec, ...]) -> Iterator[str]:
    if not clusters:
        yield "clusters: []  # the role alone: no cluster runs through it"
        return
    yield "clusters:"
    for spec in clusters:
        yield f"  - name: {_scalar(spec.name)}"
        if spec.performance_profile:
            yield f"    performance_profile: {spec.performance_profile}"
        if spec.instance_types:
            yield "    instance_types:"
            yield from (f"      - {_scalar(item)}" for item in type_data(spec.instance_types))


def _listed(key: str, values: Collection[str], *, empty: bool = False) -> Iterator[str]:
    if values:
        yield f"  {key}:"
        yield from (f"    - {_scalar(value)}" for value in values)
    elif empty:
        yield f"  {key}: []"


def _mapping(key: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield f"  {key}:"
        yield from (f"    {_scalar(name)}: {quoted(value)}" for name, value in values.items())


def _scalar(value: object) -> str:
    """A value on one line of YAML: text as a YAML scalar, anything else as JSON, which is valid YAML."""
    return scalar(value) if isinstance(value, str) else escaped(json.dumps(value, ensure_ascii=False))
