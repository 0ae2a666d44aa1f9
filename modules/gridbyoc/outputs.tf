output "role_arn" {
  description = "ARN of the role, available after every policy is attached."
  value       = aws_iam_role.this.arn

  depends_on = [
    aws_iam_role_policy_attachment.this,
    aws_iam_role_policy_attachment.managed,
  ]
}

output "role_name" {
  description = "Name of the role."
  value       = aws_iam_role.this.name
}

output "external_id" {
  description = "External id that the control plane must present when it assumes the role."
  value       = local.external_id
  sensitive   = true
}

output "policy_arns" {
  description = "ARNs of the policies that the module attaches to the role."
  value = concat(
    aws_iam_role_policy_attachment.this[*].policy_arn,
    [for key in sort(keys(aws_iam_role_policy_attachment.managed)) : aws_iam_role_policy_attachment.managed[key].policy_arn],
  )
}
