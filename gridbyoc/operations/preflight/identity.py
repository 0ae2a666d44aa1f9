"""Check the caller: the account and principal, the credentials, the region and the partition."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from gridbyoc.aws import Caller
from gridbyoc.aws.connectivity import NOT_ENABLED_OR_WRONG, ask_sts, region_status
from gridbyoc.aws.credential_source import CredentialSource, credential_source
from gridbyoc.errors import AwsCredentialsError, GridbyocError
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.preflight.model import Check, PreflightContext
from gridbyoc.stack.regions import HOME_REGIONS, partition_of
from gridbyoc.stack.words import Place, minute

CALLER = FindingKind(
    "GBY-I001",
    "identity",
    "caller",
    """The AWS credentials are valid: STS says which account and principal they are. Fails if there are none, they
    have expired, AWS does not know them, or their source is broken (a profile, a process, a login, a file that
    boto3 cannot read), with the file, the line and the command that helps. With `aws.assume_role` they are those of
    that role's session; fails if AWS refuses the role. Unknown if STS could not be asked.""",
    "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",
)
SOURCE = FindingKind(
    "GBY-I002",
    "identity",
    "credentials",
    """Where the credentials come from, and how long they last. Fails if they have expired, warns if fewer than 15
    minutes are left and nothing renews them: Terraform needs them, the 20 to 50 minutes of creating a cluster do not.
    A long-lived access key passes, with the advice to use short-term credentials; so do temporary credentials in the
    environment whose expiry is not stated (`AWS_CREDENTIAL_EXPIRATION`).""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#bp-workloads-use-roles",
)
ROOT = FindingKind(
    "GBY-I003",
    "identity",
    "root user",
    "Warns if the caller is the account's root user, whom no policy limits.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
)
GUARD = FindingKind(
    "GBY-I004",
    "identity",
    "account guard",
    """The caller's account (with `aws.assume_role`, that of the role's session) is the stack's `aws.account_id`, if it
    has one. Fails if it is another account.""",
    "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html",
)
ENABLED = FindingKind(
    "GBY-I005",
    "identity",
    "region enabled",
    "The account has enabled the region, or need not enable it. Fails if it has not, with the command that enables it.",
    "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html",
)
STS = FindingKind(
    "GBY-I006",
    "identity",
    "STS endpoint",
    """STS answers at the region's own endpoint, which the cluster's machines use. Fails if it refuses credentials
    that another region accepts: the region, or STS in it, is not active.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html",
)
PARTITION = FindingKind(
    "GBY-I007",
    "identity",
    "partition",
    "The credentials belong to the region's partition (aws, aws-cn, aws-us-gov, aws-eusc). Fails otherwise.",
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html",
)


SOON = timedelta(minutes=15)
"""Only Terraform needs AWS credentials: for a minute or two, with time for an approval."""
WHAT_NEEDS_THEM = "Terraform and destroy need them; the control plane builds the cluster without them"
SHORT_TERM = "AWS recommends short-term credentials: `aws configure sso`, or a role"
_CALL = "sts:GetCallerIdentity"
REGION_PLACE: Place = ("aws", "region")


def _who(scene: PreflightContext) -> tuple[Caller, str]:
    """The caller, and the STS region that answered: the stack's region, or the partition's home region.

    A region that is not enabled, or of another partition, reports valid keys as invalid.
    """
    try:
        return scene.caller(), scene.region
    except AwsCredentialsError as error:
        partition = partition_of(scene.region) or "aws"
        homes = dict.fromkeys((HOME_REGIONS.get(partition, ""), HOME_REGIONS["aws"]))
        for home in homes if error.why.startswith(NOT_ENABLED_OR_WRONG) else ():
            try:
                return ask_sts(scene.session(), home)[0], home
            except GridbyocError:
                continue
        raise


def _caller(scene: PreflightContext) -> Iterator[Finding]:
    try:
        caller, _ = _who(scene)
    except AwsCredentialsError as error:
        yield Finding(CALLER, "fail", f"{error.what} {error.why}".strip(), "valid credentials", error.fix, _CALL)
        return
    facts = {"account_id": caller.account_id, "arn": caller.arn, "partition": caller.partition}
    yield Finding(CALLER, "pass", f"{caller.arn} in account {caller.account_id}", source=_CALL, facts=facts)
    yield _root(caller)
    yield _guard(scene, caller)
    yield _partition(scene, caller)


def _root(caller: Caller) -> Finding:
    if caller.arn.endswith(":root"):
        fix = "Use an administrator's role (`aws configure sso`), and delete the root user's access keys."
        return Finding(ROOT, "warn", "the root user of the account", "any other principal", fix, _CALL)
    return Finding(ROOT, "pass", "not the root user", source=_CALL)


def _guard(scene: PreflightContext, caller: Caller) -> Finding:
    wanted = scene.stack.aws.account_id if scene.stack else None
    if wanted is None:
        advice = f'account {caller.account_id}; no guard (aws.account_id: "{caller.account_id}" would be one)'
        return Finding(GUARD, "pass", advice, source=_CALL)
    if wanted == caller.account_id:
        return Finding(GUARD, "pass", f"account {caller.account_id}", f"account {wanted}", source=_CALL)
    fix = f"Use credentials of account {wanted}, or correct aws.account_id in the stack file."
    if scene.stack and scene.stack.aws.role_arn:
        fix = f"Name a role of account {wanted} in aws.assume_role.role_arn, or correct aws.account_id."
    at = ("aws", "account_id")
    return Finding(GUARD, "fail", f"account {caller.account_id}", f"account {wanted}", fix, _CALL, at=at)


def _partition(scene: PreflightContext, caller: Caller) -> Finding:
    wanted = partition_of(scene.region)
    if wanted is None:
        fix = "A newer botocore may know it: `pip install -U botocore`."
        return Finding(PARTITION, "unknown", f"the partition of {scene.region} is unknown", fix=fix)
    if wanted == caller.partition:
        return Finding(PARTITION, "pass", f"partition {wanted}", f"partition {wanted}", source=_CALL)
    read = f"the credentials are of partition {caller.partition}, but {scene.region} is in {wanted}"
    fix = f"Use credentials of an account in {wanted}, or a region of {caller.partition}."
    return Finding(PARTITION, "fail", read, f"partition {wanted}", fix, _CALL, at=REGION_PLACE)


def _source(scene: PreflightContext) -> Iterator[Finding]:
    machine = scene.machine
    try:
        found = credential_source(scene.session(), machine.environ, machine.home)
    except AwsCredentialsError as error:
        yield Finding(SOURCE, "fail", f"{error.what} {error.why}".strip(), "valid credentials", error.fix)
        return
    yield judged_source(found, machine.now())


def judged_source(found: CredentialSource, now: datetime) -> Finding:
    """Judge whether the credentials last for Terraform, which alone needs them."""
    facts = {
        "source": found.kind,
        "profile": found.profile,
        "expires": found.expires.isoformat() if found.expires else None,
        "renews": found.renews,
        "temporary": found.temporary,
    }
    needed = f"{_minutes(SOON)} left"
    if found.role:
        facts["role"] = found.role
    beside = f" (AWS_DEFAULT_PROFILE wins over AWS_PROFILE={found.ignored})" if found.ignored else ""
    if found.expires is None or found.renews:
        read = found.text + beside + (", renewed automatically" if found.renews else "")
        ends = "" if found.renews else "; temporary, expiry unknown"
        read += ends if found.temporary else f"; long-lived key. {SHORT_TERM}"
        return Finding(SOURCE, "pass", read, facts=facts)
    left = found.expires - now
    log_in = f"{_log_in(found)} again"
    if left <= timedelta(0):
        read = f"{found.text}: expired at {minute(found.expires)}"
        return Finding(SOURCE, "fail", read, needed, f"{log_in}.", facts=facts)
    read = f"{found.text}: {_minutes(left)} left"
    if left < SOON:
        fix = f"{log_in} before the run. {WHAT_NEEDS_THEM}."
        return Finding(SOURCE, "warn", read, needed, fix, facts=facts)
    return Finding(SOURCE, "pass", read, needed, facts=facts)


def _log_in(found: CredentialSource) -> str:
    if found.kind != "SSO":
        return "Log in"
    profile = f" --profile {shlex.quote(found.profile)}" if found.profile else ""
    return f"Run `aws sso login{profile}`"


def _minutes(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _region(scene: PreflightContext) -> Iterator[Finding]:
    partition = partition_of(scene.region) or "aws"
    found = region_status(scene.session(), scene.region, partition)
    call, needed = "ec2:DescribeRegions", "opted-in or opt-in-not-required"
    if found.opt_in == "not-opted-in":
        fix = f"Enable it, which takes minutes: `aws account enable-region --region-name {scene.region}`."
        yield Finding(ENABLED, "fail", f"{scene.region} is not-opted-in", needed, fix, call, at=REGION_PLACE)
    elif found.opt_in is None:
        fix = "Check aws.region. If it is right, the account may not be able to see the region."
        yield Finding(ENABLED, "unknown", f"AWS does not list {scene.region}", needed, fix, call, at=REGION_PLACE)
    else:
        yield Finding(ENABLED, "pass", f"{scene.region}: {found.opt_in}", needed, source=call)


def _sts(scene: PreflightContext) -> Iterator[Finding]:
    try:
        _, endpoint = ask_sts(scene.session(), scene.region)
    except AwsCredentialsError as error:
        if not error.why.startswith(NOT_ENABLED_OR_WRONG):
            raise
        where = _who(scene)[1]
        read = f"STS in {scene.region} refuses credentials that STS in {where} accepts"
        fix = f"Enable the region (`aws account enable-region --region-name {scene.region}`), or use another."
        yield Finding(STS, "fail", read, "an answer", fix, _CALL, at=REGION_PLACE)
        return
    yield Finding(STS, "pass", f"answers at {endpoint}", "an answer", source=_CALL)


CHECKS = (
    Check((CALLER, ROOT, GUARD, PARTITION), _caller),
    Check((SOURCE,), _source),
    Check((ENABLED,), _region),
    Check((STS,), _sts),
)
