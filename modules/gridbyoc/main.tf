data "aws_partition" "current" {}

locals {
  arn_prefix = "arn:${data.aws_partition.current.partition}:iam:"

  # Mark it sensitive again on reading: Terraform versions differ in how they keep that mark in the state.
  external_id  = sensitive(coalesce(var.external_id, terraform_data.this.triggers_replace))
  external_ids = distinct(concat([local.external_id], var.previous_external_ids))

  account_root = var.trust_account_root ? ["${local.arn_prefix}:${var.trusted_account_id}:root"] : []
  with_id      = distinct(concat(local.account_root, var.trusted_principals))

  trust_statements = concat(
    [for principals in [local.with_id] : {
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = principals }
      Condition = { StringEquals = { "sts:ExternalId" = local.external_ids } }
    } if length(principals) > 0],
    [for principals in [distinct(var.trusted_principals_without_external_id)] : {
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = principals }
    } if length(principals) > 0],
  )

  default_description = (
    var.trust_account_root
    ? "Lets the control plane in account ${var.trusted_account_id} run clusters in this account."
    : "Lets the principals of its trust policy work in this account."
  )

  policy_statements = [for s in var.policy_statements : merge(
    s.sid == null ? {} : { Sid = s.sid },
    { Effect = s.effect, Action = s.actions, Resource = s.resources },
  )]

  # AWS managed policies by name, even if given as ARNs: each is attached once, and keys are known at plan time.
  managed_policies = toset([for p in var.managed_policies : replace(p, "/^arn:[a-z0-9-]+:iam::aws:policy\\//", "")])
}

# Holds the generated external id in `triggers_replace`, because that attribute has no computed copy: Terraform repeats
# the value of `input` as `output`, does not mark it sensitive there, and prints it in a plan that replaces it.
resource "terraform_data" "this" {
  triggers_replace = sensitive(coalesce(var.adopted_external_id, replace(uuid(), "-", "")))

  lifecycle {
    ignore_changes       = [triggers_replace]
    replace_triggered_by = [terraform_data.rotation]
  }
}

resource "terraform_data" "rotation" {
  input = var.external_id_rotation
}

resource "aws_iam_role" "this" {
  name                  = var.role_name
  name_prefix           = var.role_name == null ? var.role_name_prefix : null
  path                  = var.path
  description           = var.description == null ? local.default_description : var.description
  max_session_duration  = var.max_session_duration
  permissions_boundary  = var.permissions_boundary
  force_detach_policies = var.force_detach_policies
  tags                  = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.trust_statements
  })

  lifecycle {
    precondition {
      condition     = length(local.with_id) + length(var.trusted_principals_without_external_id) > 0
      error_message = "Nobody could assume the role: set trusted_principals, or set trust_account_root to true."
    }
  }
}

# The policy has the role's name, so that both are found together; only an adopted role's policy has its own name.
resource "aws_iam_policy" "this" {
  count = length(var.policy_statements) > 0 ? 1 : 0

  name        = coalesce(var.policy_name, aws_iam_role.this.name)
  path        = coalesce(var.policy_path, var.path)
  description = var.policy_description == null ? "What the role ${aws_iam_role.this.name} may do besides its managed policies." : var.policy_description
  tags        = var.policy_tags == null ? var.tags : var.policy_tags

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.policy_statements
  })
}

# Counted by the input, not the policy: `terraform import` needs the count before the policy is in the state.
resource "aws_iam_role_policy_attachment" "this" {
  count = length(var.policy_statements) > 0 ? 1 : 0

  role       = aws_iam_role.this.name
  policy_arn = aws_iam_policy.this[0].arn
}

resource "aws_iam_role_policy_attachment" "managed" {
  for_each = local.managed_policies

  role       = aws_iam_role.this.name
  policy_arn = startswith(each.value, "arn:") ? each.value : "${local.arn_prefix}:aws:policy/${each.value}"
}
