"""What a run may do without asking, and its optional behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridbyoc.stack.model import ClusterSpec

if TYPE_CHECKING:  # a wrong command line is refused before the AWS or control plane client is loaded
    from gridbyoc.operations.review.review import Review

EditBody = Callable[[ClusterSpec, dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Approval:
    """What may be done without asking, and how to ask otherwise. ``ask`` shows a plan's review, returns the answer."""

    create_and_change: bool
    destroy: bool
    ask: Callable[[Review], bool]


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """Optional behaviour of a bootstrap.

    ``edit``: called with the request of each new cluster. ``rollback``: destroy what this run created if the control
    plane refuses for good. ``new_role``: replace the role itself. ``needs_role``: refuse if there is no role yet.
    ``on_approved``: called once the plan is approved, before it is applied. ``only_planned``: apply nothing that was
    not shown, such as the end of a rotation. ``drop_old``: a vendor without an API has the new grant, so drop the old
    one.
    """

    edit: EditBody | None = None
    rollback: bool = False
    new_role: bool = False
    needs_role: bool = False
    on_approved: Callable[[], None] | None = None
    only_planned: bool = False
    drop_old: bool = False

    @property
    def nothing_new(self) -> bool:
        """Whether the options ask for nothing beyond what the stack file says."""
        return not self.new_role and not self.needs_role and not self.drop_old and self.on_approved is None
