"""Which of the actions that are denied the run ahead would call for certain: only these prove that it fails."""

from __future__ import annotations

from collections.abc import Iterable

from gridbyoc.aws.permissions import Answer, Need
from gridbyoc.aws.s3_state import state_version
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import S3Backend
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.verdict import Verdict


def verdict_on(scene: Scene, denied: Iterable[Answer]) -> Verdict:
    """``fail`` where the run calls one of them for certain, ``warn`` where it may come to that; ``unknown``: none is.

    What the simulator says of service control policies is no proof, and only warns: it leaves their conditions out, or
    evaluates them with nothing known, and denies what AWS allows (https://github.com/aws/aws-sdk/issues/102).
    """
    denied = tuple(denied)
    proven = [answer.need for answer in denied if answer.by != "scp"]
    if not proven:
        return "warn" if denied else "unknown"
    stands = anything_stands(scene) if any(need.phase in ("plan", "apply") for need in proven) else None
    return "fail" if any(_called(need, stands, reads_only=scene.reads_only) for need in proven) else "warn"


def anything_stands(scene: Scene) -> bool | None:
    """Whether the stack has been made before; ``None``: that cannot be told.

    A state in S3 is looked for (``s3:HeadObject``), unless it is read with other credentials.
    """
    backend = scene.stack.terraform.backend if scene.stack else None
    if not isinstance(backend, S3Backend):
        return scene.has_role
    if other_credentials(scene):
        return None
    try:
        return state_version(scene.session(), backend.bucket, backend.key) is not None
    except GridbyocError:
        return None


def other_credentials(scene: Scene) -> bool:
    """Whether the state is read with another profile than the one that is asked about."""
    if scene.stack is None or not isinstance(scene.stack.terraform.backend, S3Backend):
        return False
    return scene.stack.terraform.backend.profile not in (None, scene.stack.aws.profile)


def of_the_state(need: Need) -> bool:
    """Whether a need of plan, apply or destroy is one of the state: all others of these are IAM's."""
    return need.mandatory and not need.action.startswith("iam:")


def _called(need: Need, stands: bool | None, *, reads_only: bool) -> bool:
    """A role that stands is read, one that does not is made and read, and none is deleted unless it is replaced."""
    if need.phase == "apply":
        return stands is False and not reads_only and (of_the_state(need) or ": create" in need.purpose)
    if need.phase == "plan":
        return not need.unseen and (stands is True or not reads_only)
    return need.phase == "state"
