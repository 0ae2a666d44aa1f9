"""Asking for more: once, with approval, and followed to its end; the scene's rows and findings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws.quotas import Increase, Limit, QuotaReading, Use
from gridbyoc.cli.quotas import untold_of
from gridbyoc.control_plane.model import Phase
from gridbyoc.errors import AwsCredentialsError, ControlPlaneUnreachableError
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.preflight.examine import examine
from gridbyoc.operations.preflight.model import Machine, PreflightContext, Shared, set_scene
from gridbyoc.operations.preflight.quotas import CHECKS, KINDS
from gridbyoc.operations.quotas.raising import DecisionPatience, PlannedIncrease, asks, file, follow, granted, look_up
from gridbyoc.operations.quotas.review import QuotaNeed, QuotaRow, quota_rows, without_quota
from gridbyoc.show.quotas import Asked, ask_table, asked_json, quota_advice
from gridbyoc.stack.model import Aws, ClusterSpec, InstanceType, ModuleSource, Stack, TerraformSettings
from gridbyoc.stack.service_quotas import quota_by_code, quota_codes
from tests.unit.fakes import MemoryRegistrar, Time, cluster, stack
from tests.unit.leftover_fakes import refused
from tests.unit.preflight_kit import CALLER
from tests.unit.quota_fakes import QuotaAws

GPU, VPCS = "L-DB2E81BA", "L-F678F1CE"
LIST = "service-quotas.list_requested_service_quota_change_history_by_quota"
GET = "service-quotas.get_requested_service_quota_change"
REQUEST = "service-quotas.request_service_quota_increase"
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=timezone.utc)


def change(status: str = "PENDING", code: str = GPU, desired: float = 8.0, **fields: Any) -> dict[str, Any]:
    return {"Id": f"r-{code}", "QuotaCode": code, "DesiredValue": desired, "Status": status, "Created": NOW, **fields}


def row(code: str = GPU, *, limit: float | None = 4, headroom: int = 8, verdict: Any = "fail", **more: Any) -> QuotaRow:
    reading = QuotaReading(quota_by_code(code), "us-west-2", Limit(limit, **more), Use(0))
    return QuotaRow(reading, QuotaNeed(headroom), headroom, verdict)


def increase(status: str, code: str = GPU) -> Increase:
    return Increase(f"r-{code}", quota_by_code(code), "us-west-2", 8.0, status)


def test_what_is_proven_to_be_short_is_asked_for_as_much_as_is_needed() -> None:
    rows = [row(), row(VPCS, verdict="pass", headroom=1), row("L-1194D53C", verdict="unknown", limit=None)]
    assert [(ask.row.quota.code, ask.desired, ask.result) for ask in asks(rows)] == [(GPU, 8, "to file")]


def test_a_code_restricts_and_asks_for_what_may_be_short() -> None:
    rows = [row(), row(VPCS, verdict="warn", headroom=6, limit=5)]
    assert [ask.row.quota.code for ask in asks(rows)] == [GPU]
    assert [ask.row.quota.code for ask in asks(rows, codes=[VPCS])] == [VPCS]
    assert asks([row(VPCS, verdict="pass", headroom=1, limit=5)], codes=[VPCS]) == ()


def test_the_guides_advice_is_asked_for_where_it_is_wanted() -> None:
    rows = [
        row(),
        row("L-1216C47A", verdict="pass", limit=64),
        row("L-34B43A08", verdict="pass", limit=2000),
        row(VPCS),
    ]
    found = asks(rows, recommended=True)
    assert [(ask.row.quota.code, ask.desired) for ask in found] == [(GPU, 1000), ("L-1216C47A", 1000), (VPCS, 8)]


def test_a_quota_that_cannot_be_raised_is_not_asked_for() -> None:
    aws = QuotaAws()
    (ask,) = asks([row(adjustable=False)])
    assert ask.result == "not adjustable"
    assert file(aws.session, look_up(aws.session, ask)).result == "not adjustable"
    assert aws.calls == []


def test_an_open_request_is_reported_and_none_filed() -> None:
    aws = QuotaAws({LIST: {"RequestedQuotas": [change("CASE_OPENED", CaseId="123")]}})
    found = file(aws.session, PlannedIncrease(row(), 8))
    assert found.result == "pending"
    assert found.request is not None
    assert (found.request.case_id, found.request.created) == ("123", NOW)
    assert aws.named(REQUEST) == []


def test_a_request_that_another_one_was_faster_with_is_pending_too() -> None:
    answers = iter([{"RequestedQuotas": []}, {"RequestedQuotas": [change()]}])
    aws = QuotaAws({LIST: lambda **_: next(answers), REQUEST: refused("ResourceAlreadyExistsException")})
    found = file(aws.session, PlannedIncrease(row(), 8))
    assert found.result == "pending"
    assert found.request is not None


def test_a_request_is_filed_and_a_refusal_told() -> None:
    aws = QuotaAws({REQUEST: {"RequestedQuota": change()}})
    assert file(aws.session, PlannedIncrease(row(), 8)).result == "filed"
    assert [given["DesiredValue"] for _, given in aws.named(REQUEST)] == [8.0]
    no = file(QuotaAws({REQUEST: refused("QuotaExceededException", "20 are open")}).session, PlannedIncrease(row(), 8))
    assert no.result == "refused"
    assert "20 are open" in no.why
    with pytest.raises(AwsCredentialsError):
        file(QuotaAws({LIST: refused("ExpiredToken")}).session, PlannedIncrease(row(), 8))


def follow_with(statuses: list[Any], *, timeout: float = 100.0) -> tuple[tuple[Increase, ...], Time, list[str]]:
    answers = iter(statuses)

    def answer(**_: Any) -> Any:
        found = next(answers)
        return found if isinstance(found, Exception) else {"RequestedQuota": change(found)}

    watch, told = Time(), []
    seen = follow(
        QuotaAws({GET: answer}).session,
        [increase("PENDING"), increase("APPROVED", VPCS)],
        DecisionPatience(timeout, 5.0, watch.clock, watch.sleep),
        on_progress=lambda request, seconds: told.append(f"{request.quota.code} {request.status} {seconds:g}"),
        on_trouble=lambda error, seconds: told.append(f"trouble {seconds:g}"),
    )
    return seen, watch, told


def test_requests_are_followed_to_their_end_in_growing_pauses() -> None:
    seen, watch, told = follow_with(["PENDING", refused("TooManyRequestsException"), "CASE_OPENED", "DENIED"])
    assert [request.status for request in seen] == ["DENIED", "APPROVED"]
    assert watch.naps == [5.0, 7.5, 11.25]
    assert told[0] == f"{GPU} PENDING 0"
    assert "trouble 5" in told


def test_the_time_runs_out_and_the_request_stays_open() -> None:
    seen, watch, _ = follow_with(["PENDING"] * 20, timeout=12.0)
    assert seen[0].open
    assert watch.now == 12.0


def test_what_is_granted() -> None:
    aws = QuotaAws(limits={GPU: 8})
    assert granted(aws.session, increase("APPROVED"))
    assert granted(aws.session, increase("CASE_CLOSED"))
    assert not granted(QuotaAws(limits={GPU: 7}).session, increase("CASE_CLOSED"))
    assert not granted(QuotaAws(limits={GPU: 8}).session, increase("DENIED"))


SPEC = ClusterSpec("demo", (InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 1)))
ROOMY = {quota.code: 100.0 for quota in quota_codes()} | {"L-0DA4ABF3": 20.0}


def scene(
    aws: QuotaAws, found: Stack | None, registrar: Callable[[], Any], *, has_role: bool | None = False
) -> PreflightContext:
    machine = Machine({}, Path("/nowhere"), time.monotonic, lambda _seconds: None, lambda: NOW)
    made = set_scene(found, machine, work_dir=Path("/nowhere"), find_binary=lambda: None, connect=registrar)
    return replace(made, session=Shared(lambda: aws.session), caller=Shared(lambda: CALLER), has_role=has_role)


def findings(aws: QuotaAws, found: Stack | None, **more: Any) -> dict[str, Finding]:
    registrar = more.pop("registrar", MemoryRegistrar)
    (look,) = CHECKS
    return {f"{f.code} {f.subject}".strip(): f for f in look.look(scene(aws, found, registrar, **more))}


IN_WEST = {"aws": Aws("us-west-2")}


def test_a_new_account_is_short_of_gpus_and_the_finding_names_it_all() -> None:
    aws = QuotaAws(limits={**ROOMY, GPU: 0.0, "L-3819A6DF": 0.0})
    found = findings(aws, stack(SPEC, **IN_WEST))
    short = found["GBY-Q001 G-VT"]
    assert [code for code, f in found.items() if f.verdict == "fail"] == ["GBY-Q001 G-VT", "GBY-Q002 G-VT"]
    assert {f.kind for f in found.values()} == set(KINDS)
    assert short.detail == "limit 0 vCPUs, 0 in use"
    assert short.needed.startswith("8 vCPUs (g4dn.xlarge 4, 1 g4dn.xlarge kept running)")
    assert "gridbyoc quotas request --code L-DB2E81BA" in short.fix
    assert "--desired-value 8 --region us-west-2" in short.fix
    assert short.source == "servicequotas:GetServiceQuota, ec2:DescribeInstances"
    assert {name: short.facts[name] for name in ("limit", "in_use", "needed", "headroom", "quota_code", "region")} == {
        "limit": 0, "in_use": 0, "needed": 8, "headroom": 8, "quota_code": GPU, "region": "us-west-2",
    }  # fmt: skip


def test_an_open_request_is_named_in_the_finding_and_one_that_is_too_small() -> None:
    answers = {LIST: {"RequestedQuotas": [change(desired=8.0, CaseId="42")]}}
    aws = QuotaAws(answers, limits={**ROOMY, GPU: 0.0})
    fix = findings(aws, stack(SPEC))["GBY-Q001 G-VT"].fix
    assert "A request for 8 is open since 2026-11-25 12:30 UTC (PENDING, case 42)" in fix
    small = QuotaAws({LIST: {"RequestedQuotas": [change(desired=4.0)]}}, limits={**ROOMY, GPU: 0.0})
    assert "not enough" in findings(small, stack(SPEC))["GBY-Q001 G-VT"].fix
    denied = QuotaAws({LIST: refused("AccessDeniedException")}, limits={**ROOMY, GPU: 0.0})
    assert "gridbyoc quotas request" in findings(denied, stack(SPEC))["GBY-Q001 G-VT"].fix


def test_where_every_cluster_stands_all_passes_with_the_numbers() -> None:
    aws = QuotaAws(limits=dict.fromkeys(ROOMY, 0.0))
    there = MemoryRegistrar({"demo": cluster("demo")})
    found = findings(aws, stack(SPEC), registrar=lambda: there, has_role=True)
    assert {f.verdict for f in found.values()} == {"pass"}
    assert found["GBY-Q001 G-VT"].detail == "limit 0 vCPUs, 0 in use"
    assert found["GBY-Q001 G-VT"].needed == "nothing more"


def test_a_control_plane_that_does_not_answer_leaves_every_cluster_new() -> None:
    def down() -> Any:
        raise ControlPlaneUnreachableError("It does not answer.")

    aws = QuotaAws(limits={**ROOMY, GPU: 0.0})
    assert findings(aws, stack(SPEC), registrar=down)["GBY-Q001 G-VT"].verdict == "fail"


@pytest.mark.parametrize(("has_role", "verdict"), [(True, "warn"), (None, "warn"), (False, "fail")])
def test_a_cluster_that_may_stand_already_proves_no_shortage(has_role: bool | None, verdict: str) -> None:
    def down() -> Any:
        raise ControlPlaneUnreachableError("It does not answer.")

    full = QuotaAws(limits={**ROOMY, "L-F678F1CE": 1.0})
    assert findings(full, stack(SPEC), registrar=down, has_role=has_role)["GBY-Q005"].verdict == verdict


def test_the_name_of_a_deleted_cluster_is_that_of_a_new_one() -> None:
    gone = MemoryRegistrar({"demo": replace(cluster("demo"), phase=Phase.DELETED)})
    full = QuotaAws(limits={**ROOMY, "L-F678F1CE": 1.0})
    assert findings(full, stack(SPEC), registrar=lambda: gone)["GBY-Q005"].verdict == "fail"


def test_without_spot_a_cluster_works_where_there_is_room_on_demand() -> None:
    alone = findings(QuotaAws(limits={**ROOMY, "L-3819A6DF": 0.0}), stack(SPEC))
    assert {f.code for f in alone.values() if f.verdict != "pass"} == {"GBY-Q002"}
    spot = alone["GBY-Q002 G-VT"]
    assert (spot.verdict, spot.detail) == (
        "warn",
        "limit 0 vCPUs, 0 in use. Such machines can start on demand, but not as spot.",
    )
    assert "gridbyoc quotas request --code L-3819A6DF" in spot.fix


def all_denied() -> QuotaAws:
    denied = refused("AccessDenied", "no")
    names = ["ec2.describe_instances", "ec2.describe_instance_types", "ec2.describe_vpcs", "ec2.describe_addresses"]
    names += ["ec2.describe_nat_gateways", "s3.list_buckets", "eks.list_clusters", "iam.get_account_summary"]
    names += ["autoscaling.describe_account_limits", "service-quotas.get_service_quota", LIST]
    return QuotaAws(dict.fromkeys(names, denied))


def test_where_nothing_may_be_read_nothing_blocks() -> None:
    found = findings(all_denied(), stack(SPEC))
    assert found.pop("GBY-Q004").verdict == "pass"  # nothing is needed of it
    assert {f.verdict for f in found.values()} == {"unknown"}
    assert all("AccessDenied: no" in f.detail and f.fix for f in found.values())


def test_what_cannot_be_told_is_not_said_to_have_room() -> None:
    rows = quota_rows(scene(all_denied(), stack(SPEC), MemoryRegistrar))
    assert "L-DB2E81BA" in untold_of(rows, ())
    assert untold_of(rows, ("L-F678F1CE",)) == ("L-F678F1CE",)
    assert asked_json(Asked("1", "us-west-2", (), ("L-F678F1CE",)))["untold"] == ["L-F678F1CE"]


def test_without_credentials_the_fix_is_to_log_in_and_not_to_allow_a_call() -> None:
    def nobody() -> Any:
        raise AwsCredentialsError("AWS did not say who the caller is.", fix="Log in.")

    made = replace(scene(all_denied(), stack(SPEC), MemoryRegistrar), caller=Shared(nobody))
    found = examine(made, CHECKS)
    assert {f.verdict for f in found} == {"unknown"}
    assert {f.fix for f in found} == {"Log in."}
    assert len(found) == len(KINDS)


def test_a_role_that_may_be_there_only_warns() -> None:
    there = MemoryRegistrar({"demo": cluster("demo")})
    aws = QuotaAws(limits={**ROOMY, "L-FE177D64": 7.0})
    assert findings(aws, stack(SPEC), registrar=lambda: there, has_role=None)["GBY-Q010"].verdict == "warn"
    assert findings(aws, stack(SPEC), registrar=lambda: there, has_role=False)["GBY-Q010"].verdict == "fail"


def test_a_type_that_no_quota_names_is_unknown() -> None:
    spec = ClusterSpec("demo", (InstanceType("p6-b200.48xlarge"),))
    found = findings(QuotaAws(limits=ROOMY), stack(spec))
    assert found["GBY-Q002 p6-b200.48xlarge"].verdict == "unknown"
    assert "GBY-Q001 p6-b200.48xlarge" not in found
    without = without_quota(scene(QuotaAws(limits=ROOMY), stack(spec), MemoryRegistrar))
    assert without == (("p6-b200.48xlarge", "spot"),)
    assert quota_advice((), without)[0].startswith("unknown: AWS names no spot quota that p6-b200.48xlarge counts")


def test_what_was_asked_for_before_is_not_called_pending_once_it_is_decided() -> None:
    asked = PlannedIncrease(
        row(), 8, "pending", Increase("r-1", quota_by_code(GPU), "us-west-2", 8.0, "APPROVED", "42")
    )
    columns, (cells,) = ask_table((asked,))
    assert cells[columns.index("state")] == "asked before: APPROVED, case 42"


def test_another_module_gives_the_role_what_it_likes() -> None:
    other = TerraformSettings(module=ModuleSource("./modules/own"))
    for terraform, verdict in ((other, "pass"), (TerraformSettings(), "fail")):
        looked_at = scene(
            QuotaAws(limits={**ROOMY, "L-0DA4ABF3": 1.0}), stack(SPEC, terraform=terraform), MemoryRegistrar
        )
        rows = {row.quota.code: row for row in quota_rows(looked_at)}
        assert rows["L-0DA4ABF3"].verdict == verdict


def test_what_fits_on_one_role_is_left_to_the_policies_own_checks() -> None:
    found = findings(QuotaAws(limits={**ROOMY, "L-0DA4ABF3": 1.0}), stack(SPEC))
    assert all("on a role" not in finding.detail for finding in found.values())


def test_without_a_stack_file_there_are_the_numbers_and_no_need() -> None:
    aws = QuotaAws(limits={**ROOMY, GPU: 0.0})
    found = findings(aws, None)
    assert {f.verdict for f in found.values()} == {"pass"}
    assert "GBY-Q001 G-VT" in found


def test_without_a_stack_file_a_number_that_cannot_be_read_is_unknown() -> None:
    aws = QuotaAws(
        {"ec2.describe_vpcs": refused("AccessDenied", "no vpcs")}, limits={**ROOMY, GPU: refused("Throttled")}
    )
    found = findings(aws, None)
    assert {code for code, f in found.items() if f.verdict == "unknown"} == {"GBY-Q001 G-VT", "GBY-Q005"}
    assert "AccessDenied: no vpcs" in found["GBY-Q005"].detail


def test_the_rows_are_read_in_the_stacks_region() -> None:
    aws = QuotaAws(limits=ROOMY)
    rows = quota_rows(scene(aws, stack(SPEC, **IN_WEST), MemoryRegistrar))
    assert {found.region for found in rows} == {"us-west-2", "us-east-1"}
    assert {region for region, _ in aws.named("ec2.describe_vpcs")} == {"us-west-2"}


def test_each_kind_has_its_own_code_and_page() -> None:
    assert [kind.code for kind in KINDS] == [f"GBY-Q{number:03}" for number in range(1, 12)]
    assert all(kind.link.startswith("https://docs.aws.amazon.com/") for kind in KINDS)
