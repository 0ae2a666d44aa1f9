# A module as a vendor may publish one: two roles, each with a trust of its own making, under output names of its own.
# It makes its external id itself; the id stays the same on every run.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "trusted_principals" {
  description = "ARNs of the vendor's principals that may assume both roles with the external id."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.trusted_principals) > 0
    error_message = "At least one principal must be named."
  }
}

variable "prefix" {
  description = "Start of both roles' names."
  type        = string
  default     = "acme-"
  nullable    = false
}

locals {
  # The bootstrap role makes what the vendor runs on, the management role looks after it.
  actions = {
    bootstrap  = ["ec2:*", "eks:*"]
    management = ["ec2:Describe*", "eks:Describe*", "eks:List*"]
  }
}

resource "terraform_data" "external_id" {
  triggers_replace = sensitive(replace(uuid(), "-", ""))

  lifecycle {
    ignore_changes = [triggers_replace]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.actions

  name_prefix = "${var.prefix}${each.key}-"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.trusted_principals }
      Condition = { StringEquals = { "sts:ExternalId" = sensitive(terraform_data.external_id.triggers_replace) } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.actions

  name = each.key
  role = aws_iam_role.this[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = each.value, Resource = "*" }]
  })
}

output "bootstrap_role_arn" {
  description = "ARN of the role that makes what the vendor runs on."
  value       = aws_iam_role.this["bootstrap"].arn
  depends_on  = [aws_iam_role_policy.this]
}

output "management_role_arn" {
  description = "ARN of the role that looks after it."
  value       = aws_iam_role.this["management"].arn
  depends_on  = [aws_iam_role_policy.this]
}

output "trust_id" {
  description = "External id that the vendor must present."
  value       = sensitive(terraform_data.external_id.triggers_replace)
  sensitive   = true
}
