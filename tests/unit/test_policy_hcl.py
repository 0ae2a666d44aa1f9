"""A policy as Terraform: whatever the names are, they stay names."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridbyoc.errors import UsageError
from gridbyoc.render.module import github_trust, policy_hcl

DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "A", "Effect": "Allow", "Action": ["iam:GetRole"], "Resource": ["*"]}],
}
LINES = policy_hcl([DOCUMENT], "x", github_trust("a/b", ["main"], ["prod"])).count("\n")
names = st.text(max_size=40) | st.text('ab/.@{}$%"\\*?[~^: \n', max_size=12)


@given(names)
def test_no_name_breaks_out_or_means_more_than_itself(name: str) -> None:
    for given_names in ((name, ["main"], ["prod"]), ("a/b", [name], ["prod"]), ("a/b", ["main"], [name])):
        try:
            trust = github_trust(*given_names)
        except UsageError:
            continue
        text = policy_hcl([DOCUMENT], "x", trust)
        assert text.count("\n") == LINES
        assert text.isascii()
        assert not re.search(r"[$%]\{", text)


@given(names, names)
def test_a_trusted_subject_is_one_branch_or_one_environment_of_one_repository(branch: str, environment: str) -> None:
    for branches, environments in (([branch], []), ([], [environment])):
        try:
            trust = github_trust("acme/platform", branches, environments)
        except UsageError:
            continue
        (subject,) = trust.subjects
        kind = "ref:refs/heads/" if branches else "environment:"
        start = f"repo:acme/platform:{kind}"
        assert subject.startswith(start)
        assert ":" not in subject.removeprefix(start)
        assert not re.search(r"[*?\n]", subject)
        assert not re.search(r"\$\{(?!\$\})", subject)


@pytest.mark.parametrize("repository", ["acme@123456/platform@456789", "a-b@1/c.d_e@2"])
def test_a_repository_may_be_named_with_its_immutable_ids(repository: str) -> None:
    assert github_trust(repository, ["main"], []).subjects == (f"repo:{repository}:ref:refs/heads/main",)


@pytest.mark.parametrize("repository", ["acme@1/platform", "acme/platform@2", "acme@/x@2", "acme@x/y@2", "acme@01/y@2"])
def test_half_an_immutable_id_is_refused(repository: str) -> None:
    with pytest.raises(UsageError, match="--repository"):
        github_trust(repository, ["main"], [])


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,30}", fullmatch=True))
def test_everyday_branches_are_taken(branch: str) -> None:
    parts = branch.split("/")
    assume(all(part and not part.startswith(".") and not part.endswith((".lock", ".")) for part in parts))
    assume(".." not in branch)
    assert github_trust("acme/platform", [branch], []).subjects == (f"repo:acme/platform:ref:refs/heads/{branch}",)
