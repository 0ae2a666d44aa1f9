"""What each cluster needs, decided from the stack and the control plane's list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.model import Phase
from gridbyoc.errors import ClusterConflictError
from gridbyoc.operations.changes import cluster_changes, standing_cost
from gridbyoc.stack.model import ClusterSpec, InstanceType
from tests.unit.fakes import GRANT, ROLE, MemoryRegistrar, cluster, stack

T2 = InstanceType("t2.medium")


def actions(*specs: ClusterSpec, has: tuple = (), grant: object = GRANT) -> dict[str, str]:
    changes = cluster_changes(MemoryRegistrar(), stack(*specs), has, grant)  # type: ignore[arg-type]  # None on purpose
    return {change.name: change.action for change in changes}


def test_a_name_that_nobody_has_is_created() -> None:
    assert actions(ClusterSpec("a", (T2,))) == {"a": "create"}
    assert actions(ClusterSpec("a", (T2,)), grant=None) == {"a": "create"}


def test_our_cluster_is_left_alone_or_updated() -> None:
    same, other = cluster("a", instance_types=(T2,)), cluster("b")
    assert actions(ClusterSpec("a", (T2,)), ClusterSpec("b", (T2,)), has=(same, other)) == {"a": "none", "b": "update"}


def test_our_cluster_that_the_file_names_no_more_is_a_deletion() -> None:
    assert actions(ClusterSpec("a", (T2,)), has=(cluster("old"),)) == {"a": "create", "old": "delete"}


def test_what_is_going_or_foreign_is_not_deleted_again() -> None:
    going = cluster("going", desired_state=Phase.DELETED)
    foreign = cluster("foreign", role_arn=ROLE + "-other")
    assert actions(has=(going, foreign)) == {}


def test_a_name_that_is_going_and_made_again_is_the_new_one() -> None:
    going, new = cluster("a", desired_state=Phase.DELETED), cluster("a", instance_types=(T2,))
    assert actions(ClusterSpec("a", (T2,)), has=(going, new)) == {"a": "none"}
    assert actions(ClusterSpec("a", (T2,)), has=(new, going)) == {"a": "none"}


@pytest.mark.parametrize("grant", [GRANT, None])
def test_somebody_elses_cluster_is_refused(grant: object) -> None:
    with pytest.raises(ClusterConflictError, match="does not run through this stack's role") as caught:
        actions(ClusterSpec("a"), has=(cluster("a", role_arn=ROLE + "-other"),), grant=grant)
    assert "-other" in caught.value.why


def test_a_cluster_of_our_name_before_we_have_a_role_is_refused() -> None:
    with pytest.raises(ClusterConflictError) as caught:
        actions(ClusterSpec("a"), has=(cluster("a"),), grant=None)
    assert "no role yet" in caught.value.why


def test_a_cluster_that_is_going_is_refused_until_it_is_gone() -> None:
    with pytest.raises(ClusterConflictError, match="is being deleted"):
        actions(ClusterSpec("a"), has=(cluster("a", desired_state=Phase.DELETED),))


def test_the_role_before_its_replacement_still_counts_as_ours() -> None:
    old = cluster("a", role_arn=ROLE + "-old", instance_types=(T2,))
    found = cluster_changes(
        MemoryRegistrar(), stack(ClusterSpec("a", (T2,))), (old,), GRANT, our_roles=frozenset({ROLE + "-old"})
    )
    assert [change.action for change in found] == ["none"]


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_every_cluster_gets_exactly_one_action(wanted: set[str], there: set[str]) -> None:
    found = actions(
        *(ClusterSpec(n, (T2,)) for n in wanted), has=tuple(cluster(n, instance_types=(T2,)) for n in there)
    )
    expected = dict.fromkeys(wanted - there, "create") | dict.fromkeys(wanted & there, "none")
    assert found == expected | dict.fromkeys(there - wanted, "delete")


def test_the_standing_cost_names_profile_and_what_is_kept_running() -> None:
    kept = ClusterSpec("a", (T2, InstanceType("g4dn.xlarge", 3)), "cost-saving")
    assert standing_cost(kept, "grid") == (
        "a: about $10 a day standing (cost-saving profile) plus 3 x g4dn.xlarge kept running at the on-demand price"
    )
    assert "$50 a day" in standing_cost(ClusterSpec("a"), "grid")
    assert "no performance profile" in standing_cost(ClusterSpec("a"), "lightning")
