"""The root module's own files: the templates give the structure; the values go to ``terraform.tfvars.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from gridbyoc.errors import StackError
from gridbyoc.render.hcl import align, hcl, is_identifier
from gridbyoc.render.module import CalledModule, File
from gridbyoc.render.templates import template_environment
from gridbyoc.stack.defaults import (
    MANUAL_DESCRIPTION,
    MANUAL_NAME_PREFIX,
    managed_policies_of,
    own_policy_description,
    own_tags,
    session_seconds_of,
    statements_of,
    trusted_account_of,
)
from gridbyoc.stack.model import ModuleOutputs, ModuleSource, PolicyStatement, Role, S3Backend, Stack
from gridbyoc.stack.rules.terraform import EXCLUSIVE_SINCE
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import DEFAULT_VENDOR, facts_of

TAGS_PER_ROLE = 50
"""IAM's limit of tags on a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


@dataclass(frozen=True, slots=True)
class KnownPolicies:
    """The known policies (``role.known_policies``, ``known_inline_policies``) that are on the live role.

    An exclusive role keeps these. Only these are rendered, because Terraform would attach the others.
    """

    attached: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()


NONE_KNOWN = KnownPolicies()


def root_values(
    stack: Stack,
    previous: Sequence[Secret] = (),
    account_id: str | None = None,
    known: KnownPolicies = NONE_KNOWN,
) -> dict[str, Any]:
    """Every variable that the stack sets, by name. An omitted variable keeps its default.

    ``previous``: external ids that the role continues to accept; another module takes none. ``account_id``: the only
    account in which the provider may work, if the stack file names none. ``known``: for an exclusive role, the known
    policies that are on it.
    """
    foreign = stack.terraform.module
    values: dict[str, Any] = {
        "region": stack.aws.region,
        "profile": stack.provider_profile,
        "account_id": stack.aws.account_id or account_id,
        "default_tags": _default_tags(stack),
    }
    values |= _foreign_values(stack, foreign) if foreign else _role_values(stack.role, previous)
    if stack.role.exclusive:
        values |= {"known_policies": list(known.attached), "known_inline_policies": list(known.inline)}
    return {name: value for name, value in values.items() if value not in (None, {})}


def _default_tags(stack: Stack) -> dict[str, str]:
    """The tool's tags, without those whose key the user sets (IAM ignores case), and none if all do not fit."""
    ours = own_tags(stack.name) if stack.aws.default_tags else {}
    theirs = {key.lower() for key in stack.role.tags}
    tags = {key: value for key, value in ours.items() if key not in theirs}
    if len(tags) + len(theirs) > TAGS_PER_ROLE:
        tags = {}
    return {**tags, **stack.role.tags} if stack.terraform.module else tags


def _foreign_values(stack: Stack, module: ModuleSource) -> dict[str, Any]:
    """The module's inputs. An external id that the stack supplies becomes a sensitive variable of its own."""
    external_id = stack.role.external_id if module.takes_external_id else None
    return {"module_inputs": _plain(module.inputs), "external_id": external_id.reveal() if external_id else None}


def _role_values(role: Role, previous: Sequence[Secret]) -> dict[str, Any]:
    # The module's own defaults are Grid's. They stay unset, so that a root of an earlier version does not change.
    # The role of a vendor without an API never gets them, even if its stack file omits policies.
    manual = role.vendor is None
    of_module = facts_of(DEFAULT_VENDOR).permissions
    module_default = role.vendor is not None and facts_of(role.vendor).permissions == of_module
    unset_policies = role.managed_policies is None and module_default
    unset_statements = role.statements is None and module_default
    session_is_set = role.max_session_hours is not None or role.max_session_seconds is not None
    return {
        "role_name": role.name,
        "role_name_prefix": role.name_prefix or (MANUAL_NAME_PREFIX if manual else None),
        "path": role.path,
        "permissions_boundary": role.permissions_boundary,
        "description": MANUAL_DESCRIPTION if manual and role.description is None else role.description,
        "max_session_duration": session_seconds_of(role) if session_is_set else None,
        "force_detach_policies": None if role.force_detach_policies else False,
        "trusted_account_id": trusted_account_of(role),
        "trust_account_root": False if trusted_account_of(role) is None else None,
        "external_id": role.external_id.reveal() if role.external_id else None,
        "previous_external_ids": [each.reveal() for each in previous] or None,
        "external_id_rotation": role.rotation,
        "trusted_principals": list(role.trusted_principals) or None,
        "trusted_principals_without_external_id": list(role.trusted_principals_without_external_id) or None,
        "managed_policies": None if unset_policies else list(managed_policies_of(role)),
        "policy_statements": None if unset_statements else [_statement(each) for each in statements_of(role)],
        "policy_name": role.policy.name,
        "policy_path": role.policy.path,
        "policy_description": role.policy.description,
        "policy_tags": None if role.policy.tags is None else dict(role.policy.tags),
        "tags": dict(role.tags) or None,
    }


def _statement(statement: PolicyStatement) -> dict[str, Any]:
    return {
        "sid": statement.sid,
        "effect": statement.effect,
        "actions": list(statement.actions),
        "resources": list(statement.resources),
    }


def _plain(value: object) -> object:
    """A value that JSON can hold: mappings become dicts, sequences lists, and other types (a date) text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


VALUES = "terraform.tfvars.json"
IMPORTS = "imports.tf"
_HEADER = "# Written by gridbyoc for the run that adopts the role; the next render removes it.\n"
AWS_PROVIDER = ">= 5.0, < 7.0"
_NATIVE_LOCK_SINCE = ">= 1.10"
_FLOOR = ">= 1.5"
_META_ARGUMENTS = {"source", "version", "count", "for_each", "providers", "depends_on", "lifecycle", "locals"}


@dataclass(frozen=True, slots=True)
class PreviousRole:
    """A role that is being replaced, under its live name; the state holds it in ``module.gridbyoc_previous``.

    A changed path would make Terraform replace the role that clusters still use. So would a changed name, path or
    description of its own policy; for ``None`` the module derives them from the role's name and path.
    """

    name: str
    path: str = "/"
    policy_name: str | None = None
    policy_path: str | None = None
    policy_description: str | None = None

    def __bool__(self) -> bool:
        """Whether a role is being replaced: ``NO_PREVIOUS_ROLE`` has no name."""
        return bool(self.name)

    @classmethod
    def of(cls, name: str, arn: str | None, own_policy: Mapping[str, Any]) -> PreviousRole:
        """Create it from the name, the ARN (``...:role/platform/NAME``) and the attributes of its own policy."""
        _, _, found = (arn or "").partition(":role/")
        path = f"/{found.removesuffix(name)}"
        usual = {"name": name, "path": path, "description": own_policy_description(name)}
        given = {key: own_policy.get(key) for key in usual}
        own = {key: value if value not in (None, usual[key]) else None for key, value in given.items()}
        return cls(name, path, own["name"], own["path"], own["description"])

    @property
    def values(self) -> dict[str, str]:
        """The variables of the root module that keep it."""
        found = {
            "previous_role_name": self.name,
            "previous_role_path": self.path,
            "previous_policy_name": self.policy_name,
            "previous_policy_path": self.policy_path,
            "previous_policy_description": self.policy_description,
        }
        return {name: value for name, value in found.items() if value is not None}


NO_PREVIOUS_ROLE = PreviousRole("")
"""No role is being replaced."""


def root_files(
    stack: Stack,
    module: CalledModule,
    *,
    s3_native_lock: bool,
    previous: Sequence[Secret] = (),
    previous_role: PreviousRole | None = None,
    account_id: str | None = None,
    known: KnownPolicies = NONE_KNOWN,
    imports: Mapping[str, str] | None = None,
) -> dict[str, File]:
    """Every file of the root module by its name. Raises ``StackError`` for module inputs that cannot be written.

    ``imports``: import ids by address, for the next apply to import into the state.
    """
    values = root_values(stack, previous, account_id, known)
    if previous_role is not None:
        values |= previous_role.values
    _check_inputs(values.get("module_inputs", {}))
    backend = stack.terraform.backend
    settings = s3_settings(stack, backend, s3_native_lock) if isinstance(backend, S3Backend) else None
    context = {
        "values": values,
        "module": module,
        "previous_role": previous_role,
        "foreign": stack.terraform.module is not None,
        "outputs": stack.terraform.module.outputs if stack.terraform.module else ModuleOutputs(),
        "external_id_input": stack.terraform.module.external_id_input if stack.terraform.module else None,
        "s3": settings,
        "exclusive": stack.role.exclusive,
        "aws_provider_version": _provider_version(stack),
        "required_version": _NATIVE_LOCK_SINCE if settings and "use_lockfile" in settings else _FLOOR,
    }
    environment = _environment()
    names = environment.list_templates(filter_func=lambda name: name.endswith(".tf.j2") and "/" not in name)
    try:
        texts = {name.removesuffix(".j2"): environment.get_template(name).render(context) for name in names}
    except ValueError as error:
        raise StackError("The root module cannot be written.", why=f"{error}.", fix="Correct the stack file.") from None
    files = {name: File(align(text).encode()) for name, text in texts.items()}
    if imports:
        blocks = (f"\nimport {{\n  to = {address}\n  id = {hcl(ident)}\n}}\n" for address, ident in imports.items())
        files[IMPORTS] = File(align(_HEADER + "".join(blocks)).encode())
    files[VALUES] = File((json.dumps(values, indent=2, sort_keys=True) + "\n").encode())
    return files


def _provider_version(stack: Stack) -> str:
    """The constraint of this root. An exclusive role raises its floor; the module's own floor stays."""
    given = stack.terraform.aws_provider_version
    if not stack.role.exclusive:
        return given or AWS_PROVIDER
    floor = ">= " + ".".join(map(str, EXCLUSIVE_SINCE))
    return f"{given}, {floor}" if given else AWS_PROVIDER.replace(">= 5.0", floor)


@cache
def _environment() -> jinja2.Environment:
    """Cached: a run renders two or three times, and Jinja compiles each template once per environment."""
    return template_environment()


def s3_settings(stack: Stack, backend: S3Backend, native_lock: bool) -> dict[str, str | bool]:
    """The settings of a backend of the stack under Terraform's names."""
    settings: dict[str, str | bool | None] = {
        "bucket": backend.bucket,
        "key": backend.key,
        "region": backend.region,
        "profile": stack.state_profile(backend),
        "encrypt": backend.encrypt,
        "kms_key_id": backend.kms_key_id,
        "dynamodb_table": backend.dynamodb_table,
        "use_lockfile": True if native_lock else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _check_inputs(inputs: Mapping[str, Any]) -> None:
    wrong = sorted(name for name in inputs if name in _META_ARGUMENTS or not is_identifier(name))
    if wrong:
        raise StackError(
            f"terraform.module.inputs has names that no input can have: {', '.join(map(repr, wrong))}.",
            why=f"A name has letters, digits, _ and -, and is not one of {', '.join(sorted(_META_ARGUMENTS))}.",
            fix="Correct or remove them; source and version go beside inputs, not into it.",
        )
