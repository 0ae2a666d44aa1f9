"""What the rendered root module makes, for ``MemoryTerraform``: the gridbyoc module's resources in an IAM in memory.

The addresses, the arguments, what replaces a resource and what the state keeps are those of ``modules/gridbyoc`` and of
the AWS provider; ``tests/functional/test_converged.py`` compares the state with a real one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from tests.unit.memory_aws import ACCOUNT, MANAGED, Iam
from tests.unit.memory_terraform import (
    UNKNOWN,
    Attributes,
    Configuration,
    Look,
    Output,
    Provider,
    ProviderError,
    Resource,
)

POLICIES = (
    "AmazonEC2FullAccess", "AmazonGuardDutyFullAccess_v2", "AmazonRoute53ResolverFullAccess", "AmazonS3FullAccess",
    "AmazonSNSFullAccess", "AmazonSQSFullAccess", "AmazonVPCFullAccess", "CloudWatchLogsFullAccess", "IAMFullAccess",
)  # fmt: skip
STATEMENTS = ({"actions": ["eks:*", "ecr:*", "events:*"]},)


@dataclass
class GridbyocModule:
    """The module in this IAM. ``refused``: by the API's name, the error of its next call (``CreateRole``).

    ``cut``: the call is carried out and fails all the same, as where the answer is lost; what it made is tainted.
    """

    iam: Iam
    happens: Callable[[str], None] = lambda _what: None
    refused: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    ids: int = 0
    names: int = 0

    def __call__(self, root: Mapping[str, str]) -> Configuration:
        """The configuration of these files."""
        values = json.loads(root["terraform.tfvars.json"])
        named = re.search(r'output "roles" \{(.*)', root["outputs.tf"], re.DOTALL)
        if named:
            return self._several(re.findall(r'^    "(\w+)"', named[1], re.MULTILINE), values)
        modules = re.findall(r'^module "(\w+)"', root["main.tf"], re.MULTILINE)
        resources: list[Resource] = []
        for module in modules:
            own = values
            if module == "gridbyoc_previous":
                own = {**values, "role_name": values["previous_role_name"], "path": values["previous_role_path"]}
                own |= {name: values.get(f"previous_{name}") for name in ("policy_name", "policy_path")}
            resources += self._resources(f"module.{module}", own)
        main = "module.gridbyoc"
        role = f"{main}.aws_iam_role.this"
        attached = tuple(
            each.address for each in resources
            if each.module == main and each.type == "aws_iam_role_policy_attachment"
        )  # fmt: skip
        if "aws_iam_role_policies_exclusive" in root["main.tf"]:
            resources += self._exclusive(values, role, attached)
        external_id = Output(lambda look: _external_id(look, main, values), (f"{main}.terraform_data.this",), True)
        outputs = {
            "external_id": external_id,
            "role_arn": Output(lambda look: look(role, "arn"), (role, *attached)),
            "role_name": Output(lambda look: look(role, "name"), (role,)),
        }
        return Configuration(tuple(resources), outputs)

    def _several(self, names: list[str], values: Mapping[str, Any]) -> Configuration:
        """Another module, with a role of each name; its inputs are called as those of ours."""
        module = "module.gridbyoc"
        given = {"trust_account_root": False, **values.get("module_inputs", {})}
        given["external_id"] = values.get("external_id")
        resources = self._resources(module, given)[:2]
        this = f"{module}.terraform_data.this"
        roles = {name: f"{module}.aws_iam_role.{name}" for name in names}
        for name in names:
            own = {**given, "role_name": f"acme-{name}"}
            resources.append(
                Resource(module, "aws_iam_role", name, self._role(own),
                         lambda look, own=own: _role(look, module, own),
                         forces=frozenset({"name", "name_prefix", "path"}), needs=(this,),
                         sensitive=frozenset({"assume_role_policy"}))
            )  # fmt: skip

        def arns(look: Look) -> Any:
            found = {name: look(role, "arn") for name, role in roles.items()}
            return UNKNOWN if UNKNOWN in found.values() else found

        first, every = next(iter(roles.values())), tuple(roles.values())
        outputs = {
            "external_id": Output(lambda look: _external_id(look, module, given), (this,), True),
            "role_arn": Output(lambda look: look(first, "arn"), (first,)),
            "roles": Output(arns, every),
        }
        return Configuration(tuple(resources), outputs)

    def _resources(self, module: str, values: Mapping[str, Any]) -> list[Resource]:
        """In the order of ``main.tf``, which is that of what needs what."""
        this, rotation = f"{module}.terraform_data.this", f"{module}.terraform_data.rotation"
        role, policy = f"{module}.aws_iam_role.this", f"{module}.aws_iam_policy.this[0]"
        statements = values.get("policy_statements", list(STATEMENTS))
        path, tags = values.get("path", "/"), values.get("tags", {})
        found = [
            Resource(module, "terraform_data", "rotation", self._data(),
                     lambda _look: {"input": _dynamic(values.get("external_id_rotation", ""))}),
            Resource(module, "terraform_data", "this", replace(self._data(), computed=("id",), recomputed=()),
                     lambda _look: {"triggers_replace": UNKNOWN}, ignored=frozenset({"triggers_replace"}),
                     triggered_by=(rotation,), needs=(rotation,), sensitive=frozenset({"triggers_replace"})),
            Resource(module, "aws_iam_role", "this", self._role(values), lambda look: _role(look, module, values),
                     forces=frozenset({"name", "name_prefix", "path"}), needs=(this,),
                     sensitive=frozenset({"assume_role_policy"})),
        ]  # fmt: skip
        if statements:
            described = "What the role {} may do besides its managed policies."
            found.append(
                Resource(
                    module, "aws_iam_policy", "this", self._policy(values),
                    lambda look: {
                        "name": values.get("policy_name") or look(role, "name"),
                        "path": values.get("policy_path") or path, "tags": tags or None,
                        "description": _filled(described, look(role, "name")), "policy": _policy_text(statements),
                    },
                    key=0, forces=frozenset({"name", "path", "description"}), needs=(role,),
                )
            )  # fmt: skip
            found.append(
                Resource(
                    module, "aws_iam_role_policy_attachment", "this", self._attachment(),
                    lambda look: {"role": look(role, "name"), "policy_arn": look(policy, "arn")},
                    key=0, forces=frozenset({"role", "policy_arn"}), needs=(role, policy),
                )
            )  # fmt: skip
        for name in values.get("managed_policies", POLICIES):
            arn = name if name.startswith("arn:") else MANAGED + name
            found.append(
                Resource(
                    module, "aws_iam_role_policy_attachment", "managed", self._attachment(),
                    lambda look, arn=arn: {"role": look(role, "name"), "policy_arn": arn},
                    key=arn.removeprefix(MANAGED), forces=frozenset({"role", "policy_arn"}), needs=(role,),
                )
            )  # fmt: skip
        return found

    def _exclusive(self, values: Mapping[str, Any], role: str, attached: tuple[str, ...]) -> list[Resource]:
        """The root's lists of what the role may have, as ``templates/main.tf.j2`` writes them."""

        def arns(look: Look) -> Any:
            found = [look(each, "policy_arn") for each in attached]
            return UNKNOWN if UNKNOWN in found else sorted({*found, *values["known_policies"]})

        return [
            Resource(
                "", "aws_iam_role_policy_attachments_exclusive", "gridbyoc", self._lists("Attached", "policy_arns"),
                lambda look: {"role_name": look(role, "name"), "policy_arns": arns(look)},
                forces=frozenset({"role_name"}), needs=(role, *attached),
            ),
            Resource(
                "", "aws_iam_role_policies_exclusive", "gridbyoc", self._lists("Inline", "policy_names"),
                lambda look: {
                    "role_name": look(role, "name"), "policy_names": sorted(values["known_inline_policies"]),
                },
                forces=frozenset({"role_name"}), needs=(role,),
            ),
        ]  # fmt: skip

    # --- providers

    def _lists(self, kind: str, argument: str) -> Provider:
        """Making or changing a list takes off what is not on it; deleting it does nothing in IAM."""
        iam = self.iam

        def create(asked: Attributes) -> Attributes:
            there = iam.roles[asked["role_name"]][kind]
            for name in [each for each in there if each not in asked[argument]]:
                with self._calls(f"Remove {name}"):
                    there.remove(name) if isinstance(there, list) else there.pop(name)
            return dict(asked)

        def read(found: Attributes) -> Attributes | None:
            role = iam.roles.get(found["role_name"])
            return None if role is None else {**found, argument: sorted(role[kind])}

        return Provider(create, read, lambda before, asked: create({**before, **asked}), lambda _found: None)

    def _data(self) -> Provider:
        def create(asked: Attributes) -> Attributes:
            self.ids += 1
            made = {"id": f"data-{self.ids}", "input": None, "output": None, "triggers_replace": None}
            if "input" in asked:
                return {**made, "input": asked["input"], "output": asked["input"]}
            return {**made, "triggers_replace": _dynamic(f"generated-external-id-{self.ids:04d}")}

        def update(before: Attributes, asked: Attributes) -> Attributes:
            return {**before, **asked, "output": asked.get("input")}

        return Provider(create, dict, update, lambda _found: None, ("id", "output"), ("output",))

    def _role(self, values: Mapping[str, Any]) -> Provider:
        iam = self.iam

        def create(asked: Attributes) -> Attributes:
            name = asked.get("name")
            if name is None:
                self.names += 1
                name = f"{asked['name_prefix']}{self.names:026d}"
            arn = f"arn:aws:iam::{ACCOUNT}:role{asked['path']}{name}"
            with self._calls("CreateRole", lambda: read({"name": name})):
                fields = _live_role(asked, _all_tags(values))
                iam.create_role(name, arn, **fields)
            return _existing(read({"name": name}))

        def read(found: Attributes) -> Attributes | None:
            live = iam.roles.get(found["name"])
            return None if live is None else _role_attributes(live, values)

        def update(before: Attributes, asked: Attributes) -> Attributes:
            with self._calls("UpdateAssumeRolePolicy"):
                iam.roles[before["name"]].update(_live_role({**before, **asked}, _all_tags(values)))
            return _existing(read(before))

        def delete(found: Attributes) -> None:
            if found["name"] in iam.roles:
                with self._calls("DeleteRole"):
                    del iam.roles[found["name"]]

        def import_(ident: str) -> Attributes:
            return _existing(read({"name": ident}))

        return Provider(create, read, update, delete, ("arn", "id", "name", "unique_id", "tags_all"), import_=import_)

    def _policy(self, values: Mapping[str, Any]) -> Provider:
        iam = self.iam

        def create(asked: Attributes) -> Attributes:
            arn = f"arn:aws:iam::{ACCOUNT}:policy{asked['path']}{asked['name']}"
            with self._calls("CreatePolicy", lambda: read({"arn": arn})):
                iam.create_policy(arn, **_live_policy(asked, _all_tags(values)))
            return _existing(read({"arn": arn}))

        def read(found: Attributes) -> Attributes | None:
            live = iam.policies.get(found["arn"])
            return None if live is None else _policy_attributes(live, values)

        def update(before: Attributes, asked: Attributes) -> Attributes:
            with self._calls("CreatePolicyVersion"):
                iam.policies[before["arn"]].update(_live_policy({**before, **asked}, _all_tags(values)))
            return _existing(read(before))

        def delete(found: Attributes) -> None:
            with self._calls("DeletePolicy"):
                iam.policies.pop(found["arn"], None)

        def import_(ident: str) -> Attributes:
            return _existing(read({"arn": ident}))

        return Provider(create, read, update, delete, ("arn", "id", "policy_id", "tags_all"), import_=import_)

    def _attachment(self) -> Provider:
        iam = self.iam

        def create(asked: Attributes) -> Attributes:
            with self._calls("AttachRolePolicy"):
                iam.attach(asked["role"], asked["policy_arn"])
            return {"id": f"{asked['role']}-{asked['policy_arn']}", **asked}

        def read(found: Attributes) -> Attributes | None:
            return found if found["policy_arn"] in iam.roles.get(found["role"], {}).get("Attached", ()) else None

        def delete(found: Attributes) -> None:
            with self._calls("DetachRolePolicy"):
                iam.detach(found["role"], found["policy_arn"])

        return Provider(create, read, lambda before, _asked: before, delete, ("id",))

    @contextmanager
    def _calls(self, operation: str, made: Callable[[], Attributes | None] = lambda: None) -> Iterator[None]:
        """Around one call of the API: refused, cut off after it was carried out, or done."""
        failed = f"operation error IAM: {operation}"
        why = self.refused.pop(operation, None)
        if why is not None:
            raise ProviderError(f"{failed}, {why}")
        self.happens(f"before {operation}")
        try:
            yield
        except ClientError as error:
            raise ProviderError(f"{failed}, api error {error.response['Error']['Code']}") from None
        self.happens(operation)
        if operation in self.cut:
            self.cut.discard(operation)
            raise ProviderError(f"{failed}, connection reset", made=made())


def _existing(found: Attributes | None) -> Attributes:
    if found is None:
        raise ProviderError("Cannot import non-existent remote object")
    return found


def _dynamic(value: str) -> dict[str, str]:
    """A value of any type, as the state keeps it."""
    return {"value": value, "type": "string"}


def _external_id(look: Look, module: str, values: Mapping[str, Any]) -> Any:
    if values.get("external_id") is not None:
        return values["external_id"]
    generated = look(f"{module}.terraform_data.this", "triggers_replace")
    return generated["value"] if isinstance(generated, dict) else UNKNOWN


def _role(look: Look, module: str, values: Mapping[str, Any]) -> Attributes:
    account = values.get("trusted_account_id", "302180240179")
    named = values.get("role_name")
    own = {"name": named} if named else {"name_prefix": values.get("role_name_prefix", "grid-cloud-")}
    external_id = _external_id(look, module, values)
    return {
        **own,
        "path": values.get("path", "/"),
        "description": values.get(
            "description", f"Lets the control plane in account {account} run clusters in this account."
        ),
        "max_session_duration": values.get("max_session_duration", 43200),
        "permissions_boundary": values.get("permissions_boundary", ""),
        "force_detach_policies": True,
        "tags": values.get("tags") or None,
        "assume_role_policy": UNKNOWN if external_id is UNKNOWN else _trust(values, account, external_id),
    }


def _trust(values: Mapping[str, Any], account: str, external_id: str) -> str:
    accepted = list(dict.fromkeys([external_id, *values.get("previous_external_ids", ())]))
    root = [f"arn:aws:iam::{account}:root"] if values.get("trust_account_root", True) else []
    principals = [*root, *values.get("trusted_principals", ())]
    statements: list[dict[str, Any]] = [
        {
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": accepted}},
            "Effect": "Allow",
            "Principal": {"AWS": principals},
        }
    ]
    bare = values.get("trusted_principals_without_external_id")
    if bare:
        statements.append({"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"AWS": list(bare)}})
    return json.dumps({"Statement": statements, "Version": "2012-10-17"}, separators=(",", ":"))


def _policy_text(statements: list[Mapping[str, Any]]) -> str:
    found = []
    for each in statements:
        sid = {"Sid": each["sid"]} if each.get("sid") else {}
        resources = each.get("resources") or ["*"]
        found.append({"Action": each["actions"], "Effect": each.get("effect", "Allow"), "Resource": resources, **sid})
    return json.dumps({"Statement": found, "Version": "2012-10-17"}, separators=(",", ":"))


def _filled(text: str, value: Any) -> Any:
    return UNKNOWN if value is UNKNOWN else text.format(value)


def _all_tags(values: Mapping[str, Any]) -> dict[str, str]:
    return {**values.get("default_tags", {}), **values.get("tags", {})}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _tags(live: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in live["Tags"]}


def _own_tags(live: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str] | None:
    """``tags``: all but those that the provider's default tags account for."""
    default = values.get("default_tags", {})
    return {key: value for key, value in _tags(live).items() if default.get(key) != value} or None


def _generated(name: str) -> bool:
    return re.search(r"[0-9]{26}$", name) is not None


def _live_role(asked: Attributes, tags: Mapping[str, str]) -> dict[str, Any]:
    boundary = asked["permissions_boundary"]
    return {
        "Path": asked["path"],
        "Description": asked["description"],
        "MaxSessionDuration": asked["max_session_duration"],
        "PermissionsBoundary": {"PermissionsBoundaryArn": boundary} if boundary else None,
        "AssumeRolePolicyDocument": json.loads(asked["assume_role_policy"]),
        "Tags": _pairs(tags),
    }


def _role_attributes(live: Mapping[str, Any], values: Mapping[str, Any]) -> Attributes:
    return {
        "arn": live["Arn"],
        "id": live["RoleName"],
        "name": live["RoleName"],
        "name_prefix": re.sub(r"[0-9]{26}$", "", live["RoleName"]) if _generated(live["RoleName"]) else "",
        "path": live["Path"],
        "unique_id": live["RoleId"],
        "description": live["Description"],
        "max_session_duration": live["MaxSessionDuration"],
        "permissions_boundary": (live["PermissionsBoundary"] or {}).get("PermissionsBoundaryArn", ""),
        "force_detach_policies": True,
        "assume_role_policy": json.dumps(live["AssumeRolePolicyDocument"], separators=(",", ":")),
        "tags": _own_tags(live, values),
        "tags_all": _tags(live),
    }


def _live_policy(asked: Attributes, tags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "PolicyName": asked["name"],
        "Path": asked["path"],
        "Description": asked["description"],
        "Document": json.loads(asked["policy"]),
        "Tags": _pairs(tags),
    }


def _policy_attributes(live: Mapping[str, Any], values: Mapping[str, Any]) -> Attributes:
    return {
        "arn": live["Arn"],
        "id": live["Arn"],
        "name": live["PolicyName"],
        "path": live["Path"],
        "policy_id": live["PolicyId"],
        "description": live["Description"],
        "policy": json.dumps(live["Document"], separators=(",", ":")),
        "tags": _own_tags(live, values),
        "tags_all": _tags(live),
    }
