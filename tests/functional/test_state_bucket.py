"""The bucket for Terraform's state, made and put right at a local S3 that is reached over TLS, as the real one is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.stub import Stubber
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from gridbyoc.aws import (
    AwsSession,
    StateBucket,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
    read_object,
    read_state_lock,
    remove_object,
    write_object,
)
from gridbyoc.errors import AwsError
from gridbyoc.sandbox.running import make_tls_files
from gridbyoc.stack.model import S3Backend

ACCOUNT = "123456789012"
PROPERTIES = ["object ownership", "public access block", "encryption", "versioning", "policy", "tags"]
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An AWS configuration file that leads to the local S3."""
    directory = tmp_path_factory.mktemp("tls")
    tls = make_tls_files(directory)
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=(str(tls.certificate), str(tls.key)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = directory / "config"
    file.write_text(
        f"[default]\nendpoint_url = https://127.0.0.1:{server.port}\nca_bundle = {tls.ca}\n"
        "aws_access_key_id = test\naws_secret_access_key = test\n"
    )
    yield file
    server.shutdown()


def session_in(config: Path, region: str) -> AwsSession:
    core = botocore.session.Session()
    core.set_config_variable("config_file", str(config))
    core.set_config_variable("credentials_file", str(config))
    core.set_config_variable("ca_bundle", str(config.with_name("ca.pem")))
    return AwsSession(boto3.session.Session(botocore_session=core, region_name=region), region)


def bucket(name: str, region: str = "eu-west-1") -> StateBucket:
    return StateBucket(name, region, ACCOUNT, "aws")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_bucket_is_made_whole_and_left_alone_the_second_time(config: Path, region: str) -> None:
    session, wanted = session_in(config, region), bucket(f"made-in-{region}", region)
    assert reached_over_tls(session)
    assert look_at_bucket(session, wanted) is None
    made = make_bucket(session, wanted)
    assert [setting.name for setting in made] == PROPERTIES
    looked = look_at_bucket(session, wanted)
    assert looked is not None
    assert all(setting.in_order for setting in looked)
    assert all(setting.in_order for setting in make_bucket(session, wanted))

    s3 = session.client("s3")
    assert s3.get_bucket_location(Bucket=wanted.name)["LocationConstraint"] == (
        None if region == "us-east-1" else region
    )
    assert s3.get_bucket_versioning(Bucket=wanted.name)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=wanted.name)["PublicAccessBlockConfiguration"].values())
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=wanted.name)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == [f"arn:aws:s3:::{wanted.name}", f"arn:aws:s3:::{wanted.name}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (rule,) = s3.get_bucket_ownership_controls(Bucket=wanted.name)["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"


def test_what_is_there_is_put_right_and_nothing_else(config: Path) -> None:
    session, wanted = session_in(config, "eu-west-1"), bucket("was-there")
    s3 = session.client("s3")
    s3.create_bucket(Bucket=wanted.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    theirs |= {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{wanted.name}"}
    s3.put_bucket_policy(Bucket=wanted.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    s3.put_bucket_tagging(Bucket=wanted.name, Tagging={"TagSet": [{"Key": "team", "Value": "ml"}]})
    s3.put_bucket_versioning(Bucket=wanted.name, VersioningConfiguration={"Status": "Suspended"})
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": kms}]}
    s3.put_bucket_encryption(Bucket=wanted.name, ServerSideEncryptionConfiguration=rules)

    before = look_at_bucket(session, wanted)
    assert before is not None
    assert [setting.name for setting in before if setting.in_order] == ["encryption"]
    assert make_bucket(session, wanted) == before
    assert all(setting.in_order for setting in look_at_bucket(session, wanted) or ())
    statements = json.loads(s3.get_bucket_policy(Bucket=wanted.name)["Policy"])["Statement"]
    assert statements[0] == theirs
    assert len(statements) == 2
    assert {tag["Key"] for tag in s3.get_bucket_tagging(Bucket=wanted.name)["TagSet"]} == {"team", "gridbyoc:purpose"}


def test_a_key_of_ones_own_is_taken_and_recognised(config: Path) -> None:
    session, wanted = session_in(config, "eu-west-1"), replace(bucket("with-key"), kms_key_id=KEY)
    make_bucket(session, wanted)
    (rule,) = session.client("s3").get_bucket_encryption(Bucket=wanted.name)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    by_id = replace(wanted, kms_key_id=KEY.rpartition("/")[2])
    other = replace(wanted, kms_key_id=KEY.replace("1111", "9999"))
    for asked, good in ((by_id, True), (replace(wanted, kms_key_id=None), True), (other, False)):
        looked = {setting.name: setting.in_order for setting in look_at_bucket(session, asked) or ()}
        assert looked["encryption"] is good


def test_a_bucket_elsewhere_is_not_taken(config: Path) -> None:
    make_bucket(session_in(config, "us-west-2"), bucket("elsewhere", "us-west-2"))
    with pytest.raises(AwsError, match="is in us-west-2, not in eu-west-1") as caught:
        look_at_bucket(session_in(config, "eu-west-1"), bucket("elsewhere"))
    assert "--region us-west-2" in caught.value.fix


class OneClient:
    """A boto3 session that hands out one client, to be stubbed: the local S3 knows one account alone."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")

    def client(self, _service: str, **_options: object) -> Any:
        return self.s3


@pytest.mark.parametrize("code", ["403", "AccessDenied"])
def test_a_bucket_of_somebody_else_is_refused_in_words(code: str) -> None:
    boto = OneClient()
    with Stubber(boto.s3) as stub:
        stub.add_client_error("head_bucket", code, http_status_code=403)
        with pytest.raises(AwsError, match="may not look at it") as caught:
            look_at_bucket(AwsSession(boto, "eu-west-1"), bucket("theirs"))  # type: ignore[arg-type]  # one method of it
    assert "another name with --bucket" in caught.value.fix


@pytest.mark.parametrize("code, match", [("BucketAlreadyExists", "may not look at it"), ("TooManyBuckets", "created")])
def test_a_name_that_is_taken_meanwhile_and_a_full_account_are_told(code: str, match: str) -> None:
    boto = OneClient()
    with Stubber(boto.s3) as stub:
        stub.add_client_error("head_bucket", "404", http_status_code=404)
        stub.add_client_error("create_bucket", code, http_status_code=409)
        with pytest.raises(AwsError, match=match):
            make_bucket(AwsSession(boto, "eu-west-1"), bucket("taken"))  # type: ignore[arg-type]  # one method of it


@pytest.mark.parametrize("call", ["head_bucket", "get_bucket_ownership_controls"])
def test_what_may_not_be_read_is_told(call: str) -> None:
    boto = OneClient()
    with Stubber(boto.s3) as stub:
        if call != "head_bucket":
            stub.add_response("head_bucket", {})
        stub.add_client_error(call, "SlowDown", http_status_code=503)
        with pytest.raises(AwsError, match="could not be"):
            look_at_bucket(AwsSession(boto, "eu-west-1"), bucket("slow"))  # type: ignore[arg-type]  # one method of it


def test_the_lock_is_read_from_the_object_or_the_table(config: Path) -> None:
    session, wanted = session_in(config, "us-east-1"), bucket("locks", "us-east-1")
    session.client("s3").create_bucket(Bucket=wanted.name)
    dynamodb = session.client("dynamodb")
    dynamodb.create_table(
        TableName="locks", KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    assert read_state_lock(session, wanted.name, "k", table="locks") is None
    dynamodb.put_item(TableName="locks", Item={"LockID": {"S": "locks/k-md5"}, "Digest": {"S": "d"}})
    assert read_state_lock(session, wanted.name, "k", table="locks") is None
    dynamodb.put_item(TableName="locks", Item={"LockID": {"S": "locks/k"}, "Info": {"S": '{"ID": "t"}'}})
    assert read_state_lock(session, wanted.name, "k", table="locks") == b'{"ID": "t"}'
    assert read_state_lock(session, wanted.name, "k") is None
    session.client("s3").put_object(Bucket=wanted.name, Key="k.tflock", Body=b'{"ID": "o"}')
    assert read_state_lock(session, wanted.name, "k", table="locks") == b'{"ID": "o"}'
    with pytest.raises(AwsError, match="could not be read"):
        read_state_lock(session, "no-such-bucket", "k")


def test_an_object_beside_a_state_is_written_only_over_what_was_read(config: Path) -> None:
    session = session_in(config, "us-east-1")
    session.client("s3").create_bucket(Bucket="beside")
    place = S3Backend("beside", "k", "us-east-1", kms_key_id=KEY)
    assert read_object(session, "beside", "k.json") is None
    assert write_object(session, place, "k.json", "1", replaces=None)
    first = read_object(session, "beside", "k.json")
    assert first is not None
    assert first.content == b"1"
    assert session.client("s3").head_object(Bucket="beside", Key="k.json")["SSEKMSKeyId"] == KEY
    assert not write_object(session, place, "k.json", "2", replaces=None)
    assert write_object(session, place, "k.json", "3", replaces=first)
    assert not write_object(session, place, "k.json", "4", replaces=first)
    last = read_object(session, "beside", "k.json")
    assert last is not None
    assert last.content == b"3"
    remove_object(session, "beside", "k.json")
    assert not write_object(session, place, "k.json", "5", replaces=last)
    assert read_object(session, "beside", "k.json") is None
