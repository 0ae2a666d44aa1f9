"""Compare the live role's policies with the stack file: by full ARN and content, never by name.

Used by verify, drift, status, plan, bootstrap, the report page and the fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gridbyoc.aws import AwsSession
from gridbyoc.aws.live_role import LiveDocument, LiveRole, read_live_role
from gridbyoc.errors import GridbyocError, TrustError
from gridbyoc.stack.defaults import managed_policies_of, own_policy_arn, statements_of
from gridbyoc.stack.model import PolicyStatement, Role, Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import enumerated

VERSION = "2012-10-17"
NOT_DECLARED = (
    "Detach from the role what should not be there (`gridbyoc bootstrap` detaches what it attached itself); "
    "list the rest in role.managed_policies, or, if others attach it, in role.known_policies or "
    "role.known_inline_policies."
)
"""The remedy for policies that the stack file does not list."""
TAKEN_OFF = (
    "With role.exclusive `gridbyoc bootstrap` detaches it, which --yes-destroy approves; list what should stay in "
    "role.managed_policies, or, if others attach it, in role.known_policies or role.known_inline_policies."
)
"""The remedy if Terraform detaches policies that are not listed."""
NOT_COMPARED = (
    "The policies of a role that another module makes are not in the stack file, so they are not compared; "
    "`gridbyoc verify` lists them."
)


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """How a live role's policies differ from the stack file. ARNs are complete; ``own_arn`` is the role's own policy.

    ``missing``: listed, not attached. ``attached`` and ``inline``: on the role, not listed. ``known`` and
    ``known_inline``: on the role, not listed, but accepted by the stack file. ``content``: differences in the role's
    own policy, a clause for each statement. ``boundary``: how the permissions boundary differs. ``unknown``: what could
    not be read, with the reason. ``exclusive``: an apply detaches policies that are not listed.
    """

    role_arn: str
    own_arn: str = ""
    missing: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    known_inline: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    boundary: str = ""
    unknown: tuple[str, ...] = ()
    exclusive: bool = False

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Each policy on the role that the stack file does not list: an ARN, or ``inline policy NAME``."""
        return (*self.attached, *map(_inline_title, self.inline))

    @property
    def accepted(self) -> tuple[str, ...]:
        """Each policy that the stack file accepts without managing it, in the form of ``undeclared``."""
        return (*self.known, *map(_inline_title, self.known_inline))

    @property
    def remedy(self) -> str:
        """What to do about ``undeclared``."""
        return TAKEN_OFF if self.exclusive else NOT_DECLARED

    @property
    def differs(self) -> bool:
        """Whether anything is known to differ."""
        return bool(self.missing or self.undeclared or self.content or self.boundary)

    @property
    def as_declared(self) -> bool:
        """Whether everything was read and nothing differs."""
        return not self.differs and not self.unknown

    def warnings(self, *, put_right: bool) -> tuple[str, ...]:
        """A sentence for each difference and each unknown.

        ``put_right``: leave out differences that an apply corrects.
        """
        found = [
            f"The role has policies that the stack file does not list: {', '.join(self.undeclared)}. {self.remedy}"
        ]
        found = found if self.undeclared else []
        if not put_right:
            undeclared = {*self.undeclared}
            rest = (each for each in self.differences() if each[0] not in undeclared)
            found += [f"The role differs from the stack file: {subject} {detail}." for subject, detail in rest]
        found += [f"Not all of the role could be compared with the stack file ({why})." for why in self.unknown]
        return tuple(found)

    def without(self, gone: Collection[str] | None) -> RolePolicies:
        """The comparison without these policies (ARNs, or names of AWS managed policies; ``None``: without all)."""
        if gone is None:
            return replace(self, attached=(), inline=())
        left = (arn for arn in self.attached if not {arn, arn.partition(":iam::aws:policy/")[2]} & {*gone})
        return replace(self, attached=tuple(left))

    def differences(self) -> Iterator[tuple[str, str]]:
        """Pairs: the subject that differs (an ARN, an inline policy, the boundary) and how it differs."""
        yield from ((arn, "is attached, but the stack file does not list it") for arn in self.attached)
        yield from (
            (_inline_title(name), "is on the role, but the stack file does not list it") for name in self.inline
        )
        yield from ((arn, "is listed in the stack file, but is not attached") for arn in self.missing)
        yield from ((self.own_arn, clause) for clause in self.content)
        if self.boundary:
            yield "permissions boundary", self.boundary

    def hiding(self, external_id: Secret) -> RolePolicies:
        """The comparison without the external id, which somebody may have put into a name or a ``Sid``."""

        def hidden(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(map(external_id.hidden_in, texts))

        return RolePolicies(
            self.role_arn,
            self.own_arn,
            missing=hidden(self.missing),
            attached=hidden(self.attached),
            inline=hidden(self.inline),
            known=hidden(self.known),
            known_inline=hidden(self.known_inline),
            content=hidden(self.content),
            boundary=external_id.hidden_in(self.boundary),
            unknown=hidden(self.unknown),
            exclusive=self.exclusive,
        )


def compare_policies(role: LiveRole, declared: Role, *, own_module: bool = True) -> RolePolicies:
    """Compare the live role's policies with the stack file's ``role``. Pure: everything has been read.

    ``own_module`` is false if another module makes the role. Its own policy and boundary are then not in the stack file
    and not compared.
    """
    own = own_policy_arn(role.arn, declared)
    wanted = (*((own,) if own_module and statements_of(declared) else ()), *declared_arns(declared, role.partition))
    live = {each.name: each for each in role.policies if each.kind == "attached"}
    inline = [each.name for each in role.policies if each.kind == "inline"]
    further = [arn for arn in live if arn not in wanted and (own_module or arn != own)]
    known, known_inline = set(declared.known_policies), set(declared.known_inline_policies)
    compared = own_module and own in wanted and own in live
    return RolePolicies(
        role.arn,
        own,
        missing=() if role.unlisted_attached else tuple(arn for arn in wanted if arn not in live),
        attached=tuple(arn for arn in further if arn not in known),
        inline=tuple(name for name in inline if name not in known_inline),
        known=tuple(arn for arn in further if arn in known),
        known_inline=tuple(name for name in inline if name in known_inline),
        content=tuple(_content(live[own], statements_of(declared))) if compared else (),
        boundary=_boundary(role, declared) if own_module else "",
        unknown=tuple(_unknown(role, live[own] if compared else None, own_module=own_module)),
        exclusive=declared.exclusive,
    )


@dataclass(frozen=True, slots=True)
class RoleReading:
    """The result of reading a role and its policies. ``role`` is ``None`` if it does not exist or could not be read.

    ``why`` says why it could not be read.
    """

    arn: str
    role: LiveRole | None
    why: str = ""

    def policies(self, stack: Stack, external_id: Secret) -> RolePolicies | None:
        """The policies compared with the stack file; ``None`` if another module makes the role.

        If the role could not be read, they are unknown. A role that does not exist has no policies.
        """
        if stack.terraform.module is not None:
            return None
        if self.role is None:
            unknown = (self.why,) if self.why else ()
            own = own_policy_arn(self.arn, stack.role)
            return RolePolicies(self.arn, own, unknown=unknown, exclusive=stack.role.exclusive).hiding(external_id)
        return compare_policies(self.role, stack.role).hiding(external_id)


def read_role(session: AwsSession, role_arn: str) -> RoleReading:
    """Read the role without the documents of AWS managed policies. Raises nothing: errors are in the result."""
    try:
        return RoleReading(role_arn, read_live_role(session, role_arn, every_document=False))
    except TrustError:
        return RoleReading(role_arn, None)
    except GridbyocError as error:
        return RoleReading(role_arn, None, f"{error.what} {error.why}".strip())


def declared_arns(declared: Role, partition: str) -> tuple[str, ...]:
    """The complete ARN of each managed policy that the stack file (or the guide) lists."""
    prefix = f"arn:{partition}:iam::aws:policy/"
    return tuple(name if name.startswith("arn:") else prefix + name for name in managed_policies_of(declared))


def normal_form(document: object) -> object:
    """A policy document in normal form: IAM returns a list of one as its element, and reorders texts.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if isinstance(document, Mapping):
        return {key: normal_form(value) for key, value in document.items()}
    if isinstance(document, list):
        values = [normal_form(value) for value in document]
        if all(isinstance(value, str) for value in values):
            values = sorted(set(values), key=str)
        return values[0] if len(values) == 1 else values
    return document


def _inline_title(name: str) -> str:
    return f"inline policy {name}"


def _unknown(role: LiveRole, own: LiveDocument | None, *, own_module: bool) -> Iterator[str]:
    if role.unlisted_attached:
        yield f"the attached policies: {role.unlisted_attached}"
    if role.unlisted_inline:
        yield f"the inline policies: {role.unlisted_inline}"
    if own_module and role.unread:
        yield f"the permissions boundary: {role.unread}"
    if own is not None and own.document is None:
        yield f"the content of the role's own policy: {own.unread}"


def _boundary(role: LiveRole, declared: Role) -> str:
    live, wanted = role.boundary.name if role.boundary else None, declared.permissions_boundary
    if role.unread or live == wanted:
        return ""
    return f"is {live or 'none'}; the stack file names {wanted or 'none'}"


def _content(own: LiveDocument, wanted: tuple[PolicyStatement, ...]) -> Iterator[str]:
    """A clause for each statement that only one side has."""
    if own.document is None:
        return
    there = {_key(each): each for each in _statements(own.document)}
    asked = {_key(each): each for each in map(_declared_statement, wanted)}
    title = f"version {own.version}" if own.version else "its document"
    for key in there.keys() - asked.keys():
        yield f"{title} has a statement that the stack file does not: {_words(there[key])}"
    for key in asked.keys() - there.keys():
        yield f"{title} lacks a statement of the stack file: {_words(asked[key])}"
    version = own.document.get("Version", "2008-10-17")
    if version != VERSION:
        yield f"{title} is written in the policy language {version}, the stack file's statements in {VERSION}"


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = document.get("Statement")
    for each in found if isinstance(found, list) else [found]:
        yield each if isinstance(each, Mapping) else {"Statement": each}


def _declared_statement(statement: PolicyStatement) -> Mapping[str, Any]:
    """The statement as modules/gridbyoc/main.tf writes it."""
    sid = {} if statement.sid is None else {"Sid": statement.sid}
    body = {"Effect": statement.effect, "Action": list(statement.actions), "Resource": list(statement.resources)}
    return {**sid, **body}


def _key(statement: Mapping[str, Any]) -> str:
    """A key that is equal for equivalent statements: empty elements are ignored, action names are case-insensitive.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    kept = {name: value for name, value in statement.items() if value not in ("", {}, None)}
    for name in ("Action", "NotAction"):
        if name in kept:
            kept[name] = json.loads(json.dumps(kept[name]).lower())
    return json.dumps(normal_form(kept), sort_keys=True)


def _words(statement: Mapping[str, Any]) -> str:
    """The statement in words, such as ``Allow ecr:*, eks:* on *``.

    Conditions show their keys only: a value may be secret.
    """
    sid = f" (Sid {statement['Sid']})" if statement.get("Sid") else ""
    on = _selected(statement, "Resource")
    condition = statement.get("Condition") or {}
    keys = {str(key) for operator in _mappings(condition) for key in operator}
    under = f", under a condition on {enumerated(sorted(keys))}" if condition else ""
    return f"{statement.get('Effect', 'no Effect')} {_selected(statement, 'Action')} on {on}{under}{sid}"


def _selected(statement: Mapping[str, Any], element: str) -> str:
    negated = f"Not{element}"
    found = statement.get(element, statement.get(negated))
    texts = sorted(map(str, found if isinstance(found, list) else [found])) if found else ["nothing"]
    return ("everything but " if negated in statement else "") + enumerated(texts, limit=10)


def _mappings(found: object) -> Iterable[Mapping[str, Any]]:
    return (each for each in found.values() if isinstance(each, Mapping)) if isinstance(found, Mapping) else ()
