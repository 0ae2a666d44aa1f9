mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = {
      partition = "aws-us-gov"
    }
  }
}

variables {
  external_id = "an-external-id"
}

run "everything_set" {
  command = plan

  variables {
    role_name                              = "grid-ml-prod"
    path                                   = "/platform/ml/"
    permissions_boundary                   = "arn:aws-us-gov:iam::123456789012:policy/boundary"
    max_session_duration                   = 3600
    trusted_account_id                     = "111122223333"
    trusted_principals                     = ["arn:aws-us-gov:iam::123456789012:role/auditor"]
    trusted_principals_without_external_id = ["arn:aws-us-gov:iam::123456789012:user/ops/ann"]
    managed_policies = [
      "AmazonS3FullAccess",
      "arn:aws-us-gov:iam::aws:policy/AmazonS3FullAccess",
      "job-function/ViewOnlyAccess",
      "arn:aws-us-gov:iam::123456789012:policy/platform/extra",
    ]
    policy_statements = [
      { actions = ["eks:Describe*"] },
      {
        sid       = "Home"
        effect    = "Deny"
        actions   = ["s3:*"]
        resources = ["arn:aws-us-gov:s3:::home/$${aws:username}/*"]
      },
    ]
    tags = { team = "ml", "cost:centre" = "Größe 1" }
  }

  assert {
    condition     = aws_iam_role.this.name == "grid-ml-prod" && aws_iam_policy.this[0].name == "grid-ml-prod"
    error_message = "Role and policy must have the name."
  }

  assert {
    condition     = aws_iam_role.this.path == "/platform/ml/" && aws_iam_policy.this[0].path == "/platform/ml/"
    error_message = "Role and policy must have the path."
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws-us-gov:iam::123456789012:policy/boundary"
    error_message = "The boundary must be on the role."
  }

  assert {
    condition     = aws_iam_role.this.max_session_duration == 3600
    error_message = "The session must last an hour."
  }

  assert {
    condition = (
      aws_iam_role.this.tags == tomap({ team = "ml", "cost:centre" = "Größe 1" }) &&
      aws_iam_policy.this[0].tags == tomap({ team = "ml", "cost:centre" = "Größe 1" })
    )
    error_message = "Role and policy must have the tags."
  }

  assert {
    condition = nonsensitive(jsondecode(aws_iam_role.this.assume_role_policy)).Statement == [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { AWS = ["arn:aws-us-gov:iam::111122223333:root", "arn:aws-us-gov:iam::123456789012:role/auditor"] }
        Condition = { StringEquals = { "sts:ExternalId" = ["an-external-id"] } }
      },
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { AWS = ["arn:aws-us-gov:iam::123456789012:user/ops/ann"] }
      },
    ]
    error_message = "The trust policy must name account and principals, in the provider's partition."
  }

  assert {
    condition     = strcontains(aws_iam_role.this.description, "111122223333")
    error_message = "The role's description must name the trusted account."
  }

  assert {
    condition = { for key, a in aws_iam_role_policy_attachment.managed : key => a.policy_arn } == {
      "AmazonS3FullAccess"                                     = "arn:aws-us-gov:iam::aws:policy/AmazonS3FullAccess"
      "job-function/ViewOnlyAccess"                            = "arn:aws-us-gov:iam::aws:policy/job-function/ViewOnlyAccess"
      "arn:aws-us-gov:iam::123456789012:policy/platform/extra" = "arn:aws-us-gov:iam::123456789012:policy/platform/extra"
    }
    error_message = "Names and ARNs must be attached, each once, in the provider's partition."
  }

  assert {
    condition = jsondecode(aws_iam_policy.this[0].policy).Statement == [
      { Effect = "Allow", Action = ["eks:Describe*"], Resource = ["*"] },
      { Sid = "Home", Effect = "Deny", Action = ["s3:*"], Resource = ["arn:aws-us-gov:s3:::home/$${aws:username}/*"] },
    ]
    error_message = "The own policy must contain the statements, with policy variables unchanged."
  }
}

run "adopted_external_id" {
  command = plan

  variables {
    external_id         = null
    adopted_external_id = "an-adopted-id"
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["sts:ExternalId"] ==
      ["an-adopted-id"]
    )
    error_message = "The trust policy must contain the adopted id, known at plan time."
  }
}

run "own_policy_and_description" {
  command = plan

  variables {
    role_name             = "grid"
    path                  = "/platform/"
    description           = "Made by hand."
    force_detach_policies = false
    policy_name           = "by-hand"
    policy_path           = "/"
    policy_description    = ""
    policy_tags           = {}
    tags                  = { team = "ml" }
  }

  assert {
    condition     = aws_iam_role.this.description == "Made by hand." && !aws_iam_role.this.force_detach_policies
    error_message = "The role must have the description, and other people's policies must stay attached."
  }

  assert {
    condition = (
      aws_iam_policy.this[0].name == "by-hand" && aws_iam_policy.this[0].path == "/" &&
      aws_iam_policy.this[0].description == "" && length(aws_iam_policy.this[0].tags) == 0
    )
    error_message = "The own policy must have its own name, path, description and tags."
  }
}

run "prefix_and_nothing_attached" {
  command = plan

  variables {
    role_name_prefix      = "acme-"
    external_id_rotation  = null
    managed_policies      = []
    policy_statements     = []
    description           = null
    force_detach_policies = null
    policy_name           = null
    policy_path           = null
    policy_description    = null
    policy_tags           = null
    adopted_external_id   = null
  }

  assert {
    condition     = aws_iam_role.this.name_prefix == "acme-"
    error_message = "The generated name must start with the prefix."
  }

  assert {
    condition = (
      length(aws_iam_policy.this) + length(aws_iam_role_policy_attachment.this) +
      length(aws_iam_role_policy_attachment.managed) == 0
    )
    error_message = "No policy must be created or attached."
  }
}

run "principals_without_the_accounts_root" {
  command = plan

  variables {
    trust_account_root = false
    trusted_principals = [
      "arn:aws-us-gov:iam::808407022534:role/vendor",
      "arn:aws-us-gov:iam::808407022534:user/operator",
    ]
    managed_policies  = []
    policy_statements = []
  }

  assert {
    condition = jsondecode(nonsensitive(aws_iam_role.this.assume_role_policy)).Statement == [{
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = ["an-external-id"] } }
      Effect    = "Allow"
      Principal = {
        AWS = ["arn:aws-us-gov:iam::808407022534:role/vendor", "arn:aws-us-gov:iam::808407022534:user/operator"]
      }
    }]
    error_message = "Only the named principals may assume the role, with the external id."
  }

  assert {
    condition     = aws_iam_role.this.description == "Lets the principals of its trust policy work in this account."
    error_message = "The description must not name an account that is not trusted."
  }
}

run "nobody_at_all_is_refused" {
  command = plan

  variables {
    trust_account_root = false
  }

  expect_failures = [aws_iam_role.this]
}
