# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.
# The values stand in terraform.tfvars.json; null leaves the default of the module.

variable "region" {
  description = "Region that the provider works in."
  type        = string
}

variable "default_tags" {
  description = "Tags of every resource."
  type        = map(string)
}

variable "role_name" {
  description = "Name of the role; null: a generated one."
  type        = string
  default     = null
}

variable "role_name_prefix" {
  description = "Start of a generated name."
  type        = string
  default     = null
}

variable "path" {
  description = "IAM path of role and policy."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the role's permissions boundary."
  type        = string
  default     = null
}

variable "max_session_duration" {
  description = "Longest session of the role, in seconds."
  type        = number
  default     = null
}

variable "trusted_account_id" {
  description = "AWS account of the control plane."
  type        = string
  default     = null
}

variable "external_id" {
  description = "External id; null: a generated one."
  type        = string
  default     = null
  sensitive   = true
}

variable "previous_external_ids" {
  description = "Earlier external ids that are still accepted."
  type        = list(string)
  default     = null
  sensitive   = true
}

variable "external_id_rotation" {
  description = "When this changes, a new external id is generated."
  type        = string
  default     = null
}

variable "trusted_principals" {
  description = "Further principals that may assume the role with the external id."
  type        = list(string)
  default     = null
}

variable "trusted_principals_without_external_id" {
  description = "Principals that may assume the role without an external id."
  type        = list(string)
  default     = null
}

variable "managed_policies" {
  description = "Managed policies of the role."
  type        = list(string)
  default     = null
}

variable "policy_statements" {
  description = "Statements of the role's own policy."
  type = list(object({
    sid       = optional(string)
    effect    = optional(string)
    actions   = list(string)
    resources = optional(list(string))
  }))
  default = null
}

variable "tags" {
  description = "Tags of role and policy."
  type        = map(string)
  default     = null
}
