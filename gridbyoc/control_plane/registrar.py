"""Our client of a control plane's cluster API. Services differ only in data (``gridbyoc/vendors``) and ``SpecForm``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from gridbyoc.control_plane import changes, grid, lightning, parse
from gridbyoc.control_plane.create import Calls, ClusterIdentity, create_once
from gridbyoc.control_plane.failures import JsonObject
from gridbyoc.control_plane.http import Http, cluster_path, read_object
from gridbyoc.control_plane.model import (
    Cluster,
    Created,
    FieldChange,
    Grant,
    Listing,
    OfferedInstanceType,
    Registrar,
    SpecForm,
)
from gridbyoc.control_plane.settings import check_cluster, check_name
from gridbyoc.control_plane.wire import CLUSTERS, cluster_secrets, delete_cluster, listing, pick, wanted_of
from gridbyoc.control_plane.without_api import VendorWithoutApi
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterNotFoundError, UnaskedControlPlaneError, UnsupportedByDialectError
from gridbyoc.stack.model import ClusterSpec
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import VendorFacts

FORMS: Mapping[str, SpecForm] = {"kubernetes": grid.FORM, "direct": lightning.FORM}
"""The spec's form by ``ClusterApi.spec``."""


class ClusterRegistrar:
    """A ``Registrar`` over HTTP for the service of ``facts``. All its errors are ``ControlPlaneError``s.

    ``org_id`` names the organization if the service has any; ``None`` means the account's own.
    """

    def __init__(self, http: Http, facts: VendorFacts, *, org_id: str | None = None) -> None:
        self._http = http
        self._facts = facts
        self._form = FORMS[facts.api.spec]
        self._org = (("orgId", org_id),) if org_id and facts.api.organizations else ()

    @property
    def url(self) -> str:
        """The control plane's base address."""
        return self._http.url

    @property
    def unasked(self) -> str:
        """Empty, because this client queries the control plane."""
        return ""

    def check(self, spec: ClusterSpec) -> None:
        """Check name, instance types and performance profile, without sending anything."""
        check_cluster(spec, self._facts.type)
        if spec.performance_profile is not None and not self._facts.has_profiles:
            raise UnsupportedByDialectError(
                f"Cluster {spec.name} has a performance profile, but this control plane has none.",
                why=f"The {self._facts.type} API no longer has this field.",
                fix="Remove performance_profile from the stack file.",
                rerun=SAFE_NOTHING_DONE,
            )

    def listing(self) -> Listing:
        """Every cluster that is not deleted, and the id of the account's default cluster."""
        query = (*self._facts.api.list_query, *self._org)
        return self._http.call("GET", CLUSTERS, lambda raw: listing(raw, self._http.clean), query=query)

    def list(self) -> tuple[Cluster, ...]:
        """Every cluster that is not deleted."""
        return self.listing().clusters

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """One cluster by id."""
        path = cluster_path(cluster_id)
        return self._http.call("GET", path, self._cluster, query=self._org, cluster_id=cluster_id, within=within)

    def find(self, name: str) -> Cluster | None:
        """The live cluster with a name, else one with that name that is being deleted."""
        return pick(self.list(), name)

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """The body of a create request, with the same keys as the service's own client. Contains secrets."""
        return {"name": spec.name, **dict(self._org), "spec": self._form.new(spec, grant)}

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Create once, as ``create_once`` does; ``body`` is an edited ``request``."""
        self.check(spec)
        sent = dict(body) if body is not None else self.request(spec, grant)
        wanted = wanted_of(sent)
        check_name(wanted.name, self._facts.type)
        return create_once(Calls(self.find, partial(self._post, sent, wanted)), wanted, self._http.timing.sleep)

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """The changes that an update would make."""
        return changes.differences(cluster, spec, grant, has_profiles=self._facts.has_profiles)

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """Read, merge and PUT; send nothing if nothing changes. The region cannot be changed."""
        self.check(spec)
        current = self.get(cluster.id)
        changes.refuse_impossible(current, grant, self._facts.type)
        if not self.diff(current, spec, grant):
            return current
        spec_after = self._form.merged(parse.child(current.raw, "spec"), spec, grant)
        return self._put(current, spec_after, cluster_secrets(current, grant))

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """Replace the cluster's spec with a whole ``spec``."""
        changes.refuse_change(cluster, self._facts.type)
        return self._put(cluster, spec, cluster_secrets(cluster))

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Request deletion. With ``force`` the control plane forgets the cluster and leaves its resources behind."""
        delete_cluster(self._http, cluster_id, (("force", str(force)), *self._org))

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """The instance types that the cluster offers, with prices."""
        return self._http.call(
            "GET",
            cluster_path(cluster_id, self._facts.api.instance_types),
            lambda raw: self._form.offered(raw, self._http.clean),
            query=self._org,
            cluster_id=cluster_id,
        )

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """The AWS account that assumes the customer's role; ``None`` if the API does not return it."""
        if self._facts.api.cloud_account is None:
            return None
        path = cluster_path(cluster_id, self._facts.api.cloud_account)
        return self._http.call("GET", path, lambda raw: parse.text(raw, "accountId") or None, cluster_id=cluster_id)

    def _put(self, cluster: Cluster, spec: Mapping[str, Any], secrets: tuple[Secret, ...]) -> Cluster:
        body = {"name": getattr(cluster, self._facts.api.update_by), **dict(self._org), "spec": spec}
        path = cluster_path(cluster.id)
        self._http.call("PUT", path, read_object, body=body, cluster_id=cluster.id, secrets=secrets)
        return self.get(cluster.id)

    def _post(self, body: Mapping[str, Any], wanted: ClusterIdentity) -> Cluster:
        return self._http.call(
            "POST",
            CLUSTERS,
            lambda raw: parse.created_cluster(raw, self._http.clean),
            body=body,
            secrets=wanted.secrets,
        )

    def _cluster(self, raw: JsonObject) -> Cluster:
        return parse.cluster(raw, self._http.clean)


class KeylessRegistrar(ClusterRegistrar):
    """The client of a stack without clusters if there is no key: it lists nothing, and every request raises."""

    def __init__(self, http: Http, facts: VendorFacts, *, org_id: str | None = None, unasked: str) -> None:
        super().__init__(http, facts, org_id=org_id)
        self._unasked = unasked

    @property
    def unasked(self) -> str:
        """Why the control plane's clusters are unknown; empty if the user states that there are none."""
        return self._unasked

    def listing(self) -> Listing:
        """An empty list."""
        return Listing(())

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """Raise ``AuthenticationError``, or ``ClusterNotFoundError`` if the user states that there are no clusters."""
        if self._unasked:
            return super().get(cluster_id, within=within)
        raise ClusterNotFoundError(f"There is no cluster {cluster_id}, according to --no-control-plane.")


def refuse_unasked(registrar: Registrar, doing: str) -> None:
    """Raise ``UnaskedControlPlaneError`` if unknown clusters might lose the role that they need."""
    if isinstance(registrar, VendorWithoutApi):
        if not registrar.told:
            raise without_word(registrar, doing)
    elif registrar.unasked:
        raise UnaskedControlPlaneError(
            f"This would {doing}, but it is unknown whether clusters use the role: {registrar.unasked}.",
            fix="Provide the key (`gridbyoc login`). If no cluster uses the role, run `destroy` or `rotate` with "
            "--no-control-plane.",
            rerun=SAFE_NOTHING_DONE,
        )


def without_word(registrar: Registrar, doing: str) -> UnaskedControlPlaneError:
    """The error if a vendor without an API might lose the role that it uses."""
    return UnaskedControlPlaneError(
        f"This would {doing}, but it is unknown what the vendor runs through the role: {registrar.unasked}.",
        fix="To destroy it, ask the vendor to remove what it runs, and wait until it confirms that; `destroy "
        "--no-control-plane` states that nothing uses the role. To change it, `rotate --no-control-plane` creates a "
        "new external id (with --role a new role) beside the old one; --drop-old removes the old one after the vendor "
        "has the new one.",
        rerun=SAFE_NOTHING_DONE,
    )
