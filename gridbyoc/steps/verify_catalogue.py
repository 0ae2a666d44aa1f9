"""Every code of a finding of ``verify``: what is asked, and when the answer is not ``pass``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What a code asks of the role, and what its other verdicts mean; Markdown."""

    code: str
    asked: str
    otherwise: str


QUESTIONS = (
    Question("GBY-V001", "Does the control plane get in with the external id?", "fail if it does not"),
    Question("GBY-V002", "Is it refused without one?", "fail if an absent id is admitted"),
    Question(
        "GBY-V003",
        "With another one: a stranger's, one that the policy names, longer, shorter, in another case, a wildcard?",
        "fail if any of them is admitted",
    ),
    Question("GBY-V004", "With an empty one?", "fail if it is admitted"),
    Question(
        "GBY-V005",
        "Is another account refused, even with the right id, and with every id that the policy itself names?",
        "fail if a stranger is admitted",
    ),
    Question(
        "GBY-V006",
        "Is anybody named whom the stack file does not declare?",
        "fail, for `*` and `NotPrincipal` too; warn for one principal of the control plane's account, and for one that "
        "was deleted",
    ),
    Question(
        "GBY-V007",
        "Does any principal get in without an external id?",
        "fail; warn if `trusted_principals_without_external_id` declares it",
    ),
    Question("GBY-V008", "Are there wildcards among principals or external ids?", "fail"),
    Question(
        "GBY-V009",
        "Does every statement ask for the external id with `StringEquals`?",
        "fail if an absent or another id meets its condition (none at all, `IfExists`, `ForAllValues:`, `Null`); warn "
        "for another operator that is as narrow",
    ),
    Question("GBY-V010", "Is `NotPrincipal` or `NotAction` used?", "fail in an Allow, warn in a Deny"),
    Question(
        "GBY-V011",
        "Is the stack's external id the only one that is accepted?",
        "warn for one that a rotation under way keeps, unknown where that cannot be told, fail for any other and for a "
        "policy variable",
    ),
    Question(
        "GBY-V012",
        "Is `sts:AssumeRole` all that is allowed?",
        "warn; `sts:TagSession` lets who assumes the role pass session tags, which override the role's own, "
        "`sts:SetSourceIdentity` lets them set a source identity, which stays",
    ),
    Question("GBY-V013", "Is an IAM user trusted by name?", "warn: its access keys may be long-lived"),
    Question(
        "GBY-V014",
        "Can the external id be guessed, or is it shared?",
        "warn if it is shorter than 16 characters, or made of words, a pattern, or names that others know (account, "
        "stack, role, cluster, region)",
    ),
    Question(
        "GBY-V020",
        "Are the stack file's (or the guide's) managed policies attached, and the role's own policy?",
        "fail, naming those that are missing by their whole ARN",
    ),
    Question(
        "GBY-V021",
        "Do the role's policies allow what the control plane needs?",
        "fail, naming the actions and the policy that is there for them",
    ),
    Question("GBY-V022", "Does an explicit Deny forbid any of it?", "fail"),
    Question("GBY-V023", "Does the permissions boundary forbid any of it?", "fail"),
    Question(
        "GBY-V024", "Is the boundary the one that the stack file names?", "fail; warn if the stack file names none"
    ),
    Question(
        "GBY-V025",
        "Does the role have policies that the stack file does not list?",
        "fail, naming each; `pass` for those that it accepts",
    ),
    Question(
        "GBY-V026", "How long may a session last?", "warn where it is not what the stack file says (12 h by default)"
    ),
    Question(
        "GBY-V027",
        "Does the role's own policy say, in its default version, what the stack file's statements say?",
        "fail, naming the statements that only one side has",
    ),
)
