"""Bootstrap through its front door: the order of effects, each failure and what is never done, and the run after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import Aws, InstanceType, ModuleSource, PolicyStatement, S3Backend, Stack, TerraformSettings
from gridbyoc.terraform import ResourceChange
from tests.unit.memory_terraform import Configuration
from tests.unit.world import CREATES, FAST, HUGE, World, a_stack, phases, spec

STACK = a_stack()
TWO = a_stack(spec(), spec("more"))
BIGGER = a_stack(spec(kind=HUGE))
NARROWER = a_stack(statements=(PolicyStatement(("eks:*",)),))
RENAMED = a_stack(name="grid-by-name")
REFRESH = replace(FAST, refresh=True)
NO_WAIT = replace(FAST, wait=False)
OTHERS = "arn:aws:iam::123456789012:role/somebody-else"
ADDRESSES = [
    "module.gridbyoc.terraform_data.rotation",
    "module.gridbyoc.terraform_data.this",
    "module.gridbyoc.aws_iam_role.this",
    "module.gridbyoc.aws_iam_policy.this[0]",
    "module.gridbyoc.aws_iam_role_policy_attachment.this[0]",
    'module.gridbyoc.aws_iam_role_policy_attachment.managed["AmazonS3FullAccess"]',
]


READS = {"output", "show", "pull"}


def verbs(world: World) -> list[str]:
    """Terraform's commands since ``world.terraform.commands`` was cleared, without those that only read."""
    words = [command[1] if command[0] == "state" else command[0] for command in world.terraform.commands]
    return [word for word in words if word not in READS]


# --- the order of effects


@dataclass(frozen=True)
class Way:
    """A run on a stack that may have been brought up before: what it changes, in which order, with which commands."""

    name: str
    before: Stack | None
    stack: Stack
    effects: list[str]
    commands: list[str]
    options: dict[str, Any]


PROVEN = ["plan", "apply", "plan"]  # after a change of the role, a plan proves that nothing is left
WAYS = [
    Way("fresh", None, STACK, [*CREATES, "POST ml"], ["init", "apply"], {}),
    Way("fresh, asked", None, STACK, [*CREATES, "POST ml"], ["init", "plan", "apply"],
        {"yes": False, "answer": True}),
    Way("fresh, two clusters", None, TWO, [*CREATES, "POST ml", "POST more"], ["init", "apply"], {}),
    Way("fresh, not waited for", None, STACK, [*CREATES, "POST ml"], ["init", "apply"],
        {"choices": NO_WAIT}),
    Way("nothing has moved", STACK, STACK, [], [], {}),
    Way("nothing has moved, and Terraform looks", STACK, STACK, [], ["plan"],
        {"choices": REFRESH}),
    Way("nothing has moved, asked", STACK, STACK, [], [], {"yes": False}),
    Way("another instance type", STACK, BIGGER, ["PUT ml"], ["plan"], {}),
    Way("another instance type, asked", STACK, BIGGER, ["PUT ml"], ["plan"],
        {"yes": False, "answer": True}),
    Way("one cluster more", STACK, TWO, ["POST more"], ["plan"], {}),
    Way("one cluster less", TWO, STACK, ["DELETE more"], ["plan"], {"yes_destroy": True}),
    Way("another policy", STACK, NARROWER, ["CreatePolicyVersion"], PROVEN, {}),
    Way("another policy, asked", STACK, NARROWER, ["CreatePolicyVersion"], PROVEN, {"yes": False, "answer": True}),
    Way("another name of the role", STACK, RENAMED,
        ["DetachRolePolicy", "DetachRolePolicy", "DeletePolicy", "DeleteRole", *CREATES, "PUT ml"], PROVEN,
        {"yes_destroy": True}),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_order_of_effects(world: World, way: Way) -> None:
    if way.before is not None:
        world.bring_up(way.before)
    world.terraform.commands.clear()
    report = world.bootstrap(way.stack, **way.options)
    assert world.effects == way.effects
    assert verbs(world) == way.commands
    assert report.changed is bool(way.effects)
    assert {cluster.name for cluster in report.clusters} == {each.name for each in way.stack.clusters}
    if way.name != "another name of the role":
        assert world.locked_out == []
    _check_records([record for record in world.journal(way.stack) if record["run"] == f"run-{world.runs}"])


def _check_records(run: list[dict[str, Any]]) -> None:
    """Every effect is recorded before it begins and after it is done."""
    effects = [(record["type"], record["effect"]) for record in run if "effect" in record]
    began, done = effects[::2], effects[1::2]
    assert [name for _, name in began] == [name for _, name in done]
    assert {kind for kind, _ in began} <= {"effect_started"}
    assert {kind for kind, _ in done} <= {"effect_done"}
    assert [record["type"] for record in (run[0], run[-1])] == ["run_started", "run_ended"]
    assert run[-1]["code"] is None


def test_the_trust_is_proven_before_anything_is_registered(world: World) -> None:
    world.iam.delay = 20.0
    seen: list[float] = []
    world.meanwhile["before POST ml"] = lambda: seen.append(world.time.now)
    world.bootstrap(STACK)
    assert seen
    assert seen[0] >= 20.0


def test_a_cluster_is_deleted_once_the_others_run(world: World) -> None:
    world.bring_up(TWO)
    seen: list[dict[str, str]] = []
    world.meanwhile["before DELETE more"] = lambda: seen.append(
        {name: each.status for name, each in world.plane.live().items()}
    )
    world.bootstrap(a_stack(spec(), spec("third")), yes_destroy=True)
    assert world.effects == ["POST third", "DELETE more"]
    assert seen == [{"ml": "running", "more": "running", "third": "running"}]


def test_the_question_shows_both_sides(world: World) -> None:
    world.bootstrap(STACK, yes=False, answer=True)
    (review,) = world.asked
    plan = review.plan
    assert plan.terraform is not None
    assert plan.terraform.changes == tuple(ResourceChange(address, "create") for address in sorted(ADDRESSES))
    assert [(change.action, change.name) for change in plan.clusters] == [("create", "ml")]
    assert plan.costs
    assert plan.destroys == ()


def test_what_was_asked_is_what_is_applied(world: World) -> None:
    """A saved plan is applied: the policy that the account got meanwhile is not this run's to change."""
    world.bring_up(STACK)
    world.bootstrap(NARROWER, yes=False, answer=True)
    applied = next(command for command in reversed(world.terraform.commands) if command[0] == "apply")
    assert applied[-1].endswith("gridbyoc.tfplan")
    assert "-auto-approve" not in applied


# --- failures


@dataclass(frozen=True)
class Failure:
    """What goes wrong, the error, what had been changed by then; and whether the next run needs a destruction."""

    name: str
    arrange: Callable[[World], object]
    error: str
    status: int
    effects: list[str]
    before: Stack | None = None
    stack: Stack = STACK
    options: dict[str, Any] | None = None
    mend: Callable[[World], object] = lambda _world: None
    yes_destroy: bool = False
    converges: bool = True


def breaks(command: str, why: str = "Something broke") -> Callable[[World], object]:
    # What reads the state alone is tried in two ways.
    return lambda world: world.terraform.faults.errors.update({command: [why] * (2 if command == "output" else 1)})


def stops(command: str, how: str = "interrupt", at: str = "") -> Callable[[World], object]:
    return lambda world: getattr(world.terraform.faults, how).update({command: at})


def refuses(operation: str) -> Callable[[World], object]:
    return lambda world: world.module.refused.update({operation: "api error AccessDenied"})


def cuts(operation: str) -> Callable[[World], object]:
    return lambda world: world.module.cut.add(operation)


def answers(method: str, *texts: str) -> Callable[[World], object]:
    return lambda world: world.plane.answers.update({method: list(texts)})


def somebodys(name: str = "ml", **fields: Any) -> Callable[[World], object]:
    return lambda world: world.plane.put(Cluster("theirs", name, Phase.RUNNING, **{"role_arn": OTHERS, **fields}))


def gone(world: World) -> None:
    world.plane.clusters.clear()


def errored(world: World) -> None:
    (world.work_dir(STACK) / "errored.tfstate").write_text('{"lineage": "a", "serial": 9, "resources": []}')


def no_longer_errored(world: World) -> None:
    (world.work_dir(STACK) / "errored.tfstate").unlink()


def held(world: World) -> None:
    world.terraform.faults.holder = "ada@laptop"


def released(world: World) -> None:
    world.terraform.faults.holder = ""


def tells(*story: Any) -> Callable[[World], object]:
    return lambda world: setattr(world.plane, "story", phases(*story))


def slow_role(world: World) -> None:
    world.iam.delay = 1000.0


def prompt_role(world: World) -> None:
    world.iam.delay = 0.0


def interrupted_wait(world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.meanwhile["sleep"] = interrupt


# Its name is known: the policies and attachments stay in the plan of its replacement, and the role alone counts.
FIXED = a_stack(name="grid-fixed")


def tainted(world: World) -> None:
    world.taint(STACK)


def tainted_beside_one_on_its_way_out(world: World) -> None:
    """The file lists the cluster no more, and its deletion, which takes the role, is under way."""
    world.taint(STACK)
    world.plane.delete_seconds = 1e9
    world.plane.delete(world.plane.live()["ml"].id)


HALF = ["CreateRole", "AttachRolePolicy"]
FAILURES = [
    Failure("init fails", breaks("init"), "TerraformError", 1, []),
    Failure("init is interrupted", stops("init"), "TerraformInterruptedError", 130, []),
    Failure("plan fails", breaks("plan"), "TerraformError", 1, [], STACK, NARROWER),
    Failure("plan fails, asked", breaks("plan"), "TerraformError", 1, [], options={"yes": False, "answer": True}),
    Failure("plan is interrupted", stops("plan"), "TerraformInterruptedError", 130, [], STACK, NARROWER),
    Failure("plan takes too long", stops("plan", "timeout"), "TerraformTimeoutError", 1, [], STACK, NARROWER),
    Failure("apply fails at once", breaks("apply"), "TerraformError", 1, []),
    Failure("apply of a saved plan fails", breaks("apply"), "TerraformError", 1, [], STACK, NARROWER),
    Failure("apply is interrupted", stops("apply"), "TerraformInterruptedError", 130, []),
    Failure("apply takes too long", stops("apply", "timeout"), "TerraformTimeoutError", 1, []),
    Failure("apply is interrupted half-way", stops("apply", at=ADDRESSES[4]), "TerraformInterruptedError", 130,
            ["CreateRole", "CreatePolicy"]),
    Failure("the role is refused", refuses("CreateRole"), "TerraformError", 1, []),
    Failure("the policy is refused", refuses("CreatePolicy"), "TerraformError", 1, HALF),
    Failure("an attachment is refused", refuses("AttachRolePolicy"), "TerraformError", 1, CREATES[:3]),
    Failure("the change of a policy is refused", refuses("CreatePolicyVersion"), "TerraformError", 1, [], STACK,
            NARROWER),
    Failure("the role is half made", cuts("CreateRole"), "TerraformError", 1, ["CreateRole"]),
    Failure("the policy is half made", cuts("CreatePolicy"), "TerraformError", 1, [CREATES[0], CREATES[1], CREATES[2]]),
    Failure("the state is locked", held, "StateLockedError", 8, [], STACK, NARROWER, mend=released),
    Failure("the state is locked, fresh", held, "StateLockedError", 8, [], mend=released),
    Failure("output fails", breaks("output"), "TerraformError", 1, CREATES),
    Failure("a state that could not be saved", errored, "TerraformError", 1, [], STACK, NARROWER,
            mend=no_longer_errored),
    Failure("the trust is never proven", slow_role, "TrustError", 1, CREATES, mend=prompt_role),
    Failure("another account", lambda world: setattr(world.aws, "account", "999999999999"), "AccountMismatchError", 4,
            [], stack=a_stack(aws=Aws("us-east-1", account_id="123456789012")),
            mend=lambda world: setattr(world.aws, "account", "123456789012")),
    Failure("the role stands in another account", lambda world: setattr(world.aws, "account", "999999999999"),
            "AccountMismatchError", 4, [], STACK, NARROWER,
            mend=lambda world: setattr(world.aws, "account", "123456789012")),
    Failure("an instance type that the control plane does not take", lambda _world: None, "UnsupportedByDialectError",
            2, [], stack=a_stack(spec(kind=InstanceType("m6g.large"))), converges=False),
    Failure("the control plane is away", answers("LIST", "unreachable"), "ControlPlaneUnreachableError", 1, []),
    Failure("the control plane breaks", answers("LIST", "500"), "ControlPlaneError", 1, []),
    Failure("the key is refused", answers("LIST", "401"), "ControlPlaneError", 1, []),
    Failure("the name is somebody else's", somebodys(), "ClusterConflictError", 1, [], mend=gone),
    Failure("the name is somebody else's, role hidden", somebodys(role_arn=None), "ClusterConflictError", 1, [],
            mend=gone),
    Failure("the registration is refused", answers("POST", "400"), "ControlPlaneError", 1, CREATES),
    Failure("the registration is refused for good", answers("POST", "422"), "ControlPlaneError", 1, CREATES),
    Failure("the name is taken by what nobody sees", answers("POST", "409"), "ClusterConflictError", 1, CREATES),
    Failure("the registration is not carried out", answers("POST", "503", "503", "503"), "UnclearAnswerError", 1,
            CREATES),
    Failure("the registration is throttled", answers("POST", *["429"] * 8), "ControlPlaneError", 1, CREATES),
    Failure("the second registration is refused", answers("POST", "", "400"), "ControlPlaneError", 1,
            [*CREATES, "POST ml"], stack=TWO),
    Failure("the update is refused", answers("PUT", "400"), "ControlPlaneError", 1, [], STACK, BIGGER),
    Failure("the update is lost", answers("PUT", "lost"), "LostAnswerError", 1, [], STACK, BIGGER),
    Failure("the update's answer is lost", answers("PUT", "kept, then lost"), "LostAnswerError", 1, ["PUT ml"], STACK,
            BIGGER),
    Failure("the cluster fails", tells((0.0, Phase.PENDING), (30.0, Phase.FAILED, "no quota")), "ClusterFailedError", 5,
            [*CREATES, "POST ml"], mend=tells((0.0, Phase.RUNNING))),
    Failure("the cluster fails later than the grace",
            tells((0.0, Phase.PENDING), (30.0, Phase.FAILED, "retries"), (3000.0, Phase.RUNNING)), "ClusterFailedError",
            5, [*CREATES, "POST ml"], options={"choices": replace(FAST, failed_grace=600.0)},
            mend=tells((0.0, Phase.RUNNING))),
    Failure("the cluster never runs", tells((0.0, Phase.PENDING)), "WaitTimedOutError", 6, [*CREATES, "POST ml"],
            mend=tells((0.0, Phase.RUNNING))),
    Failure("the wait is interrupted", interrupted_wait, "InterruptedRunError", 130, [*CREATES, "POST ml"]),
    Failure("the key is taken away meanwhile", answers("GET", "401"), "ControlPlaneError", 1, [*CREATES, "POST ml"]),
    Failure("a role is replaced without a yes", lambda _world: None, "ApprovalRequiredError", 2, [], STACK, RENAMED,
            yes_destroy=True),
    Failure("a cluster is dropped without a yes", lambda _world: None, "ApprovalRequiredError", 2, [], TWO, STACK,
            yes_destroy=True),
    Failure("a tainted role with clusters, without a yes", tainted, "ApprovalRequiredError", 2, [], FIXED, FIXED,
            yes_destroy=True),
    Failure("a tainted role that a cluster on its way out needs", tainted_beside_one_on_its_way_out,
            "ApprovalRequiredError", 2, [], FIXED, a_stack(spec("new"), name="grid-fixed"), yes_destroy=True),
    Failure("the plan is not approved", lambda _world: None, "ApprovalRequiredError", 2, [],
            options={"yes": False, "answer": False}),
    Failure("a change is not approved", lambda _world: None, "ApprovalRequiredError", 2, [], STACK, BIGGER,
            options={"yes": False, "answer": False}),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_failure_stops_there_and_the_next_run_converges(world: World, failure: Failure) -> None:
    if failure.before is not None:
        world.bring_up(failure.before)
    there = world.plane.held().keys()
    failure.arrange(world)
    with pytest.raises(GridbyocError) as caught:
        world.bootstrap(failure.stack, **(failure.options or {}))
    assert type(caught.value).__name__ == failure.error
    assert int(caught.value.exit_status) == failure.status
    assert caught.value.rerun
    assert world.effects == failure.effects
    ends = [record for record in world.journal(failure.stack) if record["type"] == "run_ended"]
    assert ends[-1]["code"] == caught.value.code
    if "POST ml" not in failure.effects:
        # Nothing is registered after a failure: neither sent nor tried, unless the control plane itself refuses it.
        asked = [call for call in world.plane.calls if not call.startswith("PUT")]
        assert asked == [] or "registration" in failure.name or "taken" in failure.name
        assert {ident for ident in world.plane.held() if ident != "theirs"} == there - {"theirs"}
    failure.mend(world)
    world.converge(failure.stack if failure.converges else STACK, yes_destroy=failure.yes_destroy)
    assert len(world.iam.policies) == 1


# --- what passes by itself


@dataclass(frozen=True)
class Trouble:
    """What passes by itself: the requests it takes, and the warning."""

    name: str
    arrange: Callable[[World], object]
    calls: list[str]
    says: str = ""
    choices: Any = FAST


TROUBLES = [
    Trouble("throttled", answers("POST", "429"), ["POST ml"] * 2),
    Trouble("throttled for a while", answers("POST", *["429"] * 7), ["POST ml"] * 8),
    Trouble("no connection", answers("POST", "unreachable"), ["POST ml"] * 2),
    Trouble("broken once", answers("POST", "500"), ["POST ml"] * 2),
    Trouble("the request is lost", answers("POST", "lost"), ["POST ml"] * 2),
    Trouble("the request is lost twice", answers("POST", "lost", "lost"), ["POST ml"] * 3),
    Trouble("the answer is lost", answers("POST", "kept, then lost"), ["POST ml"]),
    Trouble("looks fail", answers("GET", "503", "unreachable", "429"), ["POST ml"], "HTTP 503"),
    Trouble("not listed yet", answers("GET", "unknown", "unknown"), ["POST ml"]),
    Trouble("it fails and comes round", tells((0.0, Phase.PENDING), (30.0, Phase.FAILED, "retries"),
            (90.0, Phase.RUNNING)), ["POST ml"], choices=replace(FAST, failed_grace=120.0)),
    Trouble("the role is seen late", lambda world: setattr(world.iam, "delay", 30.0), ["POST ml"]),
    Trouble("the role may not be read", lambda world: world.iam.refused.update({"GetRole": "AccessDenied"}),
            ["POST ml"], "trust could not be proven: the caller may not read the role"),
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_trouble_that_passes(world: World, trouble: Trouble) -> None:
    trouble.arrange(world)
    report = world.bootstrap(STACK, choices=trouble.choices)
    assert world.plane.calls == trouble.calls
    assert len(world.plane.held()) == 1
    assert [cluster.status for cluster in report.clusters] == ["running"]
    assert bool(world.notes()) is bool(trouble.says)
    assert trouble.says in "".join(world.notes()[:1])


# --- another's hand


def another_apply(world: World) -> Callable[[], None]:
    """Somebody else applies: the state moves on."""

    def act() -> None:
        file = world.work_dir(STACK) / "terraform.tfstate"
        serial = world.terraform_state(STACK)["serial"]
        file.write_text(file.read_text().replace(f'"serial": {serial},', f'"serial": {serial + 1},'))

    return act


def test_a_plan_that_has_gone_stale_is_made_anew_once(world: World) -> None:
    world.bring_up(STACK)
    acts = iter([another_apply(world), lambda: None])
    report = world.bootstrap(NARROWER, on_approved=lambda: next(acts)())
    assert report.changed
    assert world.effects == ["CreatePolicyVersion"]
    assert world.notes() == ["Another run has changed the stack meanwhile: planning anew."]


@pytest.mark.parametrize("options", [{}, {"yes": False, "answer": True}])
def test_a_plan_that_stays_stale_ends_with_9_and_nothing_is_done(world: World, options: dict[str, Any]) -> None:
    world.bring_up(STACK)
    act = another_apply(world)
    with pytest.raises(GridbyocError) as caught:
        world.bootstrap(NARROWER, on_approved=act, **options)
    assert int(caught.value.exit_status) == 9
    assert world.effects == []
    assert len(world.asked) == (1 if options else 0)
    world.converge(NARROWER)


def test_a_cluster_that_got_another_role_meanwhile_is_not_deleted(world: World) -> None:
    world.bring_up(TWO)
    more = world.plane.live()["more"]
    world.meanwhile["POST third"] = lambda: world.plane.put(replace(more, role_arn=OTHERS))
    world.bootstrap(a_stack(spec(), spec("third")), yes_destroy=True)
    assert world.effects == ["POST third"]
    assert "more" in world.plane.live()


def test_clusters_of_other_roles_and_those_on_their_way_out_are_left_alone(world: World) -> None:
    world.bring_up(TWO)
    somebodys("theirs")(world)
    ident = world.plane.live()["more"].id
    world.plane.delete_seconds = 1e9
    world.plane.delete(ident)
    report = world.bootstrap(STACK, choices=REFRESH)
    assert world.plane.calls == []
    assert not report.changed


def test_a_cluster_that_no_plan_has_shown_is_not_deleted(world: World) -> None:
    """The state has the role and no outputs: which clusters are the stack's shows after the apply alone."""
    world.bring_up(STACK)
    state = world.terraform_state(STACK)
    state["outputs"] = {}
    world.put_state(STACK, state)
    stack = a_stack(spec("new"))
    world.bootstrap(stack, yes_destroy=True)
    assert world.effects == ["POST new"]
    assert world.plane.live().keys() == {"ml", "new"}
    with pytest.raises(GridbyocError, match="This would destroy: cluster ml"):
        world.bootstrap(stack)


def test_a_cluster_of_a_run_that_was_cut_off_is_taken_on_and_given_what_the_file_says(world: World) -> None:
    world.bring_up(STACK)
    ml = world.plane.live()["ml"]
    # between the look at the start and the registration, the request of the run before arrives
    world.plane.clusters.clear()
    world.meanwhile["before POST ml"] = lambda: world.plane.put(ml)
    report = world.bootstrap(BIGGER)
    assert report.clusters[0].id == ml.id
    assert [kind.name for kind in report.clusters[0].instance_types] == ["m5.4xlarge"]
    assert len(world.plane.held()) == 1
    assert any("it is adopted" in each for each in world.notes("info"))


def test_a_second_run_of_the_stack_waits_outside(world: World) -> None:
    with world.run(STACK, "bootstrap"), pytest.raises(GridbyocError) as caught:
        world.bootstrap(STACK)
    assert int(caught.value.exit_status) == 8
    assert world.terraform.commands == []
    assert world.effects == []


# --- what is not always wanted


def test_a_role_that_is_needed_and_not_there_is_refused_before_anything(world: World) -> None:
    with pytest.raises(GridbyocError, match="There is no role yet"):
        world.bootstrap(STACK, needs_role=True)
    assert world.effects == []


def test_an_edited_request_is_what_is_sent(world: World) -> None:
    seen: list[dict[str, Any]] = []
    report = world.bootstrap(STACK, edit=lambda _spec, body: seen.append(body) or {**body, "name": "edited"})
    assert [body["name"] for body in seen] == ["ml"]
    assert [cluster.name for cluster in report.clusters] == ["edited"]


def test_an_editor_that_gives_up_sends_nothing_and_the_role_stays(world: World) -> None:
    def give_up(_spec: Any, _body: Any) -> Any:
        raise GridbyocError("The editor ended with status 1.")

    with pytest.raises(GridbyocError, match="The editor ended"):
        world.bootstrap(STACK, edit=give_up)
    assert world.effects == CREATES
    assert world.plane.calls == []
    world.converge(STACK)


# --- the state in S3


REMOTE = a_stack(terraform=TerraformSettings(S3Backend("acme-state", "demo.tfstate", "us-east-1")))


def test_remote_state_is_always_planned(world: World) -> None:
    """Whether anything is in it is known after the init alone; a first output tells that an empty answer is one."""
    world.bring_up(REMOTE)
    assert verbs(world) == ["init", "plan", "apply"]
    assert world.effects == [*CREATES, "POST ml"]
    assert [key for _, key in world.objects] == ["demo.tfstate", "demo.tfstate.converged.json"]
    assert not (world.work_dir(REMOTE) / "terraform.tfstate").exists()
    world.terraform.commands.clear()
    assert not world.bootstrap(REMOTE).changed
    assert verbs(world) == []


def test_a_fresh_checkout_finds_what_stands(world: World, tmp_path: Path) -> None:
    world.bring_up(REMOTE)
    world.directory = tmp_path
    report = world.bootstrap(REMOTE)
    assert not report.changed
    assert world.effects == []


def test_another_account_is_refused_before_its_bucket_is_touched(world: World) -> None:
    guarded = a_stack(terraform=REMOTE.terraform, aws=Aws("us-east-1", account_id="999999999999"))
    with pytest.raises(GridbyocError) as caught:
        world.bootstrap(guarded)
    assert int(caught.value.exit_status) == 4
    assert world.terraform.commands == []


def test_a_state_that_lies_elsewhere_is_not_begun_anew(world: World) -> None:
    world.bring_up(STACK)
    with pytest.raises(GridbyocError, match="there is no state at that place yet") as caught:
        world.bootstrap(replace(STACK, terraform=REMOTE.terraform))
    assert "gridbyoc state migrate" in caught.value.fix
    assert world.effects == []
    world.converge(STACK)


# --- another module


def test_a_module_without_the_outputs_ends_after_the_apply(world: World, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("# a role of another kind\n")
    stack = a_stack(terraform=TerraformSettings(module=ModuleSource(str(tmp_path))))

    def without(root: Mapping[str, str]) -> Configuration:
        found = world.module(root)
        return replace(found, outputs={"role_arn": found.outputs["role_arn"]})

    world.terraform.configure = without
    with pytest.raises(GridbyocError, match="The state has no output external_id") as caught:
        world.bootstrap(stack)
    assert type(caught.value).__name__ == "OutputMissingError"
    assert world.plane.calls == []
    assert "trust" not in world.steps()
