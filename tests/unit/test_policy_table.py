"""IAM's evaluation logic against a table of policy documents: name, document, who asks what, what comes of it.

What is expected follows https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.aws.policy import (
    ANONYMOUS,
    Actor,
    Decision,
    Policy,
    ask,
    assume_request,
    evaluate,
    evaluate_identity,
    parse_policy,
    principal,
    some_principal_of,
)

GRID = "302180240179"
OTHER = "999999999999"
HOME = "123456789012"
ID = "the-external-id"
ROLE = f"arn:aws:iam::{HOME}:role/grid"
GRID_ROOT = f"arn:aws:iam::{GRID}:root"
GRID_ROLE = f"arn:aws:iam::{GRID}:role/app/runner"
GRID_SESSION = f"arn:aws:sts::{GRID}:assumed-role/runner/i-1"
GRID_USER = f"arn:aws:iam::{GRID}:user/ops/ada"

SOMEBODY = some_principal_of(GRID)
STRANGER = principal(f"arn:aws:iam::{OTHER}:role/somebody")
RUNNER = principal(GRID_SESSION, GRID_ROLE)


def policy(*statements: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    return {**({"Version": version} if version else {}), "Statement": list(statements)}


def trust(principal: Any = None, condition: Any = None, **more: Any) -> dict[str, Any]:
    """A statement of a trust policy: by default account ``GRID`` and no condition."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal or {"AWS": GRID_ROOT}, **more}
    return statement if condition is None else {**statement, "Condition": condition}


def allow(action: Any = "s3:GetObject", resource: Any = "*", condition: Any = None, **more: Any) -> dict[str, Any]:
    """A statement of an identity policy."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return statement if condition is None else {**statement, "Condition": condition}


def deny(*args: Any, **more: Any) -> dict[str, Any]:
    return {**allow(*args, **more), "Effect": "Deny"}


EXACT = {"StringEquals": {"sts:ExternalId": ID}}


@dataclass(frozen=True)
class TrustCase:
    """A trust policy, asked by ``actor`` with the external id ``with_id`` (``None``: without one)."""

    name: str
    document: Any
    expected: str
    actor: Actor = SOMEBODY
    with_id: str | None = ID

    def decide(self) -> Decision:
        read = parse_policy(self.document, name="the trust policy", kind="trust")
        ids = () if self.with_id is None else (self.with_id,)
        return evaluate((read,), assume_request(ROLE, self.actor, ids))


@dataclass(frozen=True)
class IdentityCase:
    """A role's policy (and boundary), asked for ``action`` on ``resource`` in this context."""

    name: str
    document: Any
    expected: str
    action: str = "s3:GetObject"
    resource: str | None = "arn:aws:s3:::data/a"
    context: dict[str, Any] = field(default_factory=dict)
    boundary: Any = None
    actor: Actor = field(default_factory=lambda: principal(ROLE))
    others_unknown: bool = False

    def decide(self) -> Decision:
        read = parse_policy(self.document, name="policy p", kind="identity")
        limit: Policy | None = None
        if self.boundary is not None:
            limit = parse_policy(self.boundary, name="the boundary", kind="identity")
        request = ask(
            self.action,
            actor=self.actor,
            resource=self.resource,
            context=self.context,
            others_unknown=self.others_unknown,
        )
        return evaluate_identity((read,), request, limit)


def by(operator: str, external_ids: Any) -> dict[str, Any]:
    """A trust policy that asks for the external id with this operator."""
    return policy(trust(condition={operator: {"sts:ExternalId": external_ids}}))


def when(operator: str, key: str, values: Any) -> dict[str, Any]:
    """Allowed under one condition."""
    return policy(allow(condition={operator: {key: values}}))


def unless(condition: Any) -> dict[str, Any]:
    """Everything, unless the condition holds: what negated operators are there for."""
    return policy(allow("*"), deny("*", condition=condition))


MODULE = by("StringEquals", [ID])

TRUST = [
    # --- the module's own form, and the external id
    TrustCase("the module's own policy, right id", MODULE, "allowed"),
    TrustCase("the module's own policy, no id", MODULE, "denied", with_id=None),
    TrustCase("the module's own policy, another id", MODULE, "denied", with_id="another"),
    TrustCase("the module's own policy, an id that begins with it", MODULE, "denied", with_id=f"{ID}x"),
    TrustCase("the module's own policy, an id that ends with it", MODULE, "denied", with_id=f"x{ID}"),
    TrustCase("the module's own policy, a part of the id", MODULE, "denied", with_id=ID[:-1]),
    TrustCase("the module's own policy, empty id", MODULE, "denied", with_id=""),
    TrustCase("the module's own policy, id in another case", MODULE, "denied", with_id=ID.upper()),
    TrustCase("the module's own policy, a stranger", MODULE, "denied", actor=STRANGER),
    TrustCase("the module's own policy, nobody in particular", MODULE, "denied", actor=ANONYMOUS),
    TrustCase(
        "single statement without a list", {"Version": "2012-10-17", "Statement": trust(condition=EXACT)}, "allowed"
    ),
    TrustCase("no Version at all", policy(trust(condition=EXACT), version=None), "allowed"),
    TrustCase("JSON text", json.dumps(MODULE), "allowed"),
    TrustCase(
        "names in lower case",
        {"version": "2012-10-17", "statement": [{k.lower(): v for k, v in trust(condition=EXACT).items()}]},
        "unknown",
    ),
    TrustCase("the key in another case", policy(trust(condition={"StringEquals": {"STS:externalid": ID}})), "allowed"),
    TrustCase("the operator in another case", by("stringequals", ID), "unknown"),
    TrustCase("the set operator in another case", by("forAllValues:StringEquals", ID), "unknown"),
    TrustCase("Statement in another case", {"Version": "2012-10-17", "statement": [trust(condition=EXACT)]}, "unknown"),
    TrustCase("Version in another case", {"version": "2012-10-17", "Statement": [trust(condition=EXACT)]}, "unknown"),
    TrustCase(
        "the Effect's name in another case",
        policy({"effect": "Allow", **{k: v for k, v in trust(condition=EXACT).items() if k != "Effect"}}),
        "unknown",
    ),
    TrustCase(
        "the same key twice, in two spellings",
        policy(trust(condition={"StringEquals": {"sts:ExternalId": ID, "STS:ExternalID": ID}})),
        "unknown",
    ),
    TrustCase(
        "the same operator twice, in two spellings",
        policy(trust(condition={**EXACT, "stringEquals": {"sts:ExternalId": ID}})),
        "unknown",
    ),
    TrustCase("two ids, as in a rotation", by("StringEquals", ["old", ID]), "allowed"),
    TrustCase("no condition, no id", policy(trust()), "allowed", with_id=None),
    TrustCase("an empty condition, no id", policy(trust(condition={})), "allowed", with_id=None),
    TrustCase("no value accepted", by("StringEquals", []), "denied"),
    TrustCase("StringLike with a wildcard", by("StringLike", "the-*"), "allowed", with_id="the-wrong-one"),
    TrustCase("StringEquals takes a star as a star", by("StringEquals", "*"), "denied"),
    TrustCase("StringLike with ? is one character", by("StringLike", "the-external-i?"), "allowed"),
    TrustCase("StringEqualsIgnoreCase", by("StringEqualsIgnoreCase", ID), "allowed", with_id=ID.upper()),
    TrustCase("StringEqualsIfExists lets an absent id in", by("StringEqualsIfExists", ID), "allowed", with_id=None),
    TrustCase("StringEqualsIfExists keeps another id out", by("StringEqualsIfExists", ID), "denied", with_id="x-1"),
    TrustCase("ForAllValues lets an absent id in", by("ForAllValues:StringEquals", ID), "allowed", with_id=None),
    TrustCase("ForAllValues lets an empty id in", by("ForAllValues:StringEquals", ID), "allowed", with_id=""),
    TrustCase("ForAllValues keeps another id out", by("ForAllValues:StringEquals", ID), "denied", with_id="x-1"),
    TrustCase("ForAllValues negated, no id", by("ForAllValues:StringNotEquals", "x-1"), "unknown", with_id=None),
    TrustCase("ForAnyValue keeps an empty id out", by("ForAnyValue:StringLike", "*"), "denied", with_id=""),
    TrustCase("ForAnyValue with the id", by("ForAnyValue:StringEquals", ID), "allowed"),
    TrustCase("StringEquals and an empty id", by("StringEquals", ID), "denied", with_id=""),
    TrustCase("StringLike * and an empty id", by("StringLike", "*"), "unknown", with_id=""),
    TrustCase("StringEqualsIfExists and an empty id", by("StringEqualsIfExists", ID), "unknown", with_id=""),
    TrustCase("StringNotEquals and an empty id", by("StringNotEquals", ID), "allowed", with_id=""),
    TrustCase("StringLikeIfExists lets an absent id in", by("StringLikeIfExists", ID), "allowed", with_id=None),
    TrustCase("BinaryEquals of the id in base64", by("BinaryEquals", "dGhlLWV4dGVybmFsLWlk"), "unknown"),
    TrustCase("NumericEquals of an id that is no number", by("NumericEquals", ID), "unknown"),
    TrustCase("NumericEquals of a number", by("NumericEquals", "1234"), "allowed", with_id="1234.0"),
    TrustCase("ArnLike of an id that is no ARN", by("ArnLike", "arn:*:*:*:*:*"), "unknown"),
    TrustCase("a JSON number", by("StringEquals", 1234), "allowed", with_id="1234"),
    TrustCase("a JSON number with a fraction", by("StringEquals", 1.5), "unknown", with_id="1.5"),
    TrustCase("a JSON truth value", by("StringEquals", True), "allowed", with_id="true"),
    TrustCase("Null: an empty id", by("Null", "false"), "unknown", with_id=""),
    TrustCase("the caller's account as the id", by("StringEquals", "${aws:PrincipalAccount}"), "allowed", with_id=GRID),
    TrustCase("the id itself as the id", by("StringEquals", "${sts:ExternalId}"), "allowed", with_id="whatever"),
    TrustCase(
        "a variable in the old version is no variable",
        policy(trust(condition={"StringEquals": {"sts:ExternalId": "${aws:PrincipalAccount}"}}), version="2008-10-17"),
        "denied",
        with_id=GRID,
    ),
    TrustCase("the id, or a variable without a known value", by("StringEquals", [ID, "${aws:username}"]), "unknown"),
    TrustCase("the id, or a variable that AWS does not document", by("StringEquals", [ID, "${x"]), "unknown"),
    TrustCase("the id, or a variable with a value", by("StringEquals", [ID, "${aws:PrincipalAccount}"]), "allowed"),
    TrustCase("ForAnyValue keeps an absent id out", by("ForAnyValue:StringEquals", ID), "denied", with_id=None),
    TrustCase("Null false: any id will do", by("Null", "false"), "allowed", with_id="whatever"),
    TrustCase("Null false: none will not", by("Null", False), "denied", with_id=None),
    TrustCase("StringNotEquals lets an absent id in", by("StringNotEquals", "old"), "allowed", with_id=None),
    # --- principals
    TrustCase("an account id for a principal", policy(trust({"AWS": GRID}, EXACT)), "allowed"),
    TrustCase(
        "an account id for a principal, a stranger", policy(trust({"AWS": GRID}, EXACT)), "denied", actor=STRANGER
    ),
    TrustCase(
        "a list of principals", policy(trust({"AWS": [f"arn:aws:iam::{OTHER}:root", GRID_ROOT]}, EXACT)), "allowed"
    ),
    TrustCase("the root of another partition", policy(trust({"AWS": f"arn:aws-cn:iam::{GRID}:root"}, EXACT)), "denied"),
    TrustCase("everybody, as a text", policy(trust("*")), "allowed", actor=STRANGER, with_id=None),
    TrustCase("everybody, as AWS", policy(trust({"AWS": "*"})), "allowed", actor=ANONYMOUS, with_id=None),
    TrustCase("everybody with the id", policy(trust({"AWS": "*"}, EXACT)), "allowed", actor=STRANGER),
    TrustCase(
        "everybody of one account, by condition",
        policy(trust({"AWS": "*"}, {"StringEquals": {"aws:PrincipalAccount": GRID}})),
        "denied",
        actor=STRANGER,
    ),
    TrustCase("one role, some principal of its account", policy(trust({"AWS": GRID_ROLE}, EXACT)), "unknown"),
    TrustCase("one role, a session of it", policy(trust({"AWS": GRID_ROLE}, EXACT)), "allowed", actor=RUNNER),
    TrustCase(
        "one role, a session of another",
        policy(trust({"AWS": GRID_ROLE}, EXACT)),
        "denied",
        actor=principal(GRID_SESSION.replace("runner", "other")),
    ),
    TrustCase("one session, that session", policy(trust({"AWS": GRID_SESSION}, EXACT)), "allowed", actor=RUNNER),
    TrustCase(
        "one session, another of the role",
        policy(trust({"AWS": GRID_SESSION}, EXACT)),
        "denied",
        actor=principal(GRID_SESSION + "2"),
    ),
    TrustCase(
        "one session, the role", policy(trust({"AWS": GRID_SESSION}, EXACT)), "unknown", actor=principal(GRID_ROLE)
    ),
    TrustCase("one user", policy(trust({"AWS": GRID_USER}, EXACT)), "allowed", actor=principal(GRID_USER)),
    TrustCase(
        "one user, in another case",
        policy(trust({"AWS": GRID_USER.replace("ada", "Ada")}, EXACT)),
        "denied",
        actor=principal(GRID_USER),
    ),
    TrustCase("a deleted principal's id", policy(trust({"AWS": "AROAIIAAAAAAAAAAAAAAA"}, EXACT)), "denied"),
    TrustCase(
        "a wildcard within an ARN",
        policy(trust({"AWS": f"arn:aws:iam::{GRID}:role/*"}, EXACT)),
        "unknown",
        actor=principal(GRID_ROLE),
    ),
    TrustCase("a root ARN of another service", policy(trust({"AWS": f"arn:aws:sts::{GRID}:root"}, EXACT)), "unknown"),
    TrustCase("a root ARN in another case", policy(trust({"AWS": f"arn:aws:iam::{GRID}:Root"}, EXACT)), "unknown"),
    TrustCase(
        "a root ARN with a region", policy(trust({"AWS": f"arn:aws:iam:us-east-1:{GRID}:root"}, EXACT)), "unknown"
    ),
    TrustCase("a group", policy(trust({"AWS": f"arn:aws:iam::{GRID}:group/all"}, EXACT)), "unknown"),
    TrustCase("an account id with a space", policy(trust({"AWS": f"{GRID} "}, EXACT)), "unknown"),
    TrustCase("the account as AWS in another case", policy(trust({"aws": GRID_ROOT}, EXACT)), "unknown"),
    TrustCase("every service", policy(trust({"Service": "*"}, EXACT)), "unknown"),
    TrustCase("every provider", policy(trust({"Federated": "*"}, EXACT)), "unknown"),
    TrustCase("the root user alone", policy(trust(condition=EXACT)), "allowed", actor=principal(GRID_ROOT)),
    TrustCase(
        "a federated user's session",
        policy(trust({"AWS": f"arn:aws:sts::{GRID}:federated-user/bob"}, EXACT)),
        "allowed",
        actor=principal(f"arn:aws:sts::{GRID}:federated-user/bob"),
    ),
    TrustCase("nobody at all", policy(trust({"AWS": []}, EXACT)), "denied"),
    TrustCase("a principal that is nothing known", policy(trust({"AWS": "somebody"}, EXACT)), "unknown"),
    TrustCase("a service, not the account", policy(trust({"Service": "ec2.amazonaws.com"})), "denied"),
    TrustCase(
        "a service, that service",
        policy(trust({"Service": ["ec2.amazonaws.com"]})),
        "allowed",
        actor=Actor("service", "ec2.amazonaws.com"),
        with_id=None,
    ),
    TrustCase(
        "a service, a different service",
        policy(trust({"Service": "ec2.amazonaws.com"})),
        "denied",
        actor=Actor("service", "eks.amazonaws.com"),
        with_id=None,
    ),
    TrustCase(
        "the account, asked by a service",
        policy(trust()),
        "denied",
        actor=Actor("service", "ec2.amazonaws.com"),
        with_id=None,
    ),
    TrustCase(
        "a provider",
        policy(trust({"Federated": "accounts.google.com"}, Action="sts:*")),
        "allowed",
        actor=Actor("federated", "accounts.google.com"),
        with_id=None,
    ),
    TrustCase(
        "a canonical user",
        policy(trust({"CanonicalUser": "79a59d"}, Action="*")),
        "allowed",
        actor=Actor("canonical", "79a59d"),
        with_id=None,
    ),
    TrustCase("a kind of principal that is not known", policy(trust({"Robot": "r2"}, EXACT)), "unknown"),
    TrustCase(
        "a kind that is not known, beside a known one",
        policy(trust({"Robot": "r2", "AWS": GRID_ROOT}, EXACT)),
        "allowed",
    ),
    TrustCase("a kind that is not known, in a Deny", policy(trust(), trust({"Robot": "r2"}, Effect="Deny")), "unknown"),
    # --- NotPrincipal
    TrustCase(
        "Deny NotPrincipal: not listed",
        policy(trust("*"), trust(Effect="Deny", Principal=None, NotPrincipal={"AWS": GRID_ROOT})),
        "unknown",
        actor=STRANGER,
    ),
    TrustCase(
        "Deny NotPrincipal: account, role and session listed",
        policy(
            trust("*"), trust(Effect="Deny", Principal=None, NotPrincipal={"AWS": [GRID_ROOT, GRID_ROLE, GRID_SESSION]})
        ),
        "unknown",
        actor=RUNNER,
    ),
    TrustCase(
        "Deny NotPrincipal: one role of the account is listed, some principal of it asks",
        policy(trust(), trust(Effect="Deny", Principal=None, NotPrincipal={"AWS": GRID_ROLE})),
        "unknown",
    ),
    TrustCase(
        "Deny NotPrincipal, nothing allowed",
        policy(trust(Effect="Deny", Principal=None, NotPrincipal={"AWS": GRID_ROOT})),
        "denied",
        actor=STRANGER,
    ),
    TrustCase(
        "Allow NotPrincipal: not listed",
        policy(trust(Principal=None, NotPrincipal={"AWS": [GRID_ROOT]})),
        "unknown",
        actor=STRANGER,
    ),
    TrustCase(
        "Allow NotPrincipal: its account is listed",
        policy(trust(Principal=None, NotPrincipal={"AWS": OTHER})),
        "unknown",
        actor=principal(f"arn:aws:iam::{OTHER}:root"),
    ),
    TrustCase(
        "Allow NotPrincipal, a condition that is not met",
        policy(trust(condition=EXACT, Principal=None, NotPrincipal={"AWS": OTHER})),
        "denied",
        with_id="another",
    ),
    # --- actions
    TrustCase("sts:*", policy(trust(condition=EXACT, Action="sts:*")), "allowed"),
    TrustCase("STS:assume????", policy(trust(condition=EXACT, Action="STS:assume????")), "allowed"),
    TrustCase("*", policy(trust(condition=EXACT, Action="*")), "allowed"),
    TrustCase("sts:Assume*", policy(trust(condition=EXACT, Action="sts:Assume*")), "allowed"),
    TrustCase("*:*", policy(trust(condition=EXACT, Action="*:*")), "unknown"),
    TrustCase("s?s:AssumeRole", policy(trust(condition=EXACT, Action="s?s:AssumeRole")), "unknown"),
    TrustCase("sts*", policy(trust(condition=EXACT, Action="sts*")), "unknown"),
    TrustCase("no service", policy(trust(condition=EXACT, Action="AssumeRole")), "denied"),
    TrustCase("with a SAML provider only", policy(trust(condition=EXACT, Action="sts:AssumeRoleWithSAML")), "denied"),
    TrustCase("a Deny of s?s:*", policy(trust(condition=EXACT), trust("*", Effect="Deny", Action="s?s:*")), "unknown"),
    TrustCase(
        "NotAction with a wildcard for a service",
        policy(trust(condition=EXACT, Action=None, NotAction="s?s:*")),
        "unknown",
    ),
    TrustCase("only tagging a session", policy(trust(condition=EXACT, Action=["sts:TagSession"])), "denied"),
    TrustCase(
        "NotAction leaves it out", policy(trust(condition=EXACT, Action=None, NotAction="sts:Assume*")), "denied"
    ),
    TrustCase("NotAction leaves it in", policy(trust(condition=EXACT, Action=None, NotAction="s3:*")), "allowed"),
    # --- explicit deny, and what is not known
    TrustCase("a Deny after the Allow", policy(trust(condition=EXACT), trust("*", Effect="Deny")), "denied"),
    TrustCase("a Deny before the Allow", policy(trust("*", Effect="Deny"), trust(condition=EXACT)), "denied"),
    TrustCase(
        "a Deny of those without id",
        policy(trust(), trust("*", {"Null": {"sts:ExternalId": "true"}}, Effect="Deny")),
        "denied",
        with_id=None,
    ),
    TrustCase("a Deny of others", policy(trust(condition=EXACT), trust({"AWS": OTHER}, Effect="Deny")), "allowed"),
    TrustCase("an operator that is not known", by("StringMatches", ID), "unknown"),
    TrustCase("an operator of no form", by("String Equals!", ID), "unknown"),
    TrustCase(
        "an unknown operator beside an unmet condition",
        policy(trust(condition={"Strange": {"a": "b"}, **EXACT})),
        "denied",
        with_id="x-1",
    ),
    TrustCase(
        "an unknown operator in a Deny",
        policy(trust(condition=EXACT), trust("*", {"Strange": {"a": "b"}}, Effect="Deny")),
        "unknown",
    ),
    TrustCase(
        "an unknown operator in a Deny, nothing allowed",
        policy(trust("*", {"Strange": {"a": "b"}}, Effect="Deny")),
        "denied",
    ),
    TrustCase("an element that is not known", policy(trust(condition=EXACT, Until="2030")), "unknown"),
    TrustCase(
        "an address, which is not known",
        policy(trust(condition={**EXACT, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        "unknown",
    ),
    TrustCase(
        "an organisation, which is not known",
        policy(trust("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
        "unknown",
        actor=STRANGER,
    ),
    TrustCase("over TLS", policy(trust(condition={**EXACT, "Bool": {"aws:SecureTransport": True}})), "allowed"),
    TrustCase(
        "who it is, by PrincipalArn",
        policy(trust("*", {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{GRID}:role/app/*"}})),
        "allowed",
        actor=RUNNER,
    ),
    TrustCase(
        "who it is, by PrincipalArn, not known",
        policy(trust("*", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app/*"}})),
        "unknown",
    ),
    TrustCase("a statement that names the role", policy(trust(condition=EXACT, Resource=ROLE)), "unknown"),
]

STRING = {"app:Key": "Alpha"}
IDENTITY = [
    # --- actions and resources
    IdentityCase("all", policy(allow("*")), "allowed"),
    IdentityCase("a service's actions", policy(allow("S3:*")), "allowed"),
    IdentityCase("a part of an action", policy(allow("s3:Get*")), "allowed"),
    IdentityCase("another action", policy(allow(["s3:PutObject", "ec2:*"])), "denied"),
    IdentityCase("NotAction", policy(allow(None, NotAction="iam:*")), "allowed"),
    IdentityCase("NotAction names it", policy(allow(None, NotAction=["s3:*"])), "denied"),
    IdentityCase("a resource by prefix", policy(allow(resource="arn:aws:s3:::data/*")), "allowed"),
    IdentityCase("a resource in another case", policy(allow(resource="arn:aws:s3:::Data/*")), "denied"),
    IdentityCase("a resource with ?", policy(allow(resource=["arn:aws:s3:::x", "arn:aws:s3:::dat?/a"])), "allowed"),
    IdentityCase("a wildcard that ends a part reaches over colons", policy(allow(resource="arn:aws:s3:*")), "allowed"),
    IdentityCase("a wildcard within a part does not", policy(allow(resource="arn:aws:s3:*a/a")), "unknown"),
    IdentityCase("? for a colon", policy(allow(resource="arn:aws:s3:??data/a")), "unknown"),
    IdentityCase("a wildcard for the service", policy(allow(resource="arn:aws:*:::data/a")), "unknown"),
    IdentityCase("an ARN that is not whole", policy(allow(resource="arn:aws:s3")), "unknown"),
    IdentityCase("an ARN that is not whole, in a Deny", policy(allow(), deny(resource="arn:aws:s3")), "unknown"),
    IdentityCase("another ARN that is not whole", policy(allow(resource="arn:aws:ec2")), "denied"),
    IdentityCase(
        "a variable before the last part",
        policy(allow(resource="arn:aws:${app:Service}:::data/a")),
        "unknown",
        context={"app:Service": "s3"},
    ),
    IdentityCase("NotResource names it", policy(allow(resource=None, NotResource="arn:aws:s3:::data/*")), "denied"),
    IdentityCase(
        "NotResource names others", policy(allow(resource=None, NotResource="arn:aws:s3:::logs/*")), "allowed"
    ),
    IdentityCase("whatever resource", policy(allow(resource="arn:aws:s3:::logs/*")), "allowed", resource=None),
    IdentityCase("an Allow and a Deny of the same", policy(allow(), deny()), "denied"),
    IdentityCase("a Deny of another resource", policy(allow(), deny(resource="arn:aws:s3:::logs/*")), "allowed"),
    IdentityCase(
        "a Deny with NotResource", policy(allow(), deny(resource=None, NotResource="arn:aws:s3:::logs/*")), "denied"
    ),
    IdentityCase("a Deny with NotAction", policy(allow("*"), deny(None, NotAction="ec2:*")), "denied"),
    # --- variables
    IdentityCase(
        "a variable in a resource",
        policy(allow(resource="arn:aws:s3:::${aws:PrincipalAccount}/*")),
        "allowed",
        resource=f"arn:aws:s3:::{HOME}/x",
    ),
    IdentityCase(
        "a variable in the old version is text",
        policy(allow(resource="arn:aws:s3:::${aws:PrincipalAccount}/*"), version="2008-10-17"),
        "denied",
        resource=f"arn:aws:s3:::{HOME}/x",
    ),
    IdentityCase(
        "a variable without a value",
        policy(allow(resource="arn:aws:s3:::${aws:username}/*")),
        "denied",
        resource="arn:aws:s3:::/x",
    ),
    IdentityCase(
        "a variable with a default",
        policy(allow(resource="arn:aws:s3:::${aws:PrincipalTag/team, 'all'}/*")),
        "allowed",
        resource="arn:aws:s3:::all/x",
    ),
    IdentityCase(
        "a variable with a default and a value",
        policy(allow(resource="arn:aws:s3:::${aws:PrincipalTag/team, 'all'}/*")),
        "denied",
        resource="arn:aws:s3:::all/x",
        context={"aws:PrincipalTag/team": "ml"},
    ),
    IdentityCase(
        "a variable of several values",
        policy(allow(resource="arn:aws:s3:::${aws:TagKeys}")),
        "unknown",
        resource="arn:aws:s3:::a",
        context={"aws:TagKeys": ["a", "b"]},
    ),
    IdentityCase(
        "a variable of an empty value",
        policy(allow(resource="arn:aws:s3:::${app:Key}data")),
        "unknown",
        resource="arn:aws:s3:::data",
        context={"app:Key": ""},
    ),
    IdentityCase(
        "a variable that is not known",
        policy(allow(resource="arn:aws:s3:::${aws:PrincipalTag/team}/*")),
        "unknown",
        others_unknown=True,
    ),
    IdentityCase(
        "a value's own star stays a star",
        policy(allow(resource="arn:aws:s3:::${app:Key}")),
        "denied",
        resource="arn:aws:s3:::anything",
        context={"app:Key": "*"},
    ),
    IdentityCase("${*} is a star", policy(allow(resource="arn:aws:s3:::${*}")), "allowed", resource="arn:aws:s3:::*"),
    IdentityCase(
        "${*} is only a star", policy(allow(resource="arn:aws:s3:::${*}")), "denied", resource="arn:aws:s3:::data"
    ),
    IdentityCase(
        "a variable that never ends",
        policy(allow(resource="arn:aws:s3:::${aws:username")),
        "unknown",
        resource="arn:aws:s3:::${aws:username",
    ),
    IdentityCase(
        "a Deny with NotResource and a variable without a value",
        policy(allow(), deny(resource=None, NotResource="arn:aws:s3:::${aws:username}/*")),
        "unknown",
    ),
    *(
        IdentityCase(
            f"a variable that nobody documents: {text}",
            when("StringEquals", "app:Key", text),
            "unknown",
            context={"app:Key": value, "app:Name": "x"},
        )
        for text, value in (
            ("${app:Name,'x'}", "x"),
            ("${app:Name,  'x'}", "x"),
            ("${app:Name , 'x'}", "x"),
            ("${app:Name, x}", "x"),
            ("${ app:Name }", "x"),
            ("${app:Name", "${app:Name"),
            ("${app:Name}${", "x${"),
            ("${a${app:Name}}", "${ax}"),
            ("${Name}", "x"),
            ("${}", ""),
        )
    ),
    IdentityCase("a dollar alone", when("StringEquals", "app:Key", "$a{b}"), "allowed", context={"app:Key": "$a{b}"}),
    IdentityCase(
        "${$} is a dollar", when("StringEquals", "app:Key", "${$}{x}"), "allowed", context={"app:Key": "${x}"}
    ),
    IdentityCase(
        "a tag's key may hold spaces",
        when("StringEquals", "app:Key", "${aws:PrincipalTag/cost center, 'none'}"),
        "allowed",
        context={"app:Key": "none"},
    ),
    IdentityCase(
        "one of several resources has a variable without a value",
        policy(allow(resource=["arn:aws:s3:::data/*", "arn:aws:s3:::${aws:username}/*"])),
        "unknown",
    ),
    IdentityCase(
        "a variable in a condition",
        policy(allow(condition={"StringEquals": {"app:Owner": "${aws:PrincipalAccount}"}})),
        "allowed",
        context={"app:Owner": HOME},
    ),
    IdentityCase(
        "a variable without a value in a condition",
        policy(allow(condition={"StringEquals": {"app:Owner": "${aws:username}"}})),
        "denied",
        context={"app:Owner": "ada"},
    ),
    IdentityCase(
        "the same, negated: AWS does not say",
        policy(allow(condition={"StringNotEquals": {"app:Owner": "${aws:username}"}})),
        "unknown",
        context={"app:Owner": "ada"},
    ),
    IdentityCase(
        "a variable where none may stand",
        policy(allow(condition={"NumericEquals": {"app:N": "${app:N}"}})),
        "unknown",
        context={"app:N": "1"},
    ),
    # --- strings: OR within a key, AND across keys and operators, NOR where negated
    IdentityCase(
        "any of several values", when("StringEquals", "app:Key", ["Beta", "Alpha"]), "allowed", context=STRING
    ),
    IdentityCase(
        "two keys, one unmet",
        policy(allow(condition={"StringEquals": {"app:Key": "Alpha", "app:Other": "x"}})),
        "denied",
        context=STRING,
    ),
    IdentityCase(
        "two operators, both met",
        policy(allow(condition={"StringEquals": {"app:Key": "Alpha"}, "StringLike": {"app:Key": "A*"}})),
        "allowed",
        context=STRING,
    ),
    IdentityCase(
        "two operators, one unmet",
        policy(allow(condition={"StringEquals": {"app:Key": "Alpha"}, "StringLike": {"app:Key": "B*"}})),
        "denied",
        context=STRING,
    ),
    IdentityCase(
        "none of several values", when("StringNotEquals", "app:Key", ["Beta", "Alpha"]), "denied", context=STRING
    ),
    IdentityCase("not equal", when("StringNotEquals", "app:Key", ["Beta", "Gamma"]), "allowed", context=STRING),
    IdentityCase(
        "not equal, in any case", when("StringNotEqualsIgnoreCase", "app:Key", "ALPHA"), "denied", context=STRING
    ),
    IdentityCase("not like", when("StringNotLike", "app:Key", ["B*", "*x"]), "allowed", context=STRING),
    IdentityCase("not like, but it is", when("StringNotLike", "app:Key", ["B*", "*a"]), "denied", context=STRING),
    IdentityCase("an absent key", when("StringEquals", "app:Key", "Alpha"), "denied"),
    IdentityCase("an absent key, negated", when("StringNotLike", "app:Key", "*"), "allowed"),
    IdentityCase(
        "several values and no set operator",
        when("StringEquals", "app:Key", "Alpha"),
        "unknown",
        context={"app:Key": ["Alpha", "Beta"]},
    ),
    IdentityCase("IfExists and absent", when("NumericLessThanIfExists", "app:N", "1"), "allowed"),
    IdentityCase(
        "IfExists and present", when("NumericLessThanIfExists", "app:N", "1"), "denied", context={"app:N": "2"}
    ),
    IdentityCase("Null true and absent", when("Null", "app:Key", "true"), "allowed"),
    IdentityCase("Null true and present", when("Null", "app:Key", "true"), "denied", context=STRING),
    IdentityCase("Null in capitals", when("Null", "app:Key", "TRUE"), "unknown", context=STRING),
    IdentityCase("Null of neither", when("Null", "app:Key", "maybe"), "unknown", context=STRING),
    IdentityCase("Null of what is not known", when("Null", "app:Key", "true"), "unknown", others_unknown=True),
    IdentityCase("NullIfExists", when("NullIfExists", "app:Key", "true"), "unknown"),
    # --- set operators
    IdentityCase(
        "ForAllValues, all",
        when("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"]),
        "allowed",
        context={"aws:TagKeys": ["a", "b"]},
    ),
    IdentityCase(
        "ForAllValues, not all",
        when("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"]),
        "denied",
        context={"aws:TagKeys": ["a", "c"]},
    ),
    IdentityCase("ForAllValues, none there", when("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"]), "allowed"),
    IdentityCase(
        "ForAnyValue, one",
        when("ForAnyValue:StringLike", "aws:TagKeys", "a*"),
        "allowed",
        context={"aws:TagKeys": ["c", "ab"]},
    ),
    IdentityCase(
        "ForAnyValue, none",
        when("ForAnyValue:StringLike", "aws:TagKeys", "a*"),
        "denied",
        context={"aws:TagKeys": ["c", "d"]},
    ),
    IdentityCase(
        "ForAllValues negated",
        when("ForAllValues:StringNotEquals", "aws:TagKeys", "a"),
        "denied",
        context={"aws:TagKeys": ["a", "c"]},
    ),
    IdentityCase(
        "ForAnyValue negated",
        when("ForAnyValue:StringNotEquals", "aws:TagKeys", "a"),
        "allowed",
        context={"aws:TagKeys": ["a", "c"]},
    ),
    IdentityCase("ForAnyValue negated, absent", when("ForAnyValue:StringNotEquals", "aws:TagKeys", "a"), "denied"),
    IdentityCase(
        "ForAnyValue IfExists, absent: sources disagree",
        when("ForAnyValue:StringEqualsIfExists", "aws:TagKeys", "a"),
        "unknown",
    ),
    IdentityCase(
        "an unknown set operator",
        when("ForMostValues:StringEquals", "aws:TagKeys", "a"),
        "unknown",
        context={"aws:TagKeys": "a"},
    ),
    # --- the other types
    IdentityCase(
        "ArnLike by parts",
        when("ArnLike", "aws:SourceArn", "arn:aws:sns:*:123456789012:t-*"),
        "allowed",
        context={"aws:SourceArn": "arn:aws:sns:us-east-1:123456789012:t-1"},
    ),
    IdentityCase(
        "ArnEquals takes wildcards, too",
        when("ArnEquals", "aws:SourceArn", "arn:aws:sns:*:*:t"),
        "allowed",
        context={"aws:SourceArn": "arn:aws:sns:us-east-1:1:t"},
    ),
    IdentityCase(
        "an ARN's wildcard stops at a colon",
        when("ArnLike", "aws:SourceArn", "arn:aws:sns*:1:t"),
        "unknown",
        context={"aws:SourceArn": "arn:aws:sns:us-east-1:1:t"},
    ),
    IdentityCase(
        "an ARN's last part may hold colons",
        when("ArnLike", "aws:SourceArn", "arn:aws:logs:*:*:log-group:*"),
        "allowed",
        context={"aws:SourceArn": "arn:aws:logs:r:1:log-group:a:b"},
    ),
    IdentityCase("ArnNotLike", unless({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}}), "denied"),
    IdentityCase("any ARN", when("ArnLike", "aws:PrincipalArn", "*"), "unknown"),
    IdentityCase("any ARN, part by part", when("ArnLike", "aws:PrincipalArn", "arn:*:*:*:*:*"), "allowed"),
    IdentityCase("a value that is no ARN", when("ArnLike", "app:Key", "arn:aws:s3:::*"), "unknown", context=STRING),
    IdentityCase(
        "Bool", when("Bool", "aws:SecureTransport", "true"), "denied", context={"aws:SecureTransport": "false"}
    ),
    IdentityCase(
        "Bool in capitals",
        when("Bool", "aws:MultiFactorAuthPresent", "True"),
        "unknown",
        context={"aws:MultiFactorAuthPresent": "true"},
    ),
    IdentityCase("Bool of no truth value", when("Bool", "app:Key", "yes"), "unknown", context={"app:Key": "true"}),
    IdentityCase(
        "no MFA, denied if it exists", unless({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}), "denied"
    ),
    IdentityCase(
        "NumericEquals of numbers", when("NumericEquals", "s3:max-keys", 10), "allowed", context={"s3:max-keys": "10.0"}
    ),
    *(
        IdentityCase(
            f"a number that nobody documents: {text}",
            when("NumericEquals", "app:N", text),
            "unknown",
            context={"app:N": "1000"},
        )
        for text in (
            "1e3",
            "+1000",
            " 1000",
            "1000 ",
            "1_000",
            "1000.",
            "1,000",
            "0x3E8",
            "\u0661\u0660",
            "NaN",
            "Infinity",
        )
    ),
    IdentityCase("a negative number", when("NumericLessThan", "app:N", "-1.5"), "allowed", context={"app:N": "-2"}),
    IdentityCase(
        "a JSON number with an exponent", when("NumericEquals", "app:N", 1e3), "allowed", context={"app:N": "1000"}
    ),
    IdentityCase(
        "NumericLessThanEquals",
        when("NumericLessThanEquals", "s3:max-keys", "10"),
        "denied",
        context={"s3:max-keys": "11"},
    ),
    IdentityCase(
        "NumericNotEquals",
        when("NumericNotEquals", "s3:max-keys", ["10", "11"]),
        "denied",
        context={"s3:max-keys": "11"},
    ),
    IdentityCase(
        "NumericGreaterThan of no number",
        when("NumericGreaterThan", "s3:max-keys", "many"),
        "unknown",
        context={"s3:max-keys": "11"},
    ),
    IdentityCase(
        "DateLessThan",
        when("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z"),
        "allowed",
        context={"aws:CurrentTime": "2026-11-01T12:00:00Z"},
    ),
    IdentityCase(
        "DateGreaterThan, over",
        when("DateLessThan", "aws:CurrentTime", "2020-06-30"),
        "denied",
        context={"aws:CurrentTime": "2026-11-01T12:00:00.5+02:00"},
    ),
    IdentityCase(
        "a date against seconds",
        when("DateGreaterThanEquals", "aws:TokenIssueTime", "0"),
        "allowed",
        context={"aws:TokenIssueTime": "1970-01-01T00:00Z"},
    ),
    *(
        IdentityCase(
            f"a date that nobody documents: {text}",
            when("DateLessThan", "aws:CurrentTime", text),
            "unknown",
            context={"aws:CurrentTime": "2026-11-01T12:00:00Z"},
        )
        for text in (
            "2030",
            "2030-01",
            "2030-01-01T00:00",
            "2030-01-01T00:00:00",
            "2030-01-01 00:00:00Z",
            "2030-01-01T00:00:00z",
            "2030-01-01T00:00:00+0200",
            "1.9e9",
            "2026-11-01",
            "2030-02-30",
        )
    ),
    IdentityCase(
        "a date of some zone",
        when("DateLessThan", "aws:CurrentTime", "2026-11-04"),
        "allowed",
        context={"aws:CurrentTime": "2026-11-01T12:00:00Z"},
    ),
    IdentityCase(
        "a day that may or may not be over",
        when("DateLessThan", "aws:TokenIssueTime", "2026-11-02T00:00:00Z"),
        "unknown",
        context={"aws:TokenIssueTime": "2026-11-01"},
    ),
    IdentityCase(
        "the same moment",
        when("DateEquals", "aws:CurrentTime", "2026-11-01T14:00+02:00"),
        "allowed",
        context={"aws:CurrentTime": "2026-11-01T12:00:00Z"},
    ),
    IdentityCase(
        "no date",
        when("DateEquals", "aws:CurrentTime", "tomorrow"),
        "unknown",
        context={"aws:CurrentTime": "2026-13-01"},
    ),
    IdentityCase(
        "IpAddress",
        when("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.0.2.7"]),
        "allowed",
        context={"aws:SourceIp": "192.0.2.7"},
    ),
    IdentityCase(
        "IpAddress of the other kind",
        when("IpAddress", "aws:SourceIp", "2001:db8::/32"),
        "denied",
        context={"aws:SourceIp": "192.0.2.7"},
    ),
    IdentityCase(
        "NotIpAddress",
        unless({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        "denied",
        context={"aws:SourceIp": "192.0.2.7"},
    ),
    IdentityCase(
        "IpAddress of none", when("IpAddress", "aws:SourceIp", "here"), "unknown", context={"aws:SourceIp": "192.0.2.7"}
    ),
    *(
        IdentityCase(
            f"a range that nobody documents: {text}",
            when("IpAddress", "aws:SourceIp", text),
            "unknown",
            context={"aws:SourceIp": value},
        )
        for text, value in (
            ("192.0.2.7/24", "192.0.2.7"),
            ("192.0.2.0/255.255.255.0", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1"),
        )
    ),
    IdentityCase(
        "a range of IPv6",
        when("IpAddress", "aws:SourceIp", "2001:db8::/32"),
        "allowed",
        context={"aws:SourceIp": "2001:db8::1"},
    ),
    IdentityCase(
        "letters beyond ASCII, in any case",
        when("StringEqualsIgnoreCase", "app:Key", "Ä"),
        "unknown",
        context={"app:Key": "ä"},
    ),
    IdentityCase(
        "BinaryEquals", when("BinaryEquals", "app:Blob", "QmluYXJ5"), "allowed", context={"app:Blob": "QmluYXJ5"}
    ),
    IdentityCase(
        "BinaryEquals of none", when("BinaryEquals", "app:Blob", "%%"), "unknown", context={"app:Blob": "QmluYXJ5"}
    ),
    # --- boundaries
    IdentityCase("a boundary that allows it", policy(allow("*")), "allowed", boundary=policy(allow("s3:*"))),
    IdentityCase("a boundary that does not", policy(allow("*")), "denied", boundary=policy(allow("ec2:*"))),
    IdentityCase(
        "a boundary that denies it", policy(allow("*")), "denied", boundary=policy(allow("*"), deny("s3:Get*"))
    ),
    IdentityCase("a boundary grants nothing by itself", policy(allow("ec2:*")), "denied", boundary=policy(allow("*"))),
    IdentityCase(
        "a boundary that cannot be judged",
        policy(allow("*")),
        "unknown",
        boundary=policy(allow("*", condition={"X": {"y": "z"}})),
    ),
    IdentityCase(
        "an identity that cannot be judged, within",
        policy(allow("*", condition={"X": {"y": "z"}})),
        "unknown",
        boundary=policy(allow("*")),
    ),
    IdentityCase(
        "an identity that cannot be judged, outside",
        policy(allow("*", condition={"X": {"y": "z"}})),
        "denied",
        boundary=policy(allow("ec2:*")),
    ),
    IdentityCase(
        "a boundary for one region",
        policy(allow("*")),
        "denied",
        boundary=policy(allow("*", condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})),
        context={"aws:RequestedRegion": "us-east-1"},
    ),
    IdentityCase(
        "a Deny outside of one region",
        policy(
            allow("*"),
            deny(
                None,
                NotAction=["iam:*", "sts:*"],
                condition={"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}},
            ),
        ),
        "denied",
        context={"aws:RequestedRegion": "us-east-1"},
    ),
]


CASES: list[TrustCase | IdentityCase] = [*TRUST, *IDENTITY]


def test_the_table() -> None:
    decisions = [(case, case.decide()) for case in CASES]
    assert [(case.name, made.effect, made.why) for case, made in decisions if made.effect != case.expected] == []
    for case, decision in decisions:
        assert decision.why.endswith("."), case.name
        assert ID not in decision.why, case.name
        assert (decision.statement is not None) or decision.effect == "denied", case.name


def test_the_table_is_as_large_as_promised() -> None:
    documents = {json.dumps([case.document, getattr(case, "boundary", None)], sort_keys=True) for case in CASES}
    assert len(documents) >= 120
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_a_decision_names_its_statement() -> None:
    case = TrustCase("x", policy(trust(condition=EXACT), trust("*", Effect="Deny", Sid="Lockdown")), "denied")
    assert case.decide().why == "statement 2 (Sid Lockdown) of the trust policy denies it."
    assert "statement 1 of the trust policy allows it" in TrustCase("y", MODULE, "allowed").decide().why
    assert TrustCase("z", MODULE, "denied", with_id=None).decide().why == (
        "No statement allows it; in statement 1 of the trust policy, "
        "its condition StringEquals on sts:ExternalId needs a key that the request lacks."
    )
    outside = IdentityCase("b", policy(allow("*")), "denied", boundary=policy(allow("ec2:*"))).decide()
    assert outside.why == "the boundary does not allow it."
