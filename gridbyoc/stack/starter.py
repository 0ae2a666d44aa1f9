"""The stack file that ``gridbyoc new`` writes: small, commented and valid."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from gridbyoc.stack import defaults
from gridbyoc.stack.model import ControlPlaneType, PerformanceProfile
from gridbyoc.stack.words import escaped
from gridbyoc.vendors import DEFAULT_VENDOR, VendorFacts, facts_of


@dataclass(frozen=True, slots=True)
class Starter:
    """The values of a starter file. ``cluster`` ``None``: a cluster name made from the stack's name.

    ``vendor`` and ``trust`` (the ARN of a principal, or an account id) are those of a vendor without an API, which has
    no clusters.
    """

    name: str = defaults.STACK_NAME
    region: str = defaults.REGION
    profile: str | None = None
    account_id: str | None = None
    type: ControlPlaneType = DEFAULT_VENDOR
    cluster: str | None = None
    instance_types: tuple[str, ...] = defaults.INSTANCE_TYPES
    performance_profile: PerformanceProfile | None = None
    vendor: str | None = None
    trust: str | None = None


def starter_text(choices: Starter) -> str:
    """The file's text. If a choice is invalid, so is the file; ``load`` reports it."""
    if choices.type == "manual":
        return _manual_text(choices)
    facts = facts_of(choices.type)
    values = {
        "name": scalar(choices.name),
        "region": scalar(choices.region),
        "profile": _optional("profile", choices.profile, "platform-admin", "otherwise the usual AWS credentials"),
        "account_id": _optional("account_id", choices.account_id, "123456789012", "refuse to run anywhere else", True),
        "cluster": scalar(choices.cluster or cluster_name(choices.name)),
        "performance": _performance(choices),
        "types": "\n".join(f"      - {scalar(name)}" for name in choices.instance_types),
        "type": choices.type,
        "trusted": _trusted(facts),
        "url": facts.address.url,
        "variable": facts.address.variable,
    }
    return _TEMPLATE.format(**values)


def _manual_text(choices: Starter) -> str:
    trust = choices.trust or ""
    written = f"trusted_account_id: {quoted(trust)}" if trust.isdigit() else f"trusted_principals: [{quoted(trust)}]"
    return _MANUAL.format(
        name=scalar(choices.name),
        region=scalar(choices.region),
        profile=_optional("profile", choices.profile, "platform-admin", "otherwise the usual AWS credentials"),
        account_id=_optional("account_id", choices.account_id, "123456789012", "refuse to run anywhere else", True),
        trusted=f"  {written}" if trust else "  # trusted_principals: []",
        vendor=f"\n  vendor: {scalar(choices.vendor)}" if choices.vendor is not None else "",
    )


def cluster_name(stack_name: str) -> str:
    """A cluster name that every control plane accepts, made from a stack's name."""
    return re.sub(r"[^a-z0-9-]+", "-", stack_name.lower()).strip("-")[:63].rstrip("-") or "cluster"


def scalar(text: str) -> str:
    """Text as a YAML scalar: unquoted if that is safe, else in double quotes."""
    safe = re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", text) and text.lower() not in _WORDS
    return text if safe else quoted(text)


def quoted(text: str) -> str:
    """Text in double quotes; a JSON string is valid YAML."""
    return escaped(json.dumps(text, ensure_ascii=False))


def _optional(key: str, value: str | None, example: str, comment: str, in_quotes: bool = False) -> str:
    shown = example if value is None else value
    written = quoted(shown) if in_quotes else scalar(shown)
    return f"  {'# ' if value is None else ''}{key}: {written}  # {comment}"


def _trusted(facts: VendorFacts) -> str:
    """The trusted account; if its source may be out of date, also where to check it."""
    account = facts.trusted_account
    line = f"trusted_account_id: {quoted(account.account_id)}  # {facts.title}'s AWS account"
    if account.check is None:
        return f"  {line}"
    return f"  # From a guide of {account.source.date}. Check it: {account.check}.\n  {line}"


def _performance(choices: Starter) -> str:
    if not facts_of(choices.type).has_profiles:
        return ""
    profile = choices.performance_profile or "cost-saving"
    return f"\n    performance_profile: {scalar(profile)}  # about $10 a day; `default` is always ready, about $50"


_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""Words that YAML 1.2, or YAML 1.1 in an editor, does not read as text."""

_TEMPLATE = """\
# A gridbyoc stack file: one IAM role in one AWS account, and the clusters that use it.
# It holds no secrets; it is safe to commit.
#
# Completion in your editor: `gridbyoc schema > gridbyoc.schema.json`, and make this the first line:
#   yaml-language-server: $schema=gridbyoc.schema.json
version: 1
name: {name}
# protect: true  # nothing of this stack may be destroyed or replaced

aws:
  region: {region}  # a region, never a zone
{profile}
{account_id}

# The IAM role. All of it is optional.
role:
{trusted}
  # name: grid-{cluster}  # otherwise a generated name
  # permissions_boundary: arn:aws:iam::123456789012:policy/boundary
  # tags: {{team: ml}}

clusters:
  - name: {cluster}{performance}
    instance_types:  # amd64 only
{types}
      # - {{name: t3.large, overprovisioned_ondemand_count: 1, root_volume_size: 200}}

control_plane:
  type: {type}
  # url: {url}  # otherwise ${variable}, otherwise the service's own

# Where Terraform keeps its state. Otherwise in .gridbyoc/, beside this file.
# terraform:
#   backend:
#     s3: {{bucket: acme-tf-state, key: gridbyoc/{name}.tfstate, region: {region}}}
"""

_MANUAL = """\
# A gridbyoc stack file: one IAM role in one AWS account, for a vendor without an API.
# It holds no secrets; it is safe to commit. `gridbyoc bootstrap` makes the role and says what to send to the vendor.
#
# Completion in your editor: `gridbyoc schema > gridbyoc.schema.json`, and make this the first line:
#   yaml-language-server: $schema=gridbyoc.schema.json
version: 1
name: {name}
# protect: true  # nothing of this stack may be destroyed or replaced

aws:
  region: {region}  # a region, never a zone
{profile}
{account_id}

# Only those that stand here may assume the role, with the external id. Nothing has a default.
role:
{trusted}
  # What the role may do: nothing, until the vendor's documentation stands here.
  managed_policies: []
  # statements:
  #   - actions: ["eks:*"]
  # name: byoc-{name}  # otherwise a generated name
  # permissions_boundary: arn:aws:iam::123456789012:policy/boundary

control_plane:
  type: manual{vendor}

# Where Terraform keeps its state. Otherwise in .gridbyoc/, beside this file.
# terraform:
#   backend:
#     s3: {{bucket: acme-tf-state, key: gridbyoc/{name}.tfstate, region: {region}}}
"""
