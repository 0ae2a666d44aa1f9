"""Bad stack files: each with the line, the path and the words that the user sees."""

from __future__ import annotations

import pytest

from gridbyoc.errors import ExitStatus, Problem, StackError
from tests.unit.stack_helpers import CLUSTERS, HEAD, problems_of, stack_of

ROLE = HEAD + CLUSTERS + "role:\n  "  # its keys stand in line 5
AWS = HEAD + CLUSTERS + "aws:\n  "
PLANE = HEAD + CLUSTERS + "control_plane:\n  "
TERRAFORM = HEAD + CLUSTERS + "terraform:\n  "
S3 = HEAD + CLUSTERS + "terraform:\n  backend:\n    s3: {bucket: acme-state, key: k, "  # line 6
MODULE = TERRAFORM + "module: {"
CLUSTER = HEAD + "clusters:\n  - "  # line 4
TYPES = HEAD + "clusters:\n  - name: ml\n    instance_types: ["  # line 5
BOUNDARY = ROLE + "permissions_boundary: "
EXTERNAL_ID = "role.external_id_from"

# text, line, path, words of the message or hint
BAD = [
    # the text itself
    ("", None, "", "is empty"),
    ("# only a comment\n", None, "", "`gridbyoc new` writes a starter"),
    ("- a\n", 1, "", "must be a mapping, not a list"),
    ("just words\n", 1, "", "must be a mapping, not text"),
    ("version: 1\nname:\n\tx: 1\n", 3, "", "a tab is used for indentation"),
    ("version: 1\nname: [a\n", 3, "", "is not valid YAML"),
    ("version: 1\nname: a: b\n", 2, "", "quote a value that holds `: `"),
    ("version: 1\n---\nname: a\n", 2, "", "more than one document"),
    ("version: 1\nname: !!python/object:os.system x\n", 2, "", "remove the tag"),
    ("version: 1\nname: !mine x\n", 2, "", "tag"),
    ("version: 1\nname: *gone\n", 2, "", "`*gone`, which has no anchor"),
    ("a: &a [*a]\n", 1, "", "no anchor before it|contains the alias itself"),
    ("? [a]\n: b\n", 1, "", "a key must be text"),
    ("a: 1\n<<: 3\n", 2, "", "`<<` takes a mapping"),
    ('name: "\\ud800"\n', 1, "", "half a character"),
    ('name: "\\U0011ffff"\n', None, "", "cannot be read as YAML (ValueError)"),
    ("a: \x01\n", None, "", "a character that YAML does not allow"),
    ("%YAML 9.9\n---\na: 1\n", 1, "", "not valid YAML"),
    ("a: " + "[" * 60 + "]" * 60, 1, "", "nested more than 40 levels deep"),
    (HEAD + "name: other\n" + CLUSTERS, 3, "name", "twice, first in line 2"),
    ("version: 1\nversion: 1\n" + CLUSTERS, 2, "version", "keep one of them"),
    # the shape
    ("name: ml\n" + CLUSTERS, 1, "", "`version` is missing"),
    ("version: 1\n" + CLUSTERS, 1, "", "write `name: my-stack`"),
    (HEAD, 1, "", "`clusters` is missing"),
    ("version: 2\nname: ml\n" + CLUSTERS, 1, "version", "must be `1`"),
    ('version: "1"\nname: ml\n' + CLUSTERS, 1, "version", "without quotes"),
    ("version: true\nname: ml\n" + CLUSTERS, 1, "version", "must be a whole number, not a boolean"),
    (HEAD + CLUSTERS + "clutsers: []\n", 4, "clutsers", "did you mean `clusters`?"),
    (HEAD + CLUSTERS + "zzz: 1\n", 4, "zzz", "allowed: version, name, protect, aws"),
    (HEAD + "clusters: {name: ml}\n", 3, "clusters", "must be a list, not a mapping"),
    (HEAD + "clusters:\n", 3, "clusters", "is empty; it must be a list"),
    (HEAD + "clusters: [ml]\n", 3, "clusters[0]", "must be a mapping, not text"),
    (HEAD + "clusters: [{}]\n", 3, "clusters[0]", "`name` is missing"),
    (CLUSTER + "{name: ml, instance_type: t2.medium}\n", 4, "clusters[0].instance_type", "`instance_types`"),
    (CLUSTER + "{name: ml, cost_savings: true}\n", 4, "clusters[0].cost_savings", "performance_profile: cost-saving"),
    (CLUSTER + "{name: 1}\n", 4, "clusters[0].name", 'write it in quotes: "1"'),
    (CLUSTER + "{name: }\n", 4, "clusters[0].name", "give it a value, or remove the key"),
    (CLUSTER + "{name: ml, performance_profile: saving}\n", 4, "clusters[0].performance_profile", "`cost-saving`"),
    (CLUSTER + "{name: ml, performance_profile: 3}\n", 4, "clusters[0].performance_profile", "must be"),
    (AWS + "Session-Token: x\n", 5, "aws.Session-Token", "unknown key"),
    (AWS + "access_key: x\n", 5, "aws.access_key", "secrets do not belong in a stack file"),
    # names
    ("version: 1\nname: ML Prod\n" + CLUSTERS, 2, "name", "cannot be a stack's name"),
    ("version: 1\nname: ..\n" + CLUSTERS, 2, "name", "1 to 63 of a-z"),
    ("version: 1\nname: a/b\n" + CLUSTERS, 2, "name", "beginning and ending with a letter or digit"),
    ("version: 1\nname: " + "a" * 64 + "\n" + CLUSTERS, 2, "name", "1 to 63"),
    (CLUSTER + "name: ml.prod\n", 4, "clusters[0].name", "for instance `ml-prod`"),
    (CLUSTER + "name: -ml\n", 4, "clusters[0].name", "no `-` at either end"),
    (CLUSTER + "name: ML\n", 4, "clusters[0].name", "of type `grid`"),
    (CLUSTER + 'name: "ml\\n"\n', 4, "clusters[0].name", "cannot be a cluster's name"),
    (CLUSTER + f"name: {'a' * 64}\n", 4, "clusters[0].name", "has 64 characters; at most 63"),
    (CLUSTER + "name: ml\n  - name: ml\n", 5, "clusters[1].name", "is the name of clusters[0] as well"),
    # aws
    (AWS + "region: us-west-2a\n", 5, "aws.region", "write `us-west-2`"),
    (AWS + "region: us-west-2-lax-1a\n", 5, "aws.region", "is a zone, not a region"),
    (AWS + "region: usw2-az1\n", 5, "aws.region", "write `us-west-2`"),
    (AWS + "region: us-wset-2\n", 5, "aws.region", "did you mean `us-west-2`?"),
    (AWS + "region: US-WEST-2\n", 5, "aws.region", "write `us-west-2`"),
    (AWS + "region: aws-global\n", 5, "aws.region", "is not a known AWS region"),
    (AWS + "account_id: 012345678901\n", 5, "aws.account_id", 'write it in quotes: "012345678901"'),
    (AWS + "account_id: 123456789012\n", 5, "aws.account_id", 'write it in quotes: "123456789012"'),
    (AWS + 'account_id: "1234"\n', 5, "aws.account_id", "an account id has 12 digits"),
    (AWS + 'account_id: "1234-5678-9012"\n', 5, "aws.account_id", 'write "123456789012"'),
    (AWS + 'profile: " "\n', 5, "aws.profile", "is not a profile's name"),
    (AWS + "profile: 7\n", 5, "aws.profile", 'write it in quotes: "7"'),
    # role
    (ROLE + "external_id: CANARY\n", 5, "role.external_id", "external_id_from: {env: VARIABLE}"),
    (ROLE + "role_arn: x\n", 5, "role.role_arn", "gridbyoc register --role-arn"),
    (ROLE + "name: a b\n", 5, "role.name", "1 to 64 letters"),
    (ROLE + f"name: {'a' * 65}\n", 5, "role.name", "has 65 characters; at most 64"),
    (ROLE + "name: rôle\n", 5, "role.name", "letters, digits and `_+=,.@-`"),
    (ROLE + f"name_prefix: {'a' * 39}\n", 5, "role.name_prefix", "at most 38"),
    (ROLE + "name: a\n  name_prefix: b\n", 6, "role.name_prefix", "keep one of the two"),
    (ROLE + "path: platform\n", 5, "role.path", "write `/platform/`"),
    (ROLE + "path: /a b/\n", 5, "role.path", "has no spaces"),
    (ROLE + f"path: /{'a' * 520}/\n", 5, "role.path", "at most 512"),
    (ROLE + "max_session_hours: 13\n", 5, "role.max_session_hours", "is 13; allowed is 1 to 12"),
    (ROLE + "max_session_hours: 0\n", 5, "role.max_session_hours", "allowed is 1 to 12"),
    (ROLE + "max_session_hours: 1.5\n", 5, "role.max_session_hours", "must be a whole number"),
    (ROLE + 'max_session_hours: "12"\n', 5, "role.max_session_hours", "write it without quotes"),
    (ROLE + "trusted_account_id: 302180240179\n", 5, "role.trusted_account_id", "in quotes"),
    (ROLE + "rotation: 2\n", 5, "role.rotation", 'write it in quotes: "2"'),
    (ROLE + 'rotation: ""\n', 5, "role.rotation", "Any text"),
    (BOUNDARY + "boundary\n", 5, "role.permissions_boundary", "is not an ARN"),
    (BOUNDARY + "arn:aws:iam::123456789012:role/x\n", 5, "role.permissions_boundary", "not the ARN of a policy"),
    (BOUNDARY + "arn:aws:iam::12:policy/x\n", 5, "role.permissions_boundary", "not the ARN of a policy"),
    (BOUNDARY + "arn:aws:s3:::policy/x\n", 5, "role.permissions_boundary", "not the ARN of a policy"),
    (BOUNDARY + "arn:aws-cn:iam::123456789012:policy/x\n", 5, "role.permissions_boundary", "begin with `arn:aws:`"),
    (
        HEAD + CLUSTERS + 'aws: {account_id: "111111111111"}\n'
        "role: {permissions_boundary: arn:aws:iam::222222222222:policy/x}\n",
        5,
        "role.permissions_boundary",
        "is a policy of account 222222222222, but the stack's account is `111111111111`",
    ),
    (ROLE + 'trusted_principals: ["*"]\n', 5, "role.trusted_principals[0]", "would trust every principal"),
    (
        ROLE + "trusted_principals: ['arn:aws:iam::1:root', &r arn:aws:iam::123456789012:root, *r]\n",
        5,
        "role.trusted_principals[2]",
        "appears twice",
    ),
    (ROLE + 'trusted_principals: ["123456789012"]\n', 5, "role.trusted_principals[0]", "123456789012:root"),
    (
        ROLE + "trusted_principals: [arn:aws:iam::123456789012:group/x]\n",
        5,
        "role.trusted_principals[0]",
        "not the ARN",
    ),
    (
        ROLE + "trusted_principals: [arn:aws:sts::123456789012:assumed-role/ci/me]\n",
        5,
        "role.trusted_principals[0]",
        "write `arn:aws:iam::123456789012:role/ci`",
    ),
    (ROLE + "trusted_principals: [someone]\n", 5, "role.trusted_principals[0]", "is not an ARN"),
    (ROLE + "trusted_principals: arn:x\n", 5, "role.trusted_principals", "must be a list, not text"),
    (
        ROLE
        + "trusted_principals: &p [arn:aws:iam::123456789012:root]\n  trusted_principals_without_external_id: *p\n",
        5,
        "role.trusted_principals_without_external_id[0]",
        "keep one of the two",
    ),
    (ROLE + "managed_policies: [AmazonGuardDutyFullAccess]\n", 5, "role.managed_policies[0]", "FullAccess_v2`"),
    (
        ROLE + "managed_policies: [arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess]\n",
        5,
        "role.managed_policies[0]",
        "write `arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess_v2`",
    ),
    (ROLE + "managed_policies: [A, arn:aws:iam::aws:policy/A]\n", 5, "role.managed_policies[1]", "twice"),
    (ROLE + "managed_policies: ['arn:aws:iam::aws:role/x']\n", 5, "role.managed_policies[0]", "ARN of a policy"),
    (ROLE + "managed_policies: [Amazon S3]\n", 5, "role.managed_policies[0]", "is not a policy"),
    (ROLE + f"managed_policies: [{', '.join(f'p{n}' for n in range(21))}]\n", 5, "role.managed_policies", "at most 20"),
    (ROLE + "known_policies: [AmazonS3FullAccess]\n", 5, "role.known_policies[0]", "give a policy's ARN"),
    (ROLE + "known_policies: ['arn:aws:iam::aws:role/x']\n", 5, "role.known_policies[0]", "ARN of a policy"),
    (ROLE + "known_policies: ['arn:aws:iam::aws:policy/*']\n", 5, "role.known_policies[0]", "ARN of a policy"),
    (
        ROLE + "known_policies: ['arn:aws-cn:iam::aws:policy/x']\n",
        5,
        "role.known_policies[0]",
        "the partition `aws-cn`",
    ),
    (
        ROLE + "known_policies: [&p 'arn:aws:iam::aws:policy/x', *p]\n",
        5,
        "role.known_policies[1]",
        "appears twice",
    ),
    (
        ROLE + "known_policies: ['arn:aws:iam::aws:policy/S3']\n  managed_policies: [S3]\n",
        5,
        "role.known_policies[0]",
        "is in `role.managed_policies` as well",
    ),
    (
        ROLE + f"known_policies: [{', '.join(f'p{n}' for n in range(21))}]\n",
        5,
        "role.known_policies[0]",
        "is not an ARN",
    ),
    (ROLE + "known_inline_policies: [a b]\n", 5, "role.known_inline_policies[0]", "not the name of an inline policy"),
    (ROLE + "known_inline_policies: [x, x]\n", 5, "role.known_inline_policies[1]", "appears twice"),
    (ROLE + "exclusive: maybe\n", 5, "role.exclusive", "must be `true` or `false`"),
    (
        ROLE + "exclusive: true\nterraform: {module: {source: /}}\n",
        5,
        "role.exclusive",
        "is a setting of the gridbyoc module",
    ),
    *(
        (
            ROLE + f'exclusive: true\nterraform: {{aws_provider_version: "{version}"}}\n',
            6,
            "terraform.aws_provider_version",
            "no version that `role.exclusive` can use it needs 5.72 or newer",
        )
        for version in ("5.71.0", "= 5.60", "~> 5.60.0", ">= 5.0, < 5.72", "<= 5.71", "~> 4.0", "< 5.72.0")
    ),
    (ROLE + "known_inline_policies: x\n", 5, "role.known_inline_policies", "must be a list, not text"),
    (ROLE + "statements: [{}]\n", 5, "role.statements[0]", "`actions` is missing"),
    (ROLE + 'statements: [{actions: "eks:*"}]\n', 5, "role.statements[0].actions", "a list is written"),
    (ROLE + "statements: [{actions: []}]\n", 5, "role.statements[0].actions", "at least one item"),
    (ROLE + "statements: [{actions: [eks]}]\n", 5, "role.statements[0].actions[0]", "service:Action"),
    (ROLE + "statements: [{actions: ['*'], effect: allow}]\n", 5, "role.statements[0].effect", "`Allow`"),
    (ROLE + "statements: [{actions: ['*'], resources: [b]}]\n", 5, "role.statements[0].resources[0]", "give an ARN"),
    (ROLE + "statements: [{actions: ['*'], sid: a-b}]\n", 5, "role.statements[0].sid", "letters and digits only"),
    (
        ROLE + "statements: [{actions: ['*'], sid: A}, {actions: ['*'], sid: A}]\n",
        5,
        "role.statements[1].sid",
        "appears twice",
    ),
    (
        ROLE + "statements: [{actions: ['*'], resources: ['arn:aws-cn:s3:::x']}]\n",
        5,
        "role.statements[0].resources[0]",
        "in the partition `aws-cn`",
    ),
    (ROLE + "tags: {AWS:x: a}\n", 5, 'role.tags["AWS:x"]', "AWS reserves"),
    (ROLE + "tags: {x: 'aws:y'}\n", 5, "role.tags.x", "AWS reserves"),
    (ROLE + "tags: {x: 42}\n", 5, "role.tags.x", 'write it in quotes: "42"'),
    (ROLE + "tags: {Team: a, team: b}\n", 5, "role.tags.team", "only in case"),
    (ROLE + "tags: {'a!': b}\n", 5, 'role.tags["a!"]', "the key contains `!`"),
    (ROLE + "tags: {a: 'b<c>'}\n", 5, "role.tags.a", "contains `<`, `>`"),
    (ROLE + "tags: {'': b}\n", 5, 'role.tags[""]', "key is empty"),
    (ROLE + f"tags: {{{'k' * 129}: b}}\n", 5, f"role.tags.{'k' * 129}", "at most 128"),
    (ROLE + f"tags: {{k: {'v' * 257}}}\n", 5, "role.tags.k", "at most 256"),
    (ROLE + f"tags: {{{', '.join(f'k{n}: v' for n in range(51))}}}\n", 5, "role.tags", "at most 50"),
    (ROLE + "external_id_from: {}\n", 5, EXTERNAL_ID, "give one of `env` or `file`"),
    (ROLE + "external_id_from: {env: A, file: b}\n", 5, EXTERNAL_ID, "holds more than one"),
    (ROLE + "external_id_from: {evn: A}\n", 5, f"{EXTERNAL_ID}.evn", "did you mean `env`?"),
    (ROLE + "external_id_from: {env: GONE}\n", 5, f"{EXTERNAL_ID}.env", "`GONE` is not set"),
    (ROLE + "external_id_from: {file: gone}\n", 5, f"{EXTERNAL_ID}.file", "No such file"),
    # instance types
    (TYPES + "t4g.medium]\n", 5, "clusters[0].instance_types[0]", "the nearest amd64 type is `t3.medium`"),
    (TYPES + "{name: m7gd.large}]\n", 5, "clusters[0].instance_types[0].name", "`m7i.large`"),
    (TYPES + "t2medium]\n", 5, "clusters[0].instance_types[0]", "did you mean `t2.medium`?"),
    (TYPES + "T2.Medium]\n", 5, "clusters[0].instance_types[0]", "write `t2.medium`"),
    (TYPES + "t2.mediun]\n", 5, "clusters[0].instance_types[0]", "did you mean `t2.medium`?"),
    (TYPES + "t2.medium, t2.medium]\n", 5, "clusters[0].instance_types[1]", "appears twice"),
    (TYPES + "3]\n", 5, "clusters[0].instance_types[0]", "must be an instance type, not a number"),
    (TYPES + "~]\n", 5, "clusters[0].instance_types[0]", "must be an instance type, not empty"),
    (TYPES + "{}]\n", 5, "clusters[0].instance_types[0]", "`name` is missing"),
    (TYPES + "{name: t2.medium, size: 3}]\n", 5, "clusters[0].instance_types[0].size", "unknown key `size`"),
    (
        TYPES + "{name: t2.medium, overprovisioned_ondemand_count: -1}]\n",
        5,
        "clusters[0].instance_types[0].overprovisioned_ondemand_count",
        "is -1; allowed is 0 or more",
    ),
    (
        TYPES + "{name: t2.medium, root_volume_size: 20000}]\n",
        5,
        "clusters[0].instance_types[0].root_volume_size",
        "allowed is 1 to 16384",
    ),
    (HEAD + "clusters: [{name: ml, instance_types: t2.medium}]\n", 3, "clusters[0].instance_types", "must be a list"),
    (HEAD + "clusters: [{name: ml, instance_types: []}]\n", 3, "clusters[0].instance_types", "is empty"),
    # control plane
    (PLANE + "type: lightnig\n", 5, "control_plane.type", "did you mean `lightning`?"),
    (PLANE + "url: platform.grid.ai\n", 5, "control_plane.url", "is not an http(s) address"),
    (PLANE + "url: ftp://x\n", 5, "control_plane.url", "is not an http(s) address"),
    (PLANE + "url: https://\n", 5, "control_plane.url", "is not an http(s) address"),
    (PLANE + "url: https://x:99999\n", 5, "control_plane.url", "is not an http(s) address"),
    (PLANE + "url: https://u:CANARY@x\n", 5, "control_plane.url", "contains a user or password"),
    (PLANE + "url: https://x?a=b\n", 5, "control_plane.url", "more than scheme, host and path"),
    (PLANE + "ca_bundle: gone.pem\n", 5, "control_plane.ca_bundle", "there is no file `/nonexistent-home/gone.pem`"),
    (PLANE + "ca_bundle: /\n", 5, "control_plane.ca_bundle", "is a directory"),
    (PLANE + 'ca_bundle: " "\n', 5, "control_plane.ca_bundle", "is not a path"),
    (PLANE + "org_id: x\n", 5, "control_plane.org_id", "has no organizations"),
    (
        HEAD + "control_plane: {type: lightning}\nclusters: [{name: ml, performance_profile: default}]\n",
        4,
        "clusters[0].performance_profile",
        "`lightning` has no performance profiles",
    ),
    (
        HEAD + "control_plane: {type: lightning}\nclusters: [{name: ml.prod}]\n",
        4,
        "clusters[0].name",
        "allowed: 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end; for instance `ml-prod`",
    ),
    # terraform
    (TERRAFORM + "backend: {}\n", 5, "terraform.backend", "give one of `local` or `s3`"),
    (TERRAFORM + "backend: {gcs: {}}\n", 5, "terraform.backend.gcs", "unknown key `gcs`"),
    (TERRAFORM + "backend: {local: {path: x}}\n", 5, "terraform.backend.local.path", "nothing is allowed here"),
    (TERRAFORM + "backend: {s3: {key: k}}\n", 5, "terraform.backend.s3", "`bucket` is missing"),
    (TERRAFORM + "backend: {s3: {bucket: A_b, key: k}}\n", 5, "terraform.backend.s3.bucket", "3 to 63 of a-z"),
    (TERRAFORM + "backend: {s3: {bucket: s3://b, key: k}}\n", 5, "terraform.backend.s3.bucket", "not a bucket"),
    (TERRAFORM + "backend: {s3: {bucket: a..b, key: k}}\n", 5, "terraform.backend.s3.bucket", "no two dots"),
    (TERRAFORM + "backend: {s3: {bucket: 10.0.0.1, key: k}}\n", 5, "terraform.backend.s3.bucket", "no IP address"),
    (TERRAFORM + "backend: {s3: {bucket: xn--ab, key: k}}\n", 5, "terraform.backend.s3.bucket", "that AWS reserves"),
    (TERRAFORM + "backend: {s3: {bucket: abc, key: /k}}\n", 5, "terraform.backend.s3.key", "write `k`"),
    (TERRAFORM + 'backend: {s3: {bucket: abc, key: " "}}\n', 5, "terraform.backend.s3.key", "is empty"),
    (TERRAFORM + f"backend: {{s3: {{bucket: abc, key: {'é' * 600}}}}}\n", 5, "terraform.backend.s3.key", "1024"),
    (TERRAFORM + 'backend: {s3: {bucket: abc, key: "a\\tb"}}\n', 5, "terraform.backend.s3.key", "cannot be printed"),
    (S3 + "region: us-west-2b}\n", 6, "terraform.backend.s3.region", "write `us-west-2`"),
    (S3 + "encrypt: maybe}\n", 6, "terraform.backend.s3.encrypt", "must be `true` or `false`"),
    (S3 + "kms_key_id: k}\n", 6, "terraform.backend.s3.kms_key_id", "is not a KMS key"),
    (S3 + "kms_key_id: arn:aws:s3:::b}\n", 6, "terraform.backend.s3.kms_key_id", "not the ARN of a KMS key"),
    (S3 + "kms_key_id: 1234abcd-12ab-34cd-56ef-1234567890ab}\n", 6, "terraform.backend.s3.kms_key_id", "-case UUID"),
    (S3 + "kms_key_id: alias/a.b}\n", 6, "terraform.backend.s3.kms_key_id", "is not a KMS key"),
    (
        S3 + "kms_key_id: arn:aws:kms:us-west-2:123456789012:key/alias/x}\n",
        6,
        "terraform.backend.s3.kms_key_id",
        "not the ARN of a KMS key",
    ),
    (S3 + "dynamodb_table: a b}\n", 6, "terraform.backend.s3.dynamodb_table", "is not a table's name"),
    (S3 + "use_lockfile: true}\n", 6, "terraform.backend.s3.use_lockfile", "unknown key"),
    (TERRAFORM + "aws_provider_version: five\n", 5, "terraform.aws_provider_version", "is not a version constraint"),
    (TERRAFORM + "aws_provider_version: 5.1\n", 5, "terraform.aws_provider_version", 'in quotes: "5.1"'),
    (TERRAFORM + 'aws_provider_version: "~> 4.0"\n', 5, "terraform.aws_provider_version", "it needs 5.0 or newer"),
    (TERRAFORM + "provider_mirror: gone\n", 5, "terraform.provider_mirror", "there is no directory"),
    (TERRAFORM + "workspace: x\n", 5, "terraform.workspace", "one stack, one state"),
    (MODULE + "}\n", 5, "terraform.module", "`source` is missing"),
    (MODULE + "source: a/b/c}\n", 5, "terraform.module", "a registry address needs a `version`"),
    (MODULE + "source: ./gone}\n", 5, "terraform.module.source", "there is no directory"),
    (MODULE + "source: what}\n", 5, "terraform.module.source", "is not a module source"),
    (MODULE + 'source: "a\\nb"}\n', 5, "terraform.module.source", "cannot be printed"),
    (MODULE + 'source: /, version: "1.0"}\n', 5, "terraform.module.version", "only registry addresses have versions"),
    (MODULE + "source: a/b/c, version: new}\n", 5, "terraform.module.version", "is not a version constraint"),
    (MODULE + "source: git::https://u:CANARY@x/y}\n", 5, "terraform.module.source", "contains a user or password"),
    (
        MODULE + "source: /, inputs: {external_id: CANARY}}\n",
        5,
        "terraform.module.inputs.external_id",
        "must not contain an",
    ),
    (MODULE + "source: /, inputs: {count: 1}}\n", 5, "terraform.module.inputs.count", "a Terraform meta-argument"),
    (MODULE + "source: /, inputs: {a b: 1}}\n", 5, 'terraform.module.inputs["a b"]', "not a Terraform identifier"),
    (MODULE + "source: /}\nrole: {name: x}\n", 6, "role.name", "a setting of the gridbyoc module"),
    (
        MODULE + "source: /}\nrole: {external_id_from: {env: X}}\n",
        6,
        "role.external_id_from",
        "terraform.module.inputs",
    ),
]


@pytest.mark.parametrize("text, line, path, words", BAD, ids=[f"{row[2]}: {row[3]}"[:70] for row in BAD])
def test_bad_file(text: str, line: int | None, path: str, words: str) -> None:
    problems = problems_of(text)
    told = [
        (p.file, p.line, p.path) for p in problems if any(word in f"{p.message} {p.hint}" for word in words.split("|"))
    ]
    assert ("<stdin>", line, path) in told, [str(problem) for problem in problems]
    assert "CANARY" not in "".join(map(str, problems))
    assert len(set(problems)) == len(problems)  # each is reported once


@pytest.mark.parametrize(
    "version", ["~> 5.0", ">= 5.0", "5.72.0", "~> 5.72.0", "< 6.0", "<= 6", "!= 5.60.0", "> 5.0", "~> 6"]
)
def test_versions_that_an_exclusive_role_can_use(version: str) -> None:
    text = ROLE + f'exclusive: true\nterraform: {{aws_provider_version: "{version}"}}\n'
    assert stack_of(text).role.exclusive


def test_every_problem_at_once_in_the_order_of_the_file() -> None:
    text = "version: 1\nname: A\naws:\n  region: us-west-2a\n  regoin: x\nclusters:\n  - name: B\n    size: 3\n"
    found = problems_of(text)
    assert [(p.line, p.path) for p in found] == [
        (2, "name"),
        (4, "aws.region"),
        (5, "aws.regoin"),
        (7, "clusters[0].name"),
        (8, "clusters[0].size"),
    ]


def test_problems_of_yaml_do_not_hide_the_others() -> None:
    found = problems_of(HEAD + "name: b\nclusters: [{name: X}]\n")
    assert [p.path for p in found] == ["name", "clusters[0].name"]


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    assert [p.path for p in problems_of("version: 1\nnmae: ml\n" + CLUSTERS)] == ["nmae"]


def test_the_error_says_how_many_and_ends_with_usage() -> None:
    with pytest.raises(StackError, match="has 2 problems") as caught:
        stack_of("version: 1\nname: A\nclusters: [{name: B}]\n")
    assert caught.value.exit_status is ExitStatus.USAGE
    assert caught.value.code == "GBY-S001"
    assert "a re-run is safe" in caught.value.rerun


def test_what_cannot_be_printed_is_not_printed() -> None:
    (problem,) = problems_of('version: 1\nname: "a\\e[31mb"\n' + CLUSTERS)
    assert "\x1b" not in str(problem)
    assert "\\u001b" in str(problem)


def test_long_values_are_cut() -> None:
    (problem,) = problems_of("version: 1\nname: " + "A" * 5000 + "\n" + CLUSTERS)
    assert len(str(problem)) < 400


@pytest.mark.parametrize(
    "data, words",
    [
        (b"a\0b", "binary"),
        (b"name: \xff\n", "not valid UTF-8"),
        ("name: x".encode("utf-16"), "UTF-16"),
        (b"#" * (1024 * 1024 + 1), "larger than 1 MB"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, words: str) -> None:
    (problem,) = problems_of(data)
    assert words in problem.message


def test_aliases_of_aliases_stay_small() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (problem,) = problems_of("\n".join(lines))
    assert "more than 10000 values" in problem.message


def test_a_wall_of_brackets_is_refused_at_once() -> None:
    (problem,) = problems_of("[" * 100_000)
    assert "nested more than" in problem.message


def test_problem_in_words() -> None:
    assert str(Problem("f", 3, "a.b", "is wrong", "try c")) == "f:3: a.b: is wrong (try c)"


def test_a_long_list_is_refused_before_it_is_read_to_its_end() -> None:
    (problem,) = problems_of("a:\n" + "- b\n" * 50_000)
    assert "more than 10000 values" in problem.message
