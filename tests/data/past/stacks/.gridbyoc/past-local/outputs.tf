# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

output "role_arn" {
  description = "ARN of the role that the control plane assumes."
  value       = module.gridbyoc.role_arn
}

output "role_name" {
  description = "Name of the role."
  value       = module.gridbyoc.role_name
}

output "external_id" {
  description = "External id that the control plane presents."
  value       = module.gridbyoc.external_id
  sensitive   = true
}
