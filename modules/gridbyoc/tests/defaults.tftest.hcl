mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn  = "arn:aws:iam::123456789012:role/grid-cloud-20260101"
      name = "grid-cloud-20260101"
    }
  }

  mock_resource "aws_iam_policy" {
    defaults = {
      arn = "arn:aws:iam::123456789012:policy/grid-cloud-20260101"
    }
  }
}

run "defaults" {
  command = apply

  assert {
    condition     = aws_iam_role.this.name_prefix == "grid-cloud-"
    error_message = "The role's name must be generated from grid-cloud-."
  }

  assert {
    condition     = aws_iam_role.this.max_session_duration == 43200
    error_message = "A session must last 12 hours."
  }

  assert {
    condition     = aws_iam_role.this.path == "/" && aws_iam_policy.this[0].path == "/"
    error_message = "Role and policy must have the path /."
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == null
    error_message = "There must be no boundary."
  }

  assert {
    condition     = aws_iam_role.this.force_detach_policies
    error_message = "A policy that somebody else attached must not prevent destroying the role."
  }

  assert {
    condition     = length(jsondecode(nonsensitive(aws_iam_role.this.assume_role_policy)).Statement) == 1
    error_message = "Only the control plane may assume the role."
  }

  assert {
    condition = nonsensitive(jsondecode(aws_iam_role.this.assume_role_policy)).Statement[0] == {
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = ["arn:aws:iam::302180240179:root"] }
      Condition = { StringEquals = { "sts:ExternalId" = [nonsensitive(output.external_id)] } }
    }
    error_message = "The control plane's account must be trusted with the external id."
  }

  assert {
    condition     = can(regex("^[0-9a-f]{32}$", nonsensitive(output.external_id)))
    error_message = "The generated external id must be 32 hexadecimal digits."
  }

  assert {
    condition     = issensitive(aws_iam_role.this.assume_role_policy) && issensitive(terraform_data.this.triggers_replace)
    error_message = "The generated external id must be sensitive everywhere."
  }

  assert {
    condition = jsondecode(aws_iam_policy.this[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["eks:*", "ecr:*", "events:*"]
        Resource = ["*"]
      }]
    }
    error_message = "The own policy must allow eks, ecr and events."
  }

  assert {
    condition     = aws_iam_policy.this[0].name == aws_iam_role.this.name
    error_message = "The own policy must have the role's name."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.this[0].policy_arn == aws_iam_policy.this[0].arn
    error_message = "The own policy must be attached."
  }

  assert {
    condition = toset([for a in aws_iam_role_policy_attachment.managed : a.policy_arn]) == toset([
      "arn:aws:iam::aws:policy/AmazonEC2FullAccess",
      "arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess_v2",
      "arn:aws:iam::aws:policy/AmazonRoute53ResolverFullAccess",
      "arn:aws:iam::aws:policy/AmazonS3FullAccess",
      "arn:aws:iam::aws:policy/AmazonSNSFullAccess",
      "arn:aws:iam::aws:policy/AmazonSQSFullAccess",
      "arn:aws:iam::aws:policy/AmazonVPCFullAccess",
      "arn:aws:iam::aws:policy/CloudWatchLogsFullAccess",
      "arn:aws:iam::aws:policy/IAMFullAccess",
    ])
    error_message = "The nine managed policies must be attached."
  }

  assert {
    condition     = output.role_arn == aws_iam_role.this.arn && output.role_name == aws_iam_role.this.name
    error_message = "The outputs must be the role's."
  }

  assert {
    condition     = length(output.policy_arns) == 10 && contains(output.policy_arns, aws_iam_policy.this[0].arn)
    error_message = "policy_arns must contain every attached policy, including the role's own."
  }
}

run "override_and_overlap" {
  command = apply

  variables {
    external_id           = "chosen-by-hand"
    external_id_rotation  = "2026-11"
    previous_external_ids = ["older-one", "chosen-by-hand"]
  }

  assert {
    condition     = nonsensitive(output.external_id) == "chosen-by-hand"
    error_message = "The override must win over the generated one."
  }

  assert {
    condition = nonsensitive(jsondecode(aws_iam_role.this.assume_role_policy)).Statement[0].Condition.StringEquals == {
      "sts:ExternalId" = ["chosen-by-hand", "older-one"]
    }
    error_message = "Current and earlier external ids must be accepted, each once."
  }
}

run "rotated_and_nulls_mean_defaults" {
  command = apply

  variables {
    role_name                              = null
    role_name_prefix                       = null
    path                                   = null
    permissions_boundary                   = null
    max_session_duration                   = null
    trusted_account_id                     = null
    trust_account_root                     = null
    external_id                            = null
    external_id_rotation                   = "2026-11"
    previous_external_ids                  = null
    trusted_principals                     = null
    trusted_principals_without_external_id = null
    managed_policies                       = null
    policy_statements                      = null
    tags                                   = null
  }

  assert {
    condition     = nonsensitive(output.external_id != run.defaults.external_id)
    error_message = "A changed trigger must generate a new external id."
  }

  assert {
    condition     = can(regex("^[0-9a-f]{32}$", nonsensitive(output.external_id)))
    error_message = "The new external id must be 32 hexadecimal digits."
  }

  assert {
    condition = (
      aws_iam_role.this.name_prefix == "grid-cloud-" &&
      aws_iam_role.this.path == "/" &&
      aws_iam_role.this.max_session_duration == 43200 &&
      length(aws_iam_role_policy_attachment.managed) == 9 &&
      length(aws_iam_policy.this) == 1 &&
      length(jsondecode(nonsensitive(aws_iam_role.this.assume_role_policy)).Statement) == 1
    )
    error_message = "A null must mean the default."
  }
}

run "stays_after_rotation" {
  command = apply

  variables {
    external_id_rotation = "2026-11"
  }

  assert {
    condition     = nonsensitive(output.external_id == run.rotated_and_nulls_mean_defaults.external_id)
    error_message = "The external id must not change while the trigger stays the same."
  }
}
