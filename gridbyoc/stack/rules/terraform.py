"""Rules of the stack file's ``terraform`` and ``aws``: versions, mirror, module, backend, names and accounts."""

from __future__ import annotations

import re
from collections.abc import Callable

from gridbyoc.stack.document import Fault
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.model import duration_seconds
from gridbyoc.stack.regions import parse_arn, region_fault
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.words import Place, show

_TERM = re.compile(r"\s*(=|!=|>=|<=|~>|>|<)?\s*([0-9]+)(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\s*")
# https://developer.hashicorp.com/terraform/language/modules/sources
_REGISTRY = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/[a-z0-9]+(//[^?]+)?")
_REMOTE = re.compile(r"(git|hg|s3|gcs)::|https?://|git@|(github\.com|bitbucket\.org)/")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_META = ("source", "version", "providers", "count", "for_each", "depends_on", "lifecycle", "locals")
_MODULE: Place = ("terraform", "module")
EXCLUSIVE_SINCE = (5, 72)
"""The first AWS provider that has ``aws_iam_role_policies_exclusive`` (5.68) and ``…_policy_attachments_exclusive``."""


def constraint_fault(text: str) -> Fault | None:
    """The fault of a text that is not a Terraform version constraint, such as ``~> 5.100`` or ``>= 5.0, < 7.0``."""
    if all(_TERM.fullmatch(term) for term in text.split(",")):
        return None
    return Fault(f"{show(text)} is not a version constraint", "such as `~> 5.100` or `>= 5.0, < 7.0`")


def is_path(source: str) -> bool:
    """Whether a module source is a path: Terraform requires ``./``, ``../`` or ``/`` at its start."""
    return source.startswith(("./", "../", "/", "~/")) or source in (".", "..")


def is_registry(source: str) -> bool:
    """Whether a module source is a registry address: ``[HOST/]NAMESPACE/NAME/PROVIDER[//SUBDIR]``."""
    return not is_path(source) and not _REMOTE.match(source) and bool(_REGISTRY.fullmatch(source))


def source_fault(source: str, context: RuleContext) -> Fault | None:
    """The fault of a source that is not a registry address, an existing directory or a remote Terraform address."""
    if "\0" in source or not source.isprintable():
        return Fault("contains characters that cannot be printed")
    if is_path(source):
        base, _, inner = source.partition("//")
        whole = f"{base}/{inner}" if inner else source
        return None if context.is_dir(whole) else _no_directory(whole, context)
    if _REMOTE.match(source):
        secret = re.search(r"://[^/]*:[^/]*@|https?://[^/]*@", source)
        advice = "configure Terraform's credentials outside the stack file"
        return Fault("contains a user or password", advice) if secret else None
    if is_registry(source):
        return None
    hint = "give a registry address (`namespace/name/provider`), or a path that begins with `./` or `../`"
    return Fault(f"{show(source)} is not a module source", hint)


def _no_directory(text: str, context: RuleContext) -> Fault:
    return Fault(f"there is no directory {show(str(context.path(text)))}", "paths are relative to the stack file")


def check_terraform(findings: Findings, context: RuleContext) -> None:
    """Check provider version, provider mirror, module and module inputs."""
    version = findings.document.text("terraform", "aws_provider_version")
    if version is not None:
        findings.fault(("terraform", "aws_provider_version"), constraint_fault(version) or _too_old(findings, version))
    mirror = findings.document.text("terraform", "provider_mirror")
    if mirror is not None and not context.is_dir(mirror):
        findings.fault(("terraform", "provider_mirror"), _no_directory(mirror, context))
    _check_source(findings, context)
    _check_inputs(findings)
    _check_outputs(findings)


def _too_old(findings: Findings, text: str) -> Fault | None:
    """The fault of a constraint that would fail in init: the gridbyoc module needs 5.0, ``role.exclusive`` 5.72."""
    if findings.document.at(*_MODULE) is not None:
        return None
    exclusive = findings.document.at("role", "exclusive") is True
    what, floor = ("`role.exclusive`", EXCLUSIVE_SINCE) if exclusive else ("the gridbyoc module", (5, 0))
    for match in filter(None, map(_TERM.fullmatch, text.split(","))):
        if not _reaches(match[1] or "=", [int(part) for part in re.findall(r"[0-9]+", match[0].split("-")[0])], floor):
            needs = f"it needs {floor[0]}.{floor[1]} or newer"
            return Fault(f"{show(text)} allows no version that {what} can use", needs)
    return None


def _reaches(operator: str, version: list[int], floor: tuple[int, int]) -> bool:
    """Whether one term of a constraint allows a version that is ``floor`` or newer."""
    major, minor = version[0], version[1] if len(version) > 1 else 0
    if operator == "~>":
        # only the rightmost number may increase: https://developer.hashicorp.com/terraform/language/expressions/version-constraints
        return (major, minor) >= floor if len(version) == 3 else major >= floor[0]
    if operator == "<":
        return (*version, 0, 0)[:3] > (*floor, 0)
    return operator in ("!=", ">=", ">") or (major, minor) >= floor


def _check_source(findings: Findings, context: RuleContext) -> None:
    source, version = findings.document.text(*_MODULE, "source"), findings.document.at(*_MODULE, "version")
    if isinstance(version, str):
        findings.fault((*_MODULE, "version"), constraint_fault(version))
    if source is None:
        return
    findings.fault((*_MODULE, "source"), source_fault(source, context))
    if is_registry(source) and version is None:
        findings.problem(_MODULE, "a registry address needs a `version`", "such as `version: ~> 1.0`")
    elif version is not None and not is_registry(source) and not findings.known_at((*_MODULE, "source")):
        findings.problem((*_MODULE, "version"), "only registry addresses have versions", "remove it")


def _check_inputs(findings: Findings) -> None:
    for key in findings.document.mapping(*_MODULE, "inputs"):
        place = (*_MODULE, "inputs", key)
        if key == "external_id":
            findings.problem(place, "the stack file must not contain an external id", "let the module generate it")
        elif key in _META:
            findings.problem(place, f"`{key}` is a Terraform meta-argument, not an input of a module")
        elif not _IDENTIFIER.fullmatch(key):
            findings.problem(place, f"{show(key)} is not a Terraform identifier", "letters, digits, `_` and `-`")


_ROLE_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_BRING = "`role.external_id_from: {env: VARIABLE}`"


def _check_outputs(findings: Findings) -> None:
    """Check the names of the module's outputs, and that there is an external id."""
    place: Place = (*_MODULE, "outputs")
    outputs, roles = findings.document.mapping(*place), findings.document.mapping(*place, "roles")
    brings = findings.document.at("role", "external_id_from") is not None
    _check_id_input(findings, brings=brings)
    for key in ("role_arn", "external_id"):
        _check_identifier(findings, (*place, key), "an output")
    for word in roles:
        _check_identifier(findings, (*place, "roles", word), "an output")
        if not _ROLE_WORD.fullmatch(word):
            message = f"{show(word)} cannot be a role's name"
            findings.problem((*place, "roles", word), message, "1 to 32 of a-z, 0-9, `_` and `-`, a letter first")
        elif word == "role" and "role_arn" in outputs:
            findings.problem((*place, "roles", word), "is the name of the role of `role_arn`", "choose another name")
    if outputs and "external_id" not in outputs and not brings:
        message = "names no output for the external id, and the stack supplies no external id"
        findings.problem(place, message, f"name it (`external_id: external_id`), or give the id with {_BRING}")


def _check_id_input(findings: Findings, *, brings: bool) -> None:
    place: Place = (*_MODULE, "external_id_input")
    given = findings.document.text(*place)
    if given is None:
        return
    _check_identifier(findings, place, "an input")
    if given in findings.document.mapping(*_MODULE, "inputs"):
        findings.problem(
            (*_MODULE, "inputs", given), "takes the external id, which must not be written here", "remove it"
        )
    if not brings:
        message = "names the input for an external id, but the stack supplies none"
        findings.problem(place, message, f"write {_BRING}, or remove it")


def _check_identifier(findings: Findings, place: Place, what: str) -> None:
    name = findings.document.text(*place)
    if name is not None and (name in _META or not _IDENTIFIER.fullmatch(name)):
        findings.problem(place, f"{show(name)} cannot be the name of {what}", "letters, digits, `_` and `-`")


_S3: Place = ("terraform", "backend", "s3")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_RULE = "3 to 63 of a-z, 0-9, `.` and `-`, beginning and ending with a letter or digit"
_KEPT_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_KEPT_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_fault(name: str) -> Fault | None:
    """The fault of a bucket name by the naming rules of general purpose buckets."""
    if name.startswith("s3://"):
        return Fault(f"{show(name)} is an address, not a bucket", "write only the bucket's name; the key goes to `key`")
    if not _BUCKET.fullmatch(name):
        return Fault(f"{show(name)} is not a bucket's name", f"allowed: {_BUCKET_RULE}")
    if ".." in name or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name):
        return Fault(f"{show(name)} is not a bucket's name", "no two dots in a row, and no IP address")
    if name.startswith(_KEPT_STARTS) or name.endswith(_KEPT_ENDS):
        return Fault(f"{show(name)} has a prefix or suffix that AWS reserves")
    return None


def key_fault(key: str) -> Fault | None:
    """The fault of an object key. Required: 1 to 1024 bytes, no ``/`` at either end (Terraform refuses it)."""
    if not key.strip():
        return Fault("is empty", "such as `gridbyoc/ml-prod.tfstate`")
    if len(key.encode("utf-8", "surrogatepass")) > 1024:
        return Fault("is longer than the 1024 bytes that S3 allows")
    if key.startswith("/") or key.endswith("/"):
        return Fault(f"{show(key)} begins or ends with `/`", f"write {show(key.strip('/'))}" if key.strip("/") else "")
    return None if key.isprintable() else Fault(f"{show(key)} contains characters that cannot be printed")


_KEY_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}"
_ALIAS = "alias/[A-Za-z0-9/_-]+"
"""Exactly what Terraform's S3 backend accepts (``validateKMSKey``):
https://github.com/hashicorp/terraform/blob/main/internal/backend/remote-state/s3/validate.go
"""
_KEY_FORM = (
    "Terraform accepts a key's id as a lower-case UUID (third group from 1 to 5, fourth from 8 to b) or as mrk- and "
    "32 digits, and an alias as alias/NAME; `aws kms list-keys` shows the ids"
)


def kms_key_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a text that is not the ARN of a KMS key or alias, a key's id or an alias."""
    arn = parse_arn(text)
    if arn:
        named = arn.service == "kms" and re.fullmatch(f"key/({_KEY_ID})|{_ALIAS}", arn.resource)
        return None if named else Fault(f"{show(text)} is not the ARN of a KMS key", _KEY_FORM)
    if re.fullmatch(f"{_KEY_ID}|{_ALIAS}", text):
        return None
    form = f"give a key's ARN, such as `arn:{context.partition or 'aws'}:kms:us-west-2:123456789012:key/…`; {_KEY_FORM}"
    return Fault(f"{show(text)} is not a KMS key", form)


def check_backend(findings: Findings, context: RuleContext) -> None:
    """Check bucket, key, region, KMS key and DynamoDB table; warn of an unencrypted state."""
    text = findings.document.text
    rules: dict[str, Callable[[str], Fault | None]] = {
        "bucket": bucket_fault,
        "key": key_fault,
        "region": region_fault,
        "kms_key_id": lambda value: kms_key_fault(value, context),
    }
    for name, rule in rules.items():
        value = text(*_S3, name)
        if value is not None:
            findings.fault((*_S3, name), rule(value))
    table = text(*_S3, "dynamodb_table")
    if table is not None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", table):
            findings.problem((*_S3, "dynamodb_table"), f"{show(table)} is not a table's name")
        advice = "Terraform 1.10 and newer keep the lock in S3 itself: remove the key"
        findings.warning((*_S3, "dynamodb_table"), "locking with DynamoDB is deprecated by Terraform", advice)
    if findings.document.at(*_S3, "encrypt") is False:
        findings.warning((*_S3, "encrypt"), "the state holds the external id and would be stored unencrypted")


STACK_NAME_RULE = "1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning and ending with a letter or digit"
_STACK_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


def stack_name_fault(name: str) -> Fault | None:
    """The fault of a stack's name; it is also the name of a directory, so it must be safe on every file system."""
    if _STACK_NAME.fullmatch(name):
        return None
    return Fault(f"{show(name)} cannot be a stack's name", f"allowed: {STACK_NAME_RULE}")


def account_id_fault(text: str) -> Fault | None:
    """The fault of a text that is not 12 digits."""
    if _ACCOUNT_ID.fullmatch(text):
        return None
    joined = re.sub(r"[\s-]", "", text)
    hint = f'write "{joined}"' if _ACCOUNT_ID.fullmatch(joined) else "an account id has 12 digits"
    return Fault(f"{show(text)} is not an AWS account id", hint)


def check_stack_name(findings: Findings, _context: RuleContext) -> None:
    """Check the stack's name."""
    name = findings.document.text("name")
    if name is not None:
        findings.fault(("name",), stack_name_fault(name))


_ROLES: tuple[Place, ...] = (("aws", "assume_role"), (*_S3, "assume_role"))
"""The roles that the tool assumes."""


def check_assumed_roles(findings: Findings, context: RuleContext) -> None:
    """Check ARN, session name and duration of each role that the tool assumes; warn if it is in another account."""
    for place in _ROLES:
        arn = findings.document.text(*place, "role_arn")
        if arn is not None:
            findings.fault((*place, "role_arn"), role_arn_fault(arn, context))
        name = findings.document.text(*place, "session_name")
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_+=,.@-]{2,64}", name):
            advice = "2 to 64 letters, digits and `_+=,.@-`"
            findings.problem((*place, "session_name"), f"{show(name)} cannot be a session's name", advice)
        duration = findings.document.text(*place, "duration")
        if duration is not None and not 900 <= duration_seconds(duration) <= 43_200:
            message = f"{show(duration)} is not a session's duration"
            findings.problem((*place, "duration"), message, "15m to 12h, such as `1h` or `1h30m`")
    arn, guard = findings.document.text("aws", "assume_role", "role_arn"), context.account_id
    if arn and guard and not findings.problems and arn.split(":")[4] != guard:
        message = f"is a role of account {arn.split(':')[4]}, but the stack is for {guard}: every run will refuse it"
        findings.warning(("aws", "assume_role", "role_arn"), message, "correct it, or `aws.account_id`")


def role_arn_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a text that is not the ARN of a role, or is in another partition than the region."""
    form = f"such as `arn:{context.partition or 'aws'}:iam::111111111111:role/gridbyoc`"
    arn = parse_arn(text)
    if not arn or arn.service != "iam" or not re.fullmatch(r"role/[\x21-\x29\x2b-\x3e\x40-\x7e]+", arn.resource):
        return Fault(f"{show(text)} is not the ARN of a role", f"give a role's ARN, {form}")
    if arn.region or not _ACCOUNT_ID.fullmatch(arn.account):
        return Fault(f"{show(text)} is not the ARN of a role", form)
    if context.partition not in (None, arn.partition):
        message = f"is in the partition `{arn.partition}`, but the region is in `{context.partition}`"
        return Fault(message, f"its ARN must begin with `arn:{context.partition}:`")
    return None


def check_aws(findings: Findings, _context: RuleContext) -> None:
    """Check region, profiles and account ids (also the trusted account's)."""
    region = findings.document.text("aws", "region")
    if region is not None:
        findings.fault(("aws", "region"), region_fault(region))
    places: tuple[Place, ...] = (("aws", "account_id"), ("role", "trusted_account_id"))
    for place in places:
        account_id = findings.document.text(*place)
        if account_id is not None:
            findings.fault(place, account_id_fault(account_id))
    for place in (("aws", "profile"), ("terraform", "backend", "s3", "profile")):
        profile = findings.document.text(*place)
        if profile is not None and (not profile.strip() or not profile.isprintable()):
            findings.problem(place, "is not a profile's name", "give a profile of ~/.aws/config, or remove the key")
