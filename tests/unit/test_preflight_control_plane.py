"""The control plane before a run: it answers, to us, for these names and types, from the account the role trusts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, OfferedInstanceType, Phase
from gridbyoc.errors import (
    AuthenticationError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    FileError,
    UnsupportedByDialectError,
)
from gridbyoc.operations.preflight.control_plane import CHECKS
from gridbyoc.stack.defaults import trusted_account_of
from gridbyoc.stack.model import (
    Aws,
    ClusterSpec,
    ControlPlane,
    InstanceType,
    ModuleSource,
    Role,
    S3Backend,
    TerraformSettings,
)
from tests.unit.fakes import ROLE, MemoryRegistrar, cluster, stack
from tests.unit.preflight_kit import results, scene_of, verdicts

FINE = {f"GBY-K00{number}": "pass" for number in range(1, 7)}
SPEC = ClusterSpec("ml", (InstanceType("t2.medium"),))
OTHER_ROLE = "arn:aws:iam::999999999999:role/theirs"
REMOTE = TerraformSettings(backend=S3Backend("bucket", "key", "us-east-1"))


@dataclass
class Plane(MemoryRegistrar):
    """A control plane with a default cluster that tells types and account, or refuses to."""

    default: str | None = "grid-cloud"
    account: str | None = "302180240179"
    offers: tuple[str, ...] = ("t2.medium", "g4dn.xlarge")
    refuses: Exception | None = None
    carries: bool = True

    def list(self) -> tuple[Cluster, ...]:
        if self.refuses:
            raise self.refuses
        return super().list()

    def check(self, spec: ClusterSpec) -> None:
        if not self.carries:
            raise UnsupportedByDialectError(f"{spec.name} cannot be.", fix="Rename it.")

    def cloud_account_id(self, cluster_id: str) -> str | None:
        if self.account == "refused":
            raise ControlPlaneError("It refused the request.", http_status=404)
        return self.account

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        return tuple(map(OfferedInstanceType, self.offers))


def found_at(plane: Any, *specs: ClusterSpec, work_dir: Path = Path("/nowhere"), **fields: Any) -> dict[str, Any]:
    it = stack(*(specs or (SPEC,)), aws=Aws("us-east-1"), **fields)
    return results(scene_of(it, registrar=plane, work_dir=work_dir), CHECKS)


def with_state(directory: Path, text: str | None = None) -> Path:
    """A work_dir whose local state has the role ``ROLE``."""
    role = {"mode": "managed", "type": "aws_iam_role", "instances": [{"attributes": {"arn": ROLE}}]}
    (directory / "terraform.tfstate").write_text(json.dumps({"resources": [role]}) if text is None else text)
    return directory


def test_a_control_plane_that_takes_all_of_it_passes() -> None:
    assert verdicts(found_at(Plane())) == FINE


def test_without_a_stack_it_is_asked_whether_it_answers_us() -> None:
    found = results(scene_of(None, registrar=Plane()), CHECKS)
    assert verdicts(found) == {"GBY-K001": "pass", "GBY-K002": "pass"}


REST = {f"GBY-K00{number}": "unknown" for number in (4, 5, 6)}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ControlPlaneUnreachableError("No answer.", why="Refused."), ("fail", "unknown")),
        (ControlPlaneError("It answered 404.", http_status=404), ("fail", "unknown")),
        (ControlPlaneError("It answered 503.", http_status=503), ("unknown", "unknown")),
        (ControlPlaneError("Too many.", http_status=429), ("unknown", "unknown")),
        (AuthenticationError("It does not accept them.", http_status=401), ("pass", "fail")),
        (AuthenticationError("It does not permit this.", http_status=403), ("pass", "fail")),
    ],
)
def test_only_proof_that_it_does_not_take_us_fails(error: Exception, expected: tuple[str, str]) -> None:
    found = found_at(Plane(refuses=error))
    answers, key = expected
    assert verdicts(found) == {"GBY-K001": answers, "GBY-K002": key, "GBY-K003": "pass", **REST}


def test_without_credentials_the_fix_is_to_log_in() -> None:
    found = found_at(AuthenticationError("There are no credentials."))
    assert verdicts(found) == {"GBY-K001": "unknown", "GBY-K002": "fail", "GBY-K003": "unknown", **REST}
    assert "gridbyoc login" in found["GBY-K002"][0].fix


def test_an_address_that_cannot_be_used_fails() -> None:
    found = found_at(FileError("The CA bundle does not exist.", fix="Correct the path."))
    assert verdicts(found)["GBY-K001"] == "fail"
    assert found["GBY-K001"][0].fix == "Correct the path."


def test_what_the_api_cannot_carry_fails_for_each_cluster() -> None:
    found = found_at(Plane(carries=False), SPEC, replace(SPEC, name="second"))
    assert [(each.subject, each.verdict) for each in found["GBY-K003"]] == [("ml", "fail"), ("second", "fail")]


def test_a_cluster_of_this_stacks_role_is_ours(tmp_path: Path) -> None:
    plane = Plane({"ml": cluster("ml")})
    found = found_at(plane, work_dir=with_state(tmp_path))
    assert verdicts(found) == FINE
    assert "already exists (running)" in found["GBY-K004"][0].detail


@pytest.mark.parametrize("state", [None, "absent", "unreadable", "errored"])
def test_a_name_taken_through_another_role_fails(tmp_path: Path, state: str | None) -> None:
    if state != "absent":
        with_state(tmp_path, "half of a fi" if state == "unreadable" else None)
    if state == "errored":
        with_state(tmp_path).joinpath("errored.tfstate").write_text("{}")
    found = found_at(Plane({"ml": cluster("ml", role_arn=OTHER_ROLE)}), work_dir=tmp_path)
    assert verdicts(found)["GBY-K004"] == "fail"
    assert OTHER_ROLE in found["GBY-K004"][0].detail


def test_without_a_role_of_ours_no_cluster_of_that_name_can_be_ours(tmp_path: Path) -> None:
    assert verdicts(found_at(Plane({"ml": cluster("ml")}), work_dir=tmp_path))["GBY-K004"] == "fail"


@pytest.mark.parametrize("state", ["half of a fi", '{"resources": []}'])
def test_before_the_state_is_in_order_a_role_of_this_account_proves_nothing(tmp_path: Path, state: str) -> None:
    found = found_at(Plane({"ml": cluster("ml")}), work_dir=with_state(tmp_path, state))
    assert verdicts(found)["GBY-K004"] == "pass"
    assert "the state will show" in found["GBY-K004"][0].detail


def test_with_remote_state_a_role_of_this_account_counts_as_ours() -> None:
    assert verdicts(found_at(Plane({"ml": cluster("ml")}), terraform=REMOTE)) == FINE
    theirs = found_at(Plane({"ml": cluster("ml", role_arn=OTHER_ROLE)}), terraform=REMOTE)
    assert verdicts(theirs)["GBY-K004"] == "fail"
    unseen = found_at(Plane({"ml": cluster("ml", role_arn=None)}), terraform=REMOTE)
    assert "does not show" in unseen["GBY-K004"][0].detail


def test_one_that_is_being_deleted_holds_its_name(tmp_path: Path) -> None:
    going = cluster("ml", desired_state=Phase.DELETED)
    found = found_at(Plane({"ml": going}), work_dir=with_state(tmp_path))
    assert verdicts(found)["GBY-K004"] == "fail"
    assert "being deleted" in found["GBY-K004"][0].detail
    gone = cluster("ml", phase=Phase.DELETED)
    assert verdicts(found_at(Plane({"ml": gone}), work_dir=tmp_path)) == FINE


@pytest.mark.parametrize(
    ("account", "role", "verdict"),
    [
        ("302180240179", Role(), "pass"),
        (None, Role(), "unknown"),
        (None, Role(trusted_account_id="302180240179"), "unknown"),
        (None, Role(vendor="lightning"), "unknown"),
        ("111111111111", Role(), "fail"),
        ("111111111111", Role(trusted_account_id="111111111111"), "pass"),
        ("111111111111", Role(trusted_principals=("arn:aws:iam::111111111111:root",)), "pass"),
    ],
)
def test_the_account_it_comes_from_must_be_trusted(account: str | None, role: Role, verdict: str) -> None:
    found = found_at(Plane(account=account), role=role)
    assert verdicts(found)["GBY-K005"] == verdict
    if verdict == "fail":
        assert 'trusted_account_id: "111111111111"' in found["GBY-K005"][0].fix


@pytest.mark.parametrize(
    ("region", "role", "verdict"),
    [
        ("us-gov-west-1", Role(), "fail"),
        ("cn-north-1", Role(), "fail"),
        ("us-gov-west-1", Role(trusted_account_id="111111111111"), "pass"),
        ("us-gov-west-1", Role(trusted_account_id="748115360335"), "fail"),
        ("nowhere-1", Role(), "pass"),
    ],
)
def test_no_role_can_be_assumed_from_another_partition(region: str, role: Role, verdict: str) -> None:
    it = stack(SPEC, aws=Aws(region), role=role)
    (finding,) = results(scene_of(it, registrar=Plane(account=trusted_account_of(role))), CHECKS)["GBY-K005"]
    assert finding.verdict == verdict
    assert ("`trusted_account_id`" in finding.fix and "partition aws;" in finding.detail) == (verdict == "fail")


@pytest.mark.parametrize(
    ("kind", "default", "verdict"),
    [
        ("byoc", "id-mine", "unknown"),
        ("byoc", None, "unknown"),
        ("global", "id-mine", "fail"),
        ("global", None, "fail"),
    ],
)
def test_a_cluster_in_a_customers_account_does_not_tell_where_the_control_plane_is(
    kind: str, default: str | None, verdict: str
) -> None:
    # `gridbyoc context mine` makes a cluster of one's own the default
    plane = Plane({"mine": cluster("mine", cluster_type=kind)}, default=default, account="123456789012")
    assert verdicts(found_at(plane))["GBY-K005"] == verdict


def test_whom_another_modules_role_trusts_is_not_known() -> None:
    module = TerraformSettings(module=ModuleSource("acme/role/aws"))
    assert verdicts(found_at(Plane(account="111111111111"), terraform=module))["GBY-K005"] == "unknown"


def test_another_module_may_hand_on_a_role_that_it_does_not_make(tmp_path: Path) -> None:
    ours = cluster("ml", role_arn="arn:aws:iam::123456789012:role/made-elsewhere")
    module = TerraformSettings(module=ModuleSource("acme/role/aws"))
    found = found_at(Plane({"ml": ours}), work_dir=with_state(tmp_path), terraform=module)
    assert verdicts(found)["GBY-K004"] == "pass"


def test_where_it_refuses_to_say_its_account_the_rest_is_told_all_the_same() -> None:
    assert verdicts(found_at(Plane(account="refused"))) == {**FINE, "GBY-K005": "unknown"}


def test_a_type_that_is_not_in_its_list_is_worth_a_word() -> None:
    (finding,) = found_at(Plane(offers=("g4dn.xlarge",)))["GBY-K006"]
    assert (finding.verdict, finding.facts["missing"]) == ("warn", ["t2.medium"])


@pytest.mark.parametrize(
    ("plane", "account"), [(Plane(offers=()), "pass"), (Plane(default=None), "unknown")], ids=["empty", "no cluster"]
)
def test_without_a_list_nothing_is_said(plane: Plane, account: str) -> None:
    assert verdicts(found_at(plane)) == {**FINE, "GBY-K005": account}


def test_the_list_of_the_stacks_own_cluster_is_no_offer(tmp_path: Path) -> None:
    plane = Plane({"ml": cluster("ml")}, default=None, offers=("m5.large",))
    assert verdicts(found_at(plane, work_dir=with_state(tmp_path))) == {**FINE, "GBY-K005": "unknown"}


@pytest.mark.parametrize(
    ("role", "verdict"),
    [
        (Role(vendor="lightning"), "warn"),
        (Role(vendor="lightning", trusted_account_id="748115360335"), "unknown"),
    ],
)
def test_an_account_of_an_old_guide_is_a_warning_until_the_file_names_it(role: Role, verdict: str) -> None:
    found = found_at(Plane(account=None), role=role, control_plane=ControlPlane("lightning"))
    (finding,) = found["GBY-K005"]
    assert finding.verdict == verdict
    if verdict == "warn":
        assert "2022" in finding.detail
        assert 'trusted_account_id: "748115360335"' in finding.fix
