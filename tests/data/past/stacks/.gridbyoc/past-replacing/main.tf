# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

module "gridbyoc" {
  source = "./modules/gridbyoc"

  role_name                              = var.role_name
  role_name_prefix                       = var.role_name_prefix
  path                                   = var.path
  permissions_boundary                   = var.permissions_boundary
  max_session_duration                   = var.max_session_duration
  trusted_account_id                     = var.trusted_account_id
  external_id                            = var.external_id
  previous_external_ids                  = var.previous_external_ids
  external_id_rotation                   = var.external_id_rotation
  trusted_principals                     = var.trusted_principals
  trusted_principals_without_external_id = var.trusted_principals_without_external_id
  managed_policies                       = var.managed_policies
  policy_statements                      = var.policy_statements
  tags                                   = var.tags
}

# The role that is being replaced: it stays until no cluster runs through it any more.
module "gridbyoc_previous" {
  source = "./modules/gridbyoc"

  role_name                              = var.previous_role_name
  path                                   = var.previous_role_path
  role_name_prefix                       = var.role_name_prefix
  permissions_boundary                   = var.permissions_boundary
  max_session_duration                   = var.max_session_duration
  trusted_account_id                     = var.trusted_account_id
  external_id                            = var.external_id
  previous_external_ids                  = var.previous_external_ids
  external_id_rotation                   = var.external_id_rotation
  trusted_principals                     = var.trusted_principals
  trusted_principals_without_external_id = var.trusted_principals_without_external_id
  managed_policies                       = var.managed_policies
  policy_statements                      = var.policy_statements
  tags                                   = var.tags
}
