"""Every kind of resource in the ledger, in deletion order: dependents come before what they depend on."""

from __future__ import annotations

from gridbyoc.aws.leftovers import identity, machines, network, storage
from gridbyoc.aws.leftovers.model import ResourceKind

KINDS: tuple[ResourceKind, ...] = (
    machines.NODE_GROUP,
    machines.EKS_CLUSTER,
    machines.SCALING_GROUP,
    machines.INSTANCE,
    network.CLASSIC_LOAD_BALANCER,
    network.LOAD_BALANCER,
    network.TARGET_GROUP,
    machines.LAUNCH_TEMPLATE,
    network.NAT_GATEWAY,
    network.VPC_ENDPOINT,
    network.ELASTIC_IP,
    network.NETWORK_INTERFACE,
    machines.VOLUME,
    machines.SNAPSHOT,
    network.SECURITY_GROUP,
    network.SUBNET,
    network.ROUTE_TABLE,
    network.NETWORK_ACL,
    network.INTERNET_GATEWAY,
    network.VPC,
    storage.LOG_GROUP,
    storage.BUCKET,
    storage.QUEUE,
    storage.TOPIC,
    storage.REPOSITORY,
    identity.INSTANCE_PROFILE,
    identity.ROLE,
    identity.POLICY,
    identity.OIDC_PROVIDER,
    storage.OTHER_RESOURCE,
)

PARENTS: tuple[ResourceKind, ...] = (machines.EKS_CLUSTER, network.VPC)
"""Kinds whose proven resources prove the resources inside them."""

ORDER = {kind.name: number for number, kind in enumerate(KINDS, start=1)}
BY_NAME = {kind.name: kind for kind in KINDS}
