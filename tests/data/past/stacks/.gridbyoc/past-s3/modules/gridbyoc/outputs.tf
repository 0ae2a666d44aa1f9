output "role_arn" {
  description = "ARN of the role. It is handed on once every policy is attached."
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
