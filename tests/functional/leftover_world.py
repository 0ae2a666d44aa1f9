"""An AWS on this machine, and one of each kind of resource planted in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from gridbyoc.aws import AwsSession
from gridbyoc.aws.identity import AccountRegion

REGION = "us-east-1"
ACCOUNT = "123456789012"
IMAGE = "ami-12c6146b"
PLACE = AccountRegion("aws", ACCOUNT, REGION)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                    "Principal": {"Service": "ec2.amazonaws.com"}}]})  # fmt: skip
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})

Tags = Mapping[str, str]


def session_at(url: str, directory: Path) -> AwsSession:
    """A session whose endpoint comes from its own configuration file, so that no environment is touched."""
    config = directory / "aws-config"
    config.write_text(f"[default]\nregion = {REGION}\nendpoint_url = {url}\n")
    core = botocore.session.Session()
    core.set_config_variable("config_file", str(config))
    boto = boto3.session.Session("test", "test", region_name=REGION, botocore_session=core)
    return AwsSession(boto, REGION)


@dataclass
class World:
    """The account, looked at and filled from outside the tool."""

    url: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, service: str) -> Any:
        """A client of the service."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service, endpoint_url=self.url, region_name=REGION,
                aws_access_key_id="test", aws_secret_access_key="test",
            )  # fmt: skip
        return self._clients[service]

    def plant(self, label: str, tags: Tags) -> dict[str, str]:
        """One of each kind with these tags, named after ``label``; kind → the ledger's id."""
        planted = self.network(label, tags)
        planted |= self.machines(label, tags, planted)
        planted |= self.balancers(label, tags, planted)
        planted |= self.storage(label, tags)
        return planted | self.identity(label, tags)

    def network(self, label: str, tags: Tags) -> dict[str, str]:
        ec2 = self.ec2
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", **spec("vpc", tags))["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", **spec("subnet", tags))["Subnet"]["SubnetId"]
        table = ec2.create_route_table(VpcId=vpc, **spec("route-table", tags))["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        gateway = ec2.create_internet_gateway(**spec("internet-gateway", tags))["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        group = ec2.create_security_group(
            GroupName=f"{label}-nodes", Description=label, VpcId=vpc, **spec("security-group", tags)
        )["GroupId"]
        nic = ec2.create_network_interface(SubnetId=subnet, **spec("network-interface", tags))["NetworkInterface"]
        address = ec2.allocate_address(Domain="vpc", **spec("elastic-ip", tags))["AllocationId"]
        other = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=other, **spec("natgateway", tags))["NatGateway"]
        acl = ec2.create_network_acl(VpcId=vpc, **spec("network-acl", tags))["NetworkAcl"]["NetworkAclId"]
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{REGION}.sts",
            SubnetIds=[subnet],
            **spec("vpc-endpoint", tags),
        )["VpcEndpoint"]["VpcEndpointId"]
        return {
            "VPC": vpc, "subnet": subnet, "route table": table, "internet gateway": gateway, "security group": group,
            "network interface": nic["NetworkInterfaceId"], "Elastic IP": address, "NAT gateway": nat["NatGatewayId"],
            "network ACL": acl, "VPC endpoint": endpoint,
        }  # fmt: skip

    def machines(self, label: str, tags: Tags, network: Mapping[str, str]) -> dict[str, str]:
        role = f"arn:aws:iam::{ACCOUNT}:role/any"
        vpc = {"subnetIds": [network["subnet"]], "securityGroupIds": [network["security group"]]}
        self.eks.create_cluster(name=label, roleArn=role, resourcesVpcConfig=vpc, tags=dict(tags))
        self.eks.create_nodegroup(
            clusterName=label, nodegroupName="nodes", subnets=[network["subnet"]], nodeRole=role, tags=dict(tags)
        )
        instance = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=network["subnet"], **spec("instance", tags)
        )["Instances"][0]["InstanceId"]
        template = self.ec2.create_launch_template(
            LaunchTemplateName=f"{label}-template", LaunchTemplateData={"ImageId": IMAGE},
            **spec("launch-template", tags),
        )["LaunchTemplate"]["LaunchTemplateId"]  # fmt: skip
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=f"{label}-group", MinSize=0, MaxSize=0, VPCZoneIdentifier=network["subnet"],
            LaunchTemplate={"LaunchTemplateId": template},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        )  # fmt: skip
        volume = self.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=20, **spec("volume", tags))["VolumeId"]
        snapshot = self.ec2.create_snapshot(VolumeId=volume, **spec("snapshot", tags))["SnapshotId"]
        return {
            "EKS cluster": label, "node group": f"{label}/nodes", "instance": instance, "launch template": template,
            "Auto Scaling group": f"{label}-group", "volume": volume, "snapshot": snapshot,
        }  # fmt: skip

    def balancers(self, label: str, tags: Tags, network: Mapping[str, str]) -> dict[str, str]:
        listed = pairs(tags)
        classic = {"Listeners": [{"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}]}
        self.elb.create_load_balancer(
            LoadBalancerName=f"{label}-classic", AvailabilityZones=[f"{REGION}a"], **classic, **some(Tags=listed)
        )
        modern = self.elbv2.create_load_balancer(
            Name=f"{label}-lb", Subnets=[network["subnet"]], Type="network", **some(Tags=listed)
        )["LoadBalancers"][0]["LoadBalancerArn"]
        group = self.elbv2.create_target_group(
            Name=f"{label}-tg", Protocol="TCP", Port=80, VpcId=network["VPC"], **some(Tags=listed)
        )["TargetGroups"][0]["TargetGroupArn"]
        return {"classic load balancer": f"{label}-classic", "load balancer": modern, "target group": group}

    def storage(self, label: str, tags: Tags) -> dict[str, str]:
        bucket = f"grid-{label}-bucket"
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for body in (b"one", b"two"):
            self.s3.put_object(Bucket=bucket, Key="data", Body=body)
        if tags:
            self.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs(tags)})
        self.logs.create_log_group(logGroupName=f"/aws/eks/{label}/cluster", tags=dict(tags))
        queue = self.sqs.create_queue(QueueName=f"{label}-queue", tags=dict(tags))["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        topic = self.sns.create_topic(Name=f"{label}-topic", Tags=pairs(tags))["TopicArn"]
        image = self.ecr.create_repository(repositoryName=f"{label}/images", tags=pairs(tags))["repository"]
        return {
            "bucket": bucket, "log group": f"/aws/eks/{label}/cluster", "queue": attributes["QueueArn"],
            "topic": topic, "repository": image["repositoryArn"],
        }  # fmt: skip

    def identity(self, label: str, tags: Tags) -> dict[str, str]:
        iam, listed = self.iam, pairs(tags)
        role = f"{label}-node"
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST, Tags=listed)
        policy = iam.create_policy(PolicyName=f"{label}-extra", PolicyDocument=POLICY, Tags=listed)["Policy"]["Arn"]
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=POLICY, SetAsDefault=True)
        iam.attach_role_policy(RoleName=role, PolicyArn=policy)
        iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy")
        iam.put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=POLICY)
        iam.create_instance_profile(InstanceProfileName=f"{label}-profile", Tags=listed)
        iam.add_role_to_instance_profile(InstanceProfileName=f"{label}-profile", RoleName=role)
        issuer = iam.create_open_id_connect_provider(
            Url=f"https://oidc.eks.{REGION}.amazonaws.com/id/{label}", ThumbprintList=["a" * 40], Tags=listed
        )["OpenIDConnectProviderArn"]
        return {"role": role, "policy": policy, "instance profile": f"{label}-profile", "OIDC provider": issuer}


def pairs(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def spec(kind: str, tags: Tags) -> dict[str, Any]:
    """EC2's way to tag at creation."""
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": pairs(tags)}]} if tags else {}


def some(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not empty: some services refuse an empty list."""
    return {key: value for key, value in arguments.items() if value}
