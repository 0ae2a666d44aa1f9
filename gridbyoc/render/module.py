"""The module that the root calls: ours or a local one, both copied in, or one that ``terraform init`` fetches."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, UsageError
from gridbyoc.render.hcl import align
from gridbyoc.render.templates import data_dir, template_environment
from gridbyoc.stack.files import file_error
from gridbyoc.stack.model import ModuleSource, Stack

OURS = "modules/gridbyoc"
LOCAL = "modules/custom"
MOST_FILES = 1000
_LEFT_OUT = (".tfvars", ".tfvars.json", ".tfstate", ".tfstate.backup")


@dataclass(frozen=True, slots=True)
class File:
    """Content and mode of a file in the work_dir."""

    content: bytes
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class CalledModule:
    """``source`` and ``version`` as the root module writes them; ``files`` by their path in the work_dir."""

    source: str
    version: str | None
    files: Mapping[str, File]
    warnings: tuple[str, ...] = ()


def called_module(stack: Stack) -> CalledModule:
    """The module that this stack uses, with every file to copy. Raises ``FileError`` for a path without a module."""
    named = stack.terraform.module
    if named is None:
        return _ours()
    if named.source.startswith(("/", "./", "../", "~/")) or named.source in (".", ".."):
        return _local(named, stack.file.parent if stack.file else Path.cwd())
    return CalledModule(named.source, named.version, {})


@cache
def _ours() -> CalledModule:
    directory = data_dir("modules") / "gridbyoc"
    paths = [*sorted(directory.glob("*.tf")), directory / "README.md"]
    return CalledModule(f"./{OURS}", None, {f"{OURS}/{path.name}": _file(path) for path in paths})


def _local(named: ModuleSource, beside: Path) -> CalledModule:
    """As in Terraform's addresses, the directory before ``//`` is copied and the one after it is called."""
    base, _, inner = named.source.partition("//")
    top = beside / Path(base).expanduser()
    called = top / inner
    if not _has_configuration(called):
        raise FileError(
            f"There is no Terraform module in {called}.",
            why="The stack's terraform.module.source names this directory, but it contains no .tf file.",
            fix="Correct terraform.module.source in the stack file; a relative path starts at the stack file.",
        )
    files: dict[str, File] = {}
    warnings = [] if named.version is None else ["terraform.module.version has no effect: the source is a path."]
    for path in _walk(top):
        if path.is_symlink():
            warnings.append(f"{path} is a symbolic link and was not copied into the work_dir.")
        else:
            files[f"{LOCAL}/{path.relative_to(top).as_posix()}"] = _file(path)
        if len(files) > MOST_FILES:
            raise FileError(
                f"{top} contains more than {MOST_FILES} files.",
                why="The whole directory is copied into the work_dir.",
                fix="Give a directory that contains only the module.",
            )
    source = f"./{LOCAL}/{inner}" if inner else f"./{LOCAL}"
    return CalledModule(source.rstrip("/"), None, files, tuple(warnings))


def _has_configuration(directory: Path) -> bool:
    return any(path.name.endswith((".tf", ".tf.json", ".tofu")) for path in _listed(directory))


def _walk(directory: Path) -> Iterator[Path]:
    """Every file below, without hidden files and directories (``.terraform``, ``.git``, our own), state and values."""
    for path in _listed(directory):
        if path.name.startswith(".") or path.name.endswith(_LEFT_OUT):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_symlink() or path.is_file():
            yield path


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise file_error("Cannot read", directory, error) from None


def _file(path: Path) -> File:
    try:
        return File(path.read_bytes(), 0o700 if path.stat().st_mode & stat.S_IXUSR else 0o600)
    except OSError as error:
        raise file_error("Cannot read", path, error) from None


ISSUER = "token.actions.githubusercontent.com"
AUDIENCES = {"aws-cn": "sts.amazonaws.com.cn"}
"""The token's audience by partition, if it is not ``sts.amazonaws.com``:
https://github.com/aws-actions/configure-aws-credentials#audiences"""

_OWNER, _REPO, _ID = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "[A-Za-z0-9._-]{1,100}", "@[1-9][0-9]{0,19}"
_REPOSITORY = re.compile(f"{_OWNER}/{_REPO}|{_OWNER}{_ID}/{_REPO}{_ID}")
_BRANCH_CHARACTERS = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]+")
_ENVIRONMENT = re.compile(r"[^\x00-\x1f\x7f/*?]{1,255}")


@dataclass(frozen=True, slots=True)
class GithubTrust:
    """Which jobs may assume the role: those with a token whose ``sub`` is in ``subjects``.

    ``new_provider``: IAM has no OIDC provider for GitHub yet.
    https://docs.github.com/actions/reference/security/oidc
    """

    subjects: tuple[str, ...]
    audience: str = "sts.amazonaws.com"
    new_provider: bool = False
    url: str = f"https://{ISSUER}"
    audience_key: str = f"{ISSUER}:aud"
    subject_key: str = f"{ISSUER}:sub"


@dataclass(frozen=True, slots=True)
class AssumedRoleTrust:
    """The role of ``aws.assume_role``: who may assume it, and whether only with an external id (a variable)."""

    name: str
    path: str
    principals: tuple[str, ...]
    external_id: bool
    max_session_seconds: int


@dataclass(frozen=True, slots=True)
class RenderedPolicy:
    """A policy in Terraform: the names of the resource and the policy, and the document."""

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

    ``repository`` is ``ORG/REPO``, or ``ORG@ID/REPO@ID`` if GitHub puts immutable ids into tokens, as it does for
    repositories created or renamed since 15 July 2026:
    https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
    At least one branch or environment is required: a whole repository, with its pull requests, is never trusted.
    Raises ``UsageError`` for a name that GitHub or Git does not allow.
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
            "A whole repository cannot be trusted: every branch and every pull request could assume the role.",
            "Give --branch, --environment, or both.",
        )
    subjects = [f"repo:{repository}:ref:refs/heads/{branch}" for branch in branches]
    # GitHub writes a colon in a name as %3A: https://docs.github.com/actions/reference/security/oidc
    subjects += [f"repo:{repository}:environment:{name.replace(':', '%3A')}" for name in environments]
    audience = AUDIENCES.get(partition, "sts.amazonaws.com")
    return GithubTrust(tuple(dict.fromkeys(_no_variables(s) for s in subjects)), audience, new_provider)


def policy_hcl(
    documents: Sequence[Mapping[str, Any]],
    name: str,
    github: GithubTrust | None = None,
    assumed: AssumedRoleTrust | None = None,
) -> str:
    """Each policy document as an ``aws_iam_policy``.

    With ``github`` or ``assumed`` also the role, its trust, and the attachments.

    The first policy is named ``name``, the others ``name-2`` and so on (in Terraform ``gridbyoc``, ``gridbyoc_2``).
    """
    policies = [
        RenderedPolicy(
            "gridbyoc" if number == 1 else f"gridbyoc_{number}", name if number == 1 else f"{name}-{number}", document
        )
        for number, document in enumerate(documents, start=1)
    ]
    template = template_environment().get_template("policy/policy.tf.j2")
    return align(template.render(policies=policies, name=name, github=github, assumed=assumed))


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
    """Escape ``${...}``, which IAM would replace with a value."""
    return text.replace("${", "${$}{")


def _check(good: object, option: str, value: str, wanted: str) -> None:
    if not good:
        raise _wrong(f"{option} {value!r} is not a name that can be trusted.", f"Give {wanted}.")


def _wrong(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
