terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region              = "us-west-2"
  allowed_account_ids = ["123456789012"]
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  account_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}"
}

module "gridbyoc" {
  source = "../../"

  role_name            = "grid-ml-prod"
  path                 = "/platform/"
  permissions_boundary = "${local.account_arn}:policy/boundary"
  max_session_duration = 6 * 3600

  trusted_account_id                     = "302180240179"
  trusted_principals                     = ["${local.account_arn}:role/auditor"]
  trusted_principals_without_external_id = ["${local.account_arn}:role/break-glass"]

  managed_policies = [
    "AmazonEC2FullAccess",
    "AmazonS3FullAccess",
    "AmazonVPCFullAccess",
    "CloudWatchLogsFullAccess",
    "IAMFullAccess",
  ]

  policy_statements = [
    {
      sid     = "Clusters"
      actions = ["eks:*", "ecr:*", "events:*"]
    },
    {
      sid       = "KeepTheStateBucket"
      effect    = "Deny"
      actions   = ["s3:DeleteBucket"]
      resources = ["arn:${data.aws_partition.current.partition}:s3:::acme-tf-state"]
    },
  ]

  tags = {
    team = "ml"
  }
}

output "role_arn" {
  value = module.gridbyoc.role_arn
}

output "role_name" {
  value = module.gridbyoc.role_name
}

output "external_id" {
  value     = module.gridbyoc.external_id
  sensitive = true
}
