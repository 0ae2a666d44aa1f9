"""An IAM policy as Terraform, alone or with a role that jobs of GitHub Actions may assume. Text only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.render.hcl import align
from gridbyoc.render.templates import template_environment

ISSUER = "token.actions.githubusercontent.com"
AUDIENCES = {"aws-cn": "sts.amazonaws.com.cn"}
"""What the token is made out for, where it is not ``sts.amazonaws.com``:
https://github.com/aws-actions/configure-aws-credentials#audiences"""

_OWNER, _REPO, _ID = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "[A-Za-z0-9._-]{1,100}", "@[1-9][0-9]{0,19}"
_REPOSITORY = re.compile(f"{_OWNER}/{_REPO}|{_OWNER}{_ID}/{_REPO}{_ID}")
_BRANCH_CHARACTERS = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]+")
_ENVIRONMENT = re.compile(r"[^\x00-\x1f\x7f/*?]{1,255}")


@dataclass(frozen=True, slots=True)
class GithubTrust:
    """Who gets in: the ``sub`` of a job's token is one of ``subjects``. ``new_provider``: IAM does not know GitHub yet.

    https://docs.github.com/actions/reference/security/oidc
    """

    subjects: tuple[str, ...]
    audience: str = "sts.amazonaws.com"
    new_provider: bool = False
    url: str = f"https://{ISSUER}"
    audience_key: str = f"{ISSUER}:aud"
    subject_key: str = f"{ISSUER}:sub"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy in Terraform: the resource's name, the policy's, and the document."""

    resource: str
    name: str
    document: Mapping[str, Any]


def github_trust(
    repository: str,
    branches: Sequence[str],
    environments: Sequence[str],
    *,
    partition: str = "aws",
    new_provider: bool = False,
) -> GithubTrust:
    """The trust in jobs of ``repository`` on these branches or in these environments.

    ``repository`` is ``ORG/REPO``, or ``ORG@ID/REPO@ID`` where GitHub puts immutable ids into tokens, as it does for
    repositories made or renamed since 15 July 2026:
    https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
    At least one of them: a whole repository, with its pull requests, is never trusted. ``UsageError`` for a name that
    GitHub or Git does not allow.
    """
    _check(
        _REPOSITORY.fullmatch(repository),
        "--repository",
        repository,
        "ORG/REPO or ORG@ID/REPO@ID, such as acme/platform",
    )
    for branch in branches:
        _check(_is_branch(branch), "--branch", branch, "a branch's name, such as main, without wildcards")
    for name in environments:
        _check(
            _ENVIRONMENT.fullmatch(name) and name.isprintable(),
            "--environment",
            name,
            "an environment's name, such as production",
        )
    if not branches and not environments:
        raise _wrong(
            "The whole of a repository is not trusted: any branch and any pull request would get in.",
            "Give --branch, --environment, or both.",
        )
    subjects = [f"repo:{repository}:ref:refs/heads/{branch}" for branch in branches]
    # GitHub writes a colon within a name as %3A: https://docs.github.com/actions/reference/security/oidc
    subjects += [f"repo:{repository}:environment:{name.replace(':', '%3A')}" for name in environments]
    audience = AUDIENCES.get(partition, "sts.amazonaws.com")
    return GithubTrust(tuple(dict.fromkeys(_no_variables(s) for s in subjects)), audience, new_provider)


def policy_hcl(documents: Sequence[Mapping[str, Any]], name: str, github: GithubTrust | None = None) -> str:
    """Each policy document as an ``aws_iam_policy``; with ``github`` also the role, its trust, and their attachment.

    The first is called ``name``, the others ``name-2`` and so on (in Terraform ``gridbyoc``, ``gridbyoc_2``).
    """
    policies = [
        Policy(
            "gridbyoc" if number == 1 else f"gridbyoc_{number}", name if number == 1 else f"{name}-{number}", document
        )
        for number, document in enumerate(documents, start=1)
    ]
    template = template_environment().get_template("policy/policy.tf.j2")
    return align(template.render(policies=policies, name=name, github=github))


def _is_branch(name: str) -> bool:
    """https://git-scm.com/docs/git-check-ref-format"""
    parts = name.split("/")
    return (
        _BRANCH_CHARACTERS.fullmatch(name) is not None
        and name.isprintable()
        and len(name) <= 244
        and not any(part in ("", ".") or part.startswith(".") or part.endswith(".lock") for part in parts)
        and ".." not in name
        and "@{" not in name
        and not name.endswith(".")
        and not name.startswith("-")
    )


def _no_variables(text: str) -> str:
    """IAM would put a value in the place of ``${...}``."""
    return text.replace("${", "${$}{")


def _check(good: object, option: str, value: str, wanted: str) -> None:
    if not good:
        raise _wrong(f"{option} {value!r} is not a name that can be trusted.", f"Give {wanted}.")


def _wrong(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
