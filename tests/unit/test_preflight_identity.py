"""The preflight's checks of the caller, the credentials, the region, the clock and the disk."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.aws.connectivity import clock_skew
from gridbyoc.aws.credential_source import CredentialSource
from gridbyoc.errors import AwsCredentialsError, AwsError
from gridbyoc.operations.preflight.identity import CHECKS, judged_source
from gridbyoc.operations.preflight.machine import CLOCK_CHECKS as CLOCK
from gridbyoc.operations.preflight.machine import DISK_CHECKS as DISK
from gridbyoc.operations.preflight.machine import MEGABYTE, free_bytes, judged_clock, judged_disk
from gridbyoc.operations.preflight.model import PreflightContext, Shared
from gridbyoc.stack.model import Aws, ModuleSource, TerraformSettings
from tests.unit.fakes import stack
from tests.unit.preflight_kit import NOW, results, scene_of, verdicts

ADA = "arn:aws:iam::123456789012:user/ada"
SOURCE = CredentialSource("SSO", "ops", NOW + timedelta(hours=1), renews=False, temporary=True)


def no(code: str, date: datetime | None = None) -> ClientError:
    headers = {"date": format_datetime(date, usegmt=True)} if date else {}
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPHeaders": headers}}
    return ClientError(answer, "GetCallerIdentity")


@dataclass
class Sts:
    """An STS that knows the caller, or refuses; its clock is ``ahead`` of ours."""

    arn: str | Exception = ADA
    ahead: timedelta = timedelta(0)
    meta: Any = field(default_factory=lambda: type("Meta", (), {"endpoint_url": "https://sts.example.com"}))

    def get_caller_identity(self) -> Mapping[str, Any]:
        if isinstance(self.arn, Exception):
            raise self.arn
        date = format_datetime(NOW + self.ahead, usegmt=True)
        account = self.arn.split(":")[4]
        return {"Account": account, "Arn": self.arn, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}


@dataclass
class Regions:
    """``ec2:DescribeRegions``."""

    status: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def describe_regions(self, **request: Any) -> Mapping[str, Any]:
        self.asked.append(request)
        if self.refused:
            raise no(self.refused)
        return {"Regions": [{"RegionName": name, "OptInStatus": status} for name, status in self.status.items()]}


def world(
    region: str = "us-east-1", *, sts: Sts | None = None, home: Sts | None = None, regions: Regions | None = None,
    account_id: str | None = None,
) -> PreflightContext:  # fmt: skip
    """A scene in ``region``; ``home`` is the STS of us-east-1, if it differs."""
    core = botocore.session.Session()
    core.set_credentials("AKIACANARY", "canary-secret")
    here, ec2 = sts or Sts(), regions or Regions({region: "opted-in"})
    clients: dict[tuple[str, str], Any] = {("sts", region): here, ("ec2", region): ec2}
    if home:
        clients[("ec2", "us-east-1")] = ec2
        clients[("ec2", region)] = Regions(refused="AuthFailure")
        clients[("sts", "us-east-1")] = home
    boto = boto3.session.Session(botocore_session=core, region_name=region)
    session = AwsSession(boto, region, _clients=clients)
    scene = scene_of(stack(aws=Aws(region, account_id=account_id)))

    def caller() -> Caller:
        if isinstance(here.arn, Exception):
            raise AwsCredentialsError("AWS did not say who.", why=f"{here.arn.response['Error']['Code']}: no", fix="?")
        return Caller(here.arn.split(":")[4], here.arn)

    return replace(scene, session=Shared(lambda: session), caller=Shared(caller))


def test_all_is_well() -> None:
    found = results(world(account_id="123456789012"), CHECKS)
    assert verdicts(found) == {f"GBY-I00{number}": "pass" for number in range(1, 8)}
    assert found["GBY-I001"][0].facts == {"account_id": "123456789012", "arn": ADA, "partition": "aws"}
    assert "short-term" in found["GBY-I002"][0].detail
    assert "canary" not in repr(found).lower()


def test_the_root_user_and_another_account() -> None:
    found = results(world(sts=Sts("arn:aws:iam::999999999999:root"), account_id="123456789012"), CHECKS)
    assert found["GBY-I003"][0].verdict == "warn"
    assert (found["GBY-I004"][0].verdict, found["GBY-I004"][0].detail) == ("fail", "account 999999999999")


def test_refused_credentials_fail_and_what_hangs_on_them_is_unknown() -> None:
    found = verdicts(results(world(sts=Sts(no("ExpiredToken"))), CHECKS))
    assert found["GBY-I001"] == "fail"
    assert {found[code] for code in ("GBY-I003", "GBY-I004", "GBY-I006", "GBY-I007") if code in found} == {"unknown"}


def test_no_credentials_at_all() -> None:
    core = botocore.session.Session()
    core.get_component("credential_provider").providers.clear()
    session = AwsSession(boto3.session.Session(botocore_session=core, region_name="us-east-1"), "us-east-1")
    found = results(replace(world(), session=Shared(lambda: session)), CHECKS)["GBY-I002"][0]
    assert (found.verdict, "aws sso login" in found.fix) == ("fail", True)


def test_a_region_that_is_not_enabled_calls_good_keys_bad() -> None:
    regions = Regions({"eu-south-1": "not-opted-in"})
    found = results(world("eu-south-1", sts=Sts(no("InvalidClientTokenId")), home=Sts(), regions=regions), CHECKS)
    assert verdicts(found) == {
        "GBY-I001": "pass", "GBY-I002": "pass", "GBY-I003": "pass", "GBY-I004": "pass",
        "GBY-I005": "fail", "GBY-I006": "fail", "GBY-I007": "pass",
    }  # fmt: skip
    assert "aws account enable-region --region-name eu-south-1" in found["GBY-I005"][0].fix
    assert regions.asked == [{"AllRegions": True}]


def test_keys_of_another_partition() -> None:
    scene = world("us-gov-west-1", sts=Sts(no("InvalidClientTokenId")), home=Sts())
    found = results(scene, CHECKS)
    assert verdicts(found)["GBY-I007"] == "fail"
    assert "aws-us-gov" in found["GBY-I007"][0].fix


def test_a_key_that_nobody_knows() -> None:
    wrong = no("InvalidClientTokenId")
    found = verdicts(results(world("eu-west-1", sts=Sts(wrong), home=Sts(wrong)), CHECKS))
    assert (found["GBY-I001"], found["GBY-I006"]) == ("fail", "unknown")


@pytest.mark.parametrize(
    "regions",
    [Regions(refused="UnauthorizedOperation"), Regions(refused="AuthFailure"), Regions({"eu-west-1": "opted-in"})],
)
def test_a_region_that_cannot_be_told_is_unknown(regions: Regions) -> None:
    assert verdicts(results(world(regions=regions), CHECKS))["GBY-I005"] == "unknown"


@pytest.mark.parametrize(
    "changed, verdict",
    [
        ({}, "pass"),
        ({"expires": NOW + timedelta(minutes=14)}, "warn"),
        ({"expires": NOW + timedelta(minutes=15)}, "pass"),
        ({"expires": NOW}, "fail"),
        ({"expires": NOW - timedelta(days=1), "renews": True}, "pass"),
        ({"expires": None, "temporary": False}, "pass"),
    ],
)
def test_credentials_that_end(changed: dict[str, Any], verdict: str) -> None:
    found = judged_source(replace(SOURCE, **changed), NOW)
    assert found.verdict == verdict
    assert bool(found.fix) == (verdict != "pass")


def test_the_warning_says_what_needs_them() -> None:
    found = judged_source(replace(SOURCE, expires=NOW + timedelta(minutes=5)), NOW)
    assert "Terraform and destroy need them" in found.fix
    assert "Run `aws sso login --profile ops` again before the run." in found.fix


def test_temporary_credentials_that_do_not_say_when_they_end() -> None:
    exported = replace(SOURCE, kind="environment", profile=None, expires=None)
    found = judged_source(exported, NOW)
    assert (found.verdict, found.detail) == ("pass", "environment; temporary, expiry unknown")
    assert judged_source(replace(exported, kind="assumed role", renews=True), NOW).detail.endswith(
        "renewed automatically"
    )


def test_what_to_do_about_credentials_that_are_over() -> None:
    over = replace(SOURCE, expires=NOW - timedelta(minutes=5))
    assert judged_source(over, NOW).fix == "Run `aws sso login --profile ops` again."
    assert judged_source(replace(over, kind="environment", profile=None), NOW).fix == "Log in again."


@pytest.mark.parametrize(
    "seconds, verdict",
    [(0, "pass"), (59, "pass"), (-59, "pass"), (60, "warn"), (-299, "warn"), (300, "fail"), (-300, "fail")],
)
def test_the_clock(seconds: int, verdict: str) -> None:
    found = judged_clock(timedelta(seconds=seconds))
    assert found.verdict == verdict
    assert found.facts == {"skew_seconds": seconds}


def test_the_clock_is_read_from_answers_and_from_refusals() -> None:
    behind = world(sts=Sts(ahead=timedelta(minutes=7)))
    assert verdicts(results(behind, CLOCK)) == {"GBY-D004": "fail"}
    refused = world(sts=Sts(no("SignatureDoesNotMatch", NOW - timedelta(minutes=7))))
    found = results(refused, CLOCK)["GBY-D004"][0]
    assert (found.verdict, found.detail) == ("fail", "420 s ahead of AWS")
    assert verdicts(results(world(sts=Sts(no("Denied"))), CLOCK)) == {"GBY-D004": "unknown"}


def test_a_slow_answer_is_not_a_wrong_clock() -> None:
    ticks = itertools.count(0, 45)

    def now() -> datetime:
        return NOW + timedelta(seconds=next(ticks))

    session = world(sts=Sts(ahead=timedelta(seconds=20))).session()
    assert clock_skew(session, now) == timedelta(0)
    with pytest.raises(AwsError, match="time"):
        clock_skew(world(sts=Sts(no("Denied"))).session(), lambda: datetime.now(timezone.utc))


def on_disk(work_dir: Path, free: int, *, mirror: Path | None = None, **environ: str) -> tuple[str, str]:
    scene = scene_of(stack(terraform=TerraformSettings(provider_mirror=mirror)), work_dir=work_dir)
    machine = replace(scene.machine, environ=environ, home=work_dir)
    places: list[Path] = []

    def look(place: Path) -> int:
        places.append(place)
        return free * MEGABYTE

    found = judged_disk(replace(scene, machine=machine), look)
    return found.verdict, places[0].name if places else ""


def provider_in(directory: Path) -> None:
    path = directory / "registry.terraform.io" / "hashicorp" / "aws" / "5.100.0" / "linux_amd64"
    path.mkdir(parents=True)
    (path / "terraform-provider-aws_v5.100.0_x5").touch()


@pytest.mark.parametrize("free, verdict", [(699, "fail"), (700, "warn"), (1400, "pass")])
def test_the_disk(tmp_path: Path, free: int, verdict: str) -> None:
    assert on_disk(tmp_path, free) == (verdict, tmp_path.name)


def test_the_plugin_cache_is_where_the_provider_goes(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert on_disk(tmp_path, 10, TF_PLUGIN_CACHE_DIR=str(cache)) == ("fail", "cache")
    provider_in(cache)
    assert on_disk(tmp_path, 10, TF_PLUGIN_CACHE_DIR=str(cache)) == ("pass", "")


def test_a_provider_that_is_there_and_a_mirror_need_nothing(tmp_path: Path) -> None:
    provider_in(tmp_path / "mirror")
    assert on_disk(tmp_path, 10, mirror=tmp_path / "mirror") == ("pass", "")
    provider_in(tmp_path / ".terraform" / "providers")
    assert on_disk(tmp_path, 10) == ("pass", "")


def test_a_configuration_of_ones_own_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".terraformrc").write_text('plugin_cache_dir = "/elsewhere"\n')
    assert on_disk(tmp_path, 10)[0] == "warn"


@pytest.mark.parametrize(
    "terraform", [TerraformSettings(aws_provider_version="5.0.1"), TerraformSettings(module=ModuleSource("./own"))]
)
def test_another_version_and_another_module_may_need_less(tmp_path: Path, terraform: TerraformSettings) -> None:
    scene = scene_of(stack(terraform=terraform), work_dir=tmp_path)
    assert judged_disk(scene, lambda _place: 400 * MEGABYTE).verdict == "warn"


def test_a_locked_version_may_need_less(tmp_path: Path) -> None:
    (tmp_path / ".terraform.lock.hcl").touch()
    assert on_disk(tmp_path, 400)[0] == "warn"


def test_terraforms_own_mirrors_and_one_without_the_provider(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "registry.terraform.io" / "hashicorp" / "null").mkdir(parents=True)
    assert on_disk(tmp_path, 10, mirror=tmp_path / "mirror") == ("fail", tmp_path.name)
    provider_in(tmp_path / ".terraform.d" / "plugins")
    assert on_disk(tmp_path, 10) == ("pass", "")
    elsewhere = tmp_path / "data"
    provider_in(elsewhere / "terraform" / "plugins")
    assert on_disk(elsewhere, 10, XDG_DATA_HOME=str(elsewhere)) == ("pass", "")


def test_the_real_disk_has_room_to_tell(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "there") == free_bytes(tmp_path)
    assert verdicts(results(scene_of(stack(), work_dir=tmp_path), DISK))["GBY-D003"] in {"pass", "warn", "fail"}
