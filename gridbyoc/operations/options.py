"""What a run is approved for beforehand, and what of it is not always wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridbyoc.stack.model import ClusterSpec

if TYPE_CHECKING:  # a command line that is wrong is refused before either service's client is loaded
    from gridbyoc.operations.review.review import Review

EditBody = Callable[[ClusterSpec, dict[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Approval:
    """What may be done without asking, and whom to ask else. ``ask`` shows a plan's review and returns the answer."""

    create_and_change: bool
    destroy: bool
    ask: Callable[[Review], bool]


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """What is not always wanted. ``edit``: each new cluster's request goes through it. ``rollback``: where the control
    plane refuses for good, what this run created is destroyed again. ``new_role``: the role itself is replaced.
    ``needs_role``: refuse where there is no role yet. ``on_approved`` is called once the plan is, before it is applied.
    ``only_planned``: nothing is planned and applied beyond what was shown, such as the end of a rotation.
    ``drop_old``: a vendor without an API has the new grant, so that the old one goes.
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
        """Whether a stack that is as its file asks needs nothing done."""
        return not self.new_role and not self.needs_role and not self.drop_old and self.on_approved is None
