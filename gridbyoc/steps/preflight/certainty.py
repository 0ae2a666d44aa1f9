"""Which of the actions that are denied the run ahead would call for certain: only these prove that it fails."""

from __future__ import annotations

from collections.abc import Iterable

from gridbyoc.aws.live_facts import state_version
from gridbyoc.aws.permissions import Answer, Need
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import S3Backend
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.verdict import Verdict


def verdict_on(scene: Scene, denied: Iterable[Answer]) -> Verdict:
    """``fail`` where the run calls one of them for certain, ``warn`` where it may come to that, else ``unknown``.

    What the simulator says of service control policies is no proof: it leaves their conditions out, or evaluates them
    with nothing known, and denies what AWS allows (https://github.com/aws/aws-sdk/issues/102).
    """
    proven = [answer.need for answer in denied if answer.by != "scp"]
    if not proven:
        return "unknown"
    makes = any(need.phase == "apply" for need in proven) and makes_everything(scene)
    return "fail" if any(_called(need, makes=makes) for need in proven) else "warn"


def makes_everything(scene: Scene) -> bool:
    """Whether the run ahead is known to make the role: nothing of the stack stands, and the run changes things.

    A state in S3 is looked for (``s3:HeadObject``); one that is there, or may not be looked at, proves nothing.
    """
    if scene.reads_only:
        return False
    backend = scene.stack.terraform.backend if scene.stack else None
    if not isinstance(backend, S3Backend):
        return scene.has_role is False
    if other_credentials(scene):
        return False
    try:
        return state_version(scene.session(), backend.bucket, backend.key) is None
    except GridbyocError:
        return False


def other_credentials(scene: Scene) -> bool:
    """Whether the state is read with another profile than the one that is asked about."""
    if scene.stack is None or not isinstance(scene.stack.terraform.backend, S3Backend):
        return False
    return scene.stack.terraform.backend.profile not in (None, scene.stack.aws.profile)


def of_the_state(need: Need) -> bool:
    """Whether a need of plan, apply or destroy is one of the state: all others of these are IAM's."""
    return need.mandatory and not need.action.startswith("iam:")


def _called(need: Need, *, makes: bool) -> bool:
    """Without anything to make a run reads only, and it deletes nothing unless something is replaced."""
    if need.phase == "apply":
        return makes and (of_the_state(need) or ": create" in need.purpose)
    return need.phase == "state" or (need.phase == "plan" and not need.unseen)
