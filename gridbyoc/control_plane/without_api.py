"""The registrar of a vendor without an API: it has no key and cannot query anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from gridbyoc.control_plane.model import Cluster, Created, FieldChange, Grant, Listing, OfferedInstanceType
from gridbyoc.stack.model import ClusterSpec, ControlPlane


class VendorWithoutApi:
    """A ``Registrar`` without clusters. It never sends anything; every method that needs an answer raises.

    ``told``: the user states that the vendor does not use the role, or knows about the change. What the vendor runs
    stays unknown nevertheless.
    """

    def __init__(self, control_plane: ControlPlane, *, told: bool) -> None:
        self._plane = control_plane
        self.told = told

    @property
    def url(self) -> str:
        """Empty, because the vendor has no API."""
        return ""

    @property
    def unasked(self) -> str:
        """Why it is unknown what the vendor runs through the role."""
        return self._plane.no_api

    def listing(self) -> Listing:
        """No cluster."""
        return Listing(())

    def list(self) -> tuple[Cluster, ...]:
        """No cluster."""
        return ()

    def find(self, name: str) -> Cluster | None:
        """No cluster."""
        return None

    def check(self, spec: ClusterSpec) -> None:
        """Raise."""
        self._refuse()

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """Raise."""
        self._refuse()

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """Raise."""
        self._refuse()

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Raise."""
        self._refuse()

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """Raise."""
        self._refuse()

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """Raise."""
        self._refuse()

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """Raise."""
        self._refuse()

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Raise."""
        self._refuse()

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """Raise."""
        self._refuse()

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """Raise."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self._plane.without_api()
