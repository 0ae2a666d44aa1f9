variable "role_name" {
  description = "Name of the IAM role, 1 to 64 characters. Null: a generated name that starts with `role_name_prefix`."
  type        = string
  default     = null

  validation {
    condition     = var.role_name == null || can(regex("^[a-zA-Z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "role_name must have 1 to 64 characters: letters, digits and _+=,.@- are allowed."
  }
}

variable "role_name_prefix" {
  description = "Start of the generated name, 1 to 38 characters (AWS allows 64; 26 are generated). Not used when `role_name` is set."
  type        = string
  default     = "grid-cloud-"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_+=,.@-]{1,38}$", var.role_name_prefix))
    error_message = "role_name_prefix must have 1 to 38 characters: letters, digits and _+=,.@- are allowed."
  }
}

variable "path" {
  description = "IAM path of the role and of its policy; starts and ends with `/`."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = length(var.path) <= 512 && can(regex("^/([\\x21-\\x7E]+/)?$", var.path))
    error_message = "path must start and end with /, such as / or /platform/, contain no spaces, and have at most 512 characters."
  }
}

variable "description" {
  description = "Description of the role, up to 1000 characters. Null: a description that names the trusted account."
  type        = string
  default     = null

  validation {
    condition     = var.description == null || try(length(var.description) <= 1000, false)
    error_message = "description must have at most 1000 characters."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that limits the role's permissions. Null: no boundary."
  type        = string
  default     = null

  validation {
    condition = (
      var.permissions_boundary == null ||
      can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/[\\x21-\\x7E]+$", var.permissions_boundary))
    )
    error_message = "permissions_boundary must be the ARN of an IAM policy, such as arn:aws:iam::123456789012:policy/boundary."
  }
}

variable "max_session_duration" {
  description = "Maximum session duration of the role, in seconds: 3600 (1 hour) to 43200 (12 hours)."
  type        = number
  default     = 43200
  nullable    = false

  validation {
    condition = (
      var.max_session_duration >= 3600 &&
      var.max_session_duration <= 43200 &&
      floor(var.max_session_duration) == var.max_session_duration
    )
    error_message = "max_session_duration must be a whole number of seconds from 3600 (1 hour) to 43200 (12 hours)."
  }
}

variable "trusted_account_id" {
  description = "AWS account of the control plane, which may assume the role with the external id."
  type        = string
  default     = "302180240179"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.trusted_account_id))
    error_message = "trusted_account_id must be an AWS account id: 12 digits, as a string."
  }
}

variable "trust_account_root" {
  description = "Whether the whole account `trusted_account_id` may assume the role. False: only the named principals may."
  type        = bool
  default     = true
  nullable    = false
}

variable "external_id" {
  description = "External id that the control plane must present. Null: the module generates one and keeps it."
  type        = string
  default     = null
  sensitive   = true

  # The upper bound is a separate check: regex repeat counts above 1000 are refused.
  validation {
    condition = var.external_id == null || (
      can(regex("^[a-zA-Z0-9_+=,.@:/-]{2,}$", var.external_id)) && try(length(var.external_id) <= 1224, false)
    )
    error_message = "external_id must have 2 to 1224 characters: letters, digits and _+=,.@:/- are allowed."
  }
}

variable "previous_external_ids" {
  description = "Earlier external ids that the role still accepts, for an overlap after a rotation."
  type        = list(string)
  default     = []
  nullable    = false
  sensitive   = true

  validation {
    condition = alltrue([
      for id in var.previous_external_ids :
      can(regex("^[a-zA-Z0-9_+=,.@:/-]{2,}$", id)) && try(length(id) <= 1224, false)
    ])
    error_message = "Each of previous_external_ids must have 2 to 1224 characters: letters, digits and _+=,.@:/- are allowed."
  }
}

variable "external_id_rotation" {
  description = "Any text, such as a date; when it changes, a new external id is generated. No effect while `external_id` is set."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.external_id_rotation) <= 256
    error_message = "external_id_rotation must have at most 256 characters."
  }
}

variable "trusted_principals" {
  description = "ARNs of further principals that may assume the role with the external id."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.trusted_principals :
      can(regex("^arn:[a-z0-9-]+:(iam|sts)::[0-9]{12}:(root|(user|role|assumed-role|federated-user)/[\\x21-\\x7E]+)$", arn)) &&
      !can(regex("[*?]", arn))
    ])
    error_message = "Each of trusted_principals must be the ARN of an account root, user, role or session, without wildcards."
  }
}

variable "trusted_principals_without_external_id" {
  description = "ARNs of principals that may assume the role without an external id."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.trusted_principals_without_external_id :
      can(regex("^arn:[a-z0-9-]+:(iam|sts)::[0-9]{12}:(root|(user|role|assumed-role|federated-user)/[\\x21-\\x7E]+)$", arn)) &&
      !can(regex("[*?]", arn))
    ])
    error_message = "Each of trusted_principals_without_external_id must be the ARN of an account root, user, role or session, without wildcards."
  }
}

variable "managed_policies" {
  description = "Managed policies of the role: names of AWS managed policies, or full ARNs. All must be known at plan time."
  type        = list(string)
  default = [
    "AmazonEC2FullAccess",
    "AmazonGuardDutyFullAccess_v2",
    "AmazonRoute53ResolverFullAccess",
    "AmazonS3FullAccess",
    "AmazonSNSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonVPCFullAccess",
    "CloudWatchLogsFullAccess",
    "IAMFullAccess",
  ]
  nullable = false

  validation {
    condition = alltrue([
      for policy in var.managed_policies :
      can(regex("^(arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/)?([\\x21-\\x39\\x3B-\\x7E]+/)?[a-zA-Z0-9_+=,.@-]{1,128}$", policy))
    ])
    error_message = "Each of managed_policies must be the name of an AWS managed policy, such as AmazonS3FullAccess, or the ARN of a policy."
  }
}

variable "policy_statements" {
  description = "Statements of the role's own policy. With an empty list, the role has no own policy."
  type = list(object({
    sid       = optional(string)
    effect    = optional(string, "Allow")
    actions   = list(string)
    resources = optional(list(string), ["*"])
  }))
  default = [{
    actions = ["eks:*", "ecr:*", "events:*"]
  }]
  nullable = false

  validation {
    condition     = alltrue([for s in var.policy_statements : contains(["Allow", "Deny"], s.effect)])
    error_message = "The effect of each of policy_statements must be Allow or Deny."
  }

  validation {
    condition = alltrue([
      for s in var.policy_statements :
      try(length(s.actions) > 0, false) &&
      alltrue([for a in coalesce(s.actions, []) : can(regex("^([*]|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$", a))])
    ])
    error_message = "Each of policy_statements needs at least one action, each of the form service:Action, such as eks:*."
  }

  validation {
    condition = alltrue([
      for s in var.policy_statements :
      length(s.resources) > 0 && alltrue([for r in s.resources : can(regex("^([*]|arn:.+)$", r))])
    ])
    error_message = "Each of policy_statements needs at least one resource, each an ARN or *."
  }

  validation {
    condition = alltrue([
      for s in var.policy_statements : s.sid == null || can(regex("^[a-zA-Z0-9]+$", s.sid))
    ])
    error_message = "The sid of each of policy_statements must contain only letters and digits."
  }

  validation {
    condition = (
      length([for s in var.policy_statements : s.sid if s.sid != null]) ==
      length(distinct([for s in var.policy_statements : s.sid if s.sid != null]))
    )
    error_message = "The sids of policy_statements must be unique."
  }
}

variable "tags" {
  description = "Tags of the role and of its policy."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50
    error_message = "There must be at most 50 tags."
  }

  validation {
    condition = alltrue([
      for key in keys(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) && !startswith(lower(key), "aws:")
    ])
    error_message = "Each tag key must have 1 to 128 characters, letters, digits, spaces and _.:/=+-@ only, and must not start with aws:."
  }

  validation {
    condition = alltrue([
      for value in values(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value))
    ])
    error_message = "Each tag value must have at most 256 characters, letters, digits, spaces and _.:/=+-@ only."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "Tag keys must not differ only in case: IAM treats such keys as equal."
  }
}

variable "force_detach_policies" {
  description = "Whether Terraform detaches every policy, including those that others attached, before it destroys the role."
  type        = bool
  default     = true
  nullable    = false
}

variable "policy_name" {
  description = "Name of the role's own policy, 1 to 128 characters. Null: the role's name."
  type        = string
  default     = null

  validation {
    condition     = var.policy_name == null || can(regex("^[a-zA-Z0-9_+=,.@-]{1,128}$", var.policy_name))
    error_message = "policy_name must have 1 to 128 characters: letters, digits and _+=,.@- are allowed."
  }
}

variable "policy_path" {
  description = "IAM path of the role's own policy. Null: the role's path."
  type        = string
  default     = null

  validation {
    condition = (
      var.policy_path == null ||
      try(length(var.policy_path) <= 512 && can(regex("^/([\\x21-\\x7E]+/)?$", var.policy_path)), false)
    )
    error_message = "policy_path must start and end with /, such as / or /platform/, contain no spaces, and have at most 512 characters."
  }
}

variable "policy_description" {
  description = "Description of the role's own policy, up to 1000 characters. Null: a description that names the role. AWS cannot change it: a different description replaces the policy."
  type        = string
  default     = null

  validation {
    condition     = var.policy_description == null || try(length(var.policy_description) <= 1000, false)
    error_message = "policy_description must have at most 1000 characters."
  }
}

variable "policy_tags" {
  description = "Tags of the role's own policy. Null: the role's tags."
  type        = map(string)
  default     = null

  validation {
    condition     = var.policy_tags == null || try(length(var.policy_tags) <= 50, false)
    error_message = "policy_tags must contain at most 50 tags."
  }

  validation {
    condition = var.policy_tags == null || try(
      length(distinct([for key in keys(var.policy_tags) : lower(key)])) == length(var.policy_tags), false
    )
    error_message = "Tag keys must not differ only in case: IAM treats such keys as equal."
  }
}

variable "adopted_external_id" {
  description = "External id of a role that is being imported. Set it only for the apply that imports the role: the state keeps it like a generated id, and later applies omit it."
  type        = string
  default     = null
  sensitive   = true

  # The upper bound is a separate check: regex repeat counts above 1000 are refused.
  validation {
    condition = var.adopted_external_id == null || (
      can(regex("^[a-zA-Z0-9_+=,.@:/-]{2,}$", var.adopted_external_id)) && try(length(var.adopted_external_id) <= 1224, false)
    )
    error_message = "adopted_external_id must have 2 to 1224 characters: letters, digits and _+=,.@:/- are allowed."
  }
}
