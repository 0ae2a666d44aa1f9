# Each run sets several variables to invalid values and expects each to be refused. `inputs` contains only a link to
# variables.tf, so these runs need no provider and take no time.

run "refused_1" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    role_name                              = "two words"
    role_name_prefix                       = "this-prefix-has-one-too-many-characters"
    path                                   = "platform/"
    permissions_boundary                   = "boundary"
    max_session_duration                   = 3599
    trusted_account_id                     = "12345678901"
    external_id                            = "x"
    previous_external_ids                  = ["good-one", "!"]
    external_id_rotation                   = join("", [for i in range(257) : "x"])
    trusted_principals                     = ["*"]
    trusted_principals_without_external_id = ["*"]
    managed_policies                       = ["two words"]
    policy_statements                      = [{ effect = "Maybe", actions = ["eks:*"] }]
    tags                                   = { for i in range(51) : "key${i}" => "value" }
    description                            = join("", [for i in range(1001) : "x"])
    adopted_external_id                    = "x"
    policy_name                            = "two words"
    policy_path                            = "platform/"
    policy_description                     = join("", [for i in range(1001) : "x"])
    policy_tags                            = { for i in range(51) : "key${i}" => "value" }
  }

  expect_failures = [
    var.description,
    var.adopted_external_id,
    var.policy_name,
    var.policy_path,
    var.policy_description,
    var.policy_tags,
    var.role_name,
    var.role_name_prefix,
    var.path,
    var.permissions_boundary,
    var.max_session_duration,
    var.trusted_account_id,
    var.external_id,
    var.previous_external_ids,
    var.external_id_rotation,
    var.trusted_principals,
    var.trusted_principals_without_external_id,
    var.managed_policies,
    var.policy_statements,
    var.tags,
  ]
}

run "refused_2" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    role_name                              = ""
    role_name_prefix                       = "bad/prefix"
    path                                   = "/platform"
    permissions_boundary                   = "arn:aws:iam::123456789012:role/boundary"
    max_session_duration                   = 43201
    trusted_account_id                     = "arn:aws:iam::123456789012:root"
    external_id                            = "two words"
    previous_external_ids                  = [join("", [for i in range(35) : "a-text-of-thirty-five-characters---"])]
    trusted_principals                     = ["arn:aws:iam::123456789012:role/*"]
    trusted_principals_without_external_id = ["123456789012"]
    managed_policies                       = ["arn:aws:iam::aws:role/AmazonS3FullAccess"]
    policy_statements                      = [{ actions = [] }]
    tags                                   = { "aws:owner" = "x" }
  }

  expect_failures = [
    var.role_name,
    var.role_name_prefix,
    var.path,
    var.permissions_boundary,
    var.max_session_duration,
    var.trusted_account_id,
    var.external_id,
    var.previous_external_ids,
    var.trusted_principals,
    var.trusted_principals_without_external_id,
    var.managed_policies,
    var.policy_statements,
    var.tags,
  ]
}

run "refused_3" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    role_name                              = join("", [for i in range(65) : "x"])
    role_name_prefix                       = ""
    path                                   = "/two words/"
    max_session_duration                   = 3600.5
    external_id                            = join("", [for i in range(35) : "a-text-of-thirty-five-characters---"])
    previous_external_ids                  = [null]
    trusted_principals                     = ["arn:aws:iam::123456789012:policy/x"]
    trusted_principals_without_external_id = ["arn:aws:iam::123456789012:user/a?"]
    managed_policies                       = [null]
    policy_statements                      = [{ actions = ["everything"] }]
    tags                                   = { "AWS:owner" = "x" }
  }

  expect_failures = [
    var.role_name,
    var.role_name_prefix,
    var.path,
    var.max_session_duration,
    var.external_id,
    var.previous_external_ids,
    var.trusted_principals,
    var.trusted_principals_without_external_id,
    var.managed_policies,
    var.policy_statements,
    var.tags,
  ]
}

run "refused_4" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    path              = "/${join("", [for i in range(511) : "x"])}/"
    policy_statements = [{ actions = null }]
    tags              = { "" = "x" }
  }

  expect_failures = [
    var.path,
    var.policy_statements,
    var.tags,
  ]
}

run "refused_5" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    policy_statements = [{ actions = ["eks:*"], resources = [] }]
    tags              = { "a*b" = "x" }
  }

  expect_failures = [
    var.policy_statements,
    var.tags,
  ]
}

run "refused_6" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    policy_statements = [{ actions = ["eks:*"], resources = ["bucket"] }]
    tags              = { team = "a*b" }
  }

  expect_failures = [
    var.policy_statements,
    var.tags,
  ]
}

run "refused_7" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    policy_statements = [{ actions = ["eks:*"], sid = "two words" }]
    tags              = { team = join("", [for i in range(257) : "x"]) }
  }

  expect_failures = [
    var.policy_statements,
    var.tags,
  ]
}

run "refused_8" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    policy_statements = [{ actions = ["eks:*"], sid = "A" }, { actions = ["ecr:*"], sid = "A" }]
    tags              = { team = "a", Team = "b" }
  }

  expect_failures = [
    var.policy_statements,
    var.tags,
  ]
}

run "extremes_are_taken" {
  command = plan

  module {
    source = "./tests/inputs"
  }

  variables {
    role_name                              = join("", [for i in range(64) : "x"])
    role_name_prefix                       = join("", [for i in range(38) : "x"])
    path                                   = "/${join("", [for i in range(510) : "x"])}/"
    permissions_boundary                   = "arn:aws-cn:iam::aws:policy/ReadOnlyAccess"
    external_id                            = "aZ09_+=,.@:/-${join("", [for i in range(173) : "1234567"])}"
    previous_external_ids                  = ["ab"]
    external_id_rotation                   = join("", [for i in range(256) : "x"])
    trusted_principals                     = ["arn:aws-eusc:iam::123456789012:root", "arn:aws:sts::123456789012:assumed-role/a/b"]
    trusted_principals_without_external_id = ["arn:aws-us-gov:sts::123456789012:federated-user/a"]
    managed_policies                       = ["service-role/AmazonEC2RoleforSSM", "arn:aws-cn:iam::123456789012:policy/a/b"]
    policy_statements                      = [{ actions = ["*"], sid = "A" }, { actions = ["ec2:Describe?pcs"] }, { actions = ["s3:*"] }]
    tags                                   = merge({ for i in range(49) : "key${i}" => "" }, { "Größe .:/=+-@_" = join("", [for i in range(256) : "x"]) })
  }

  assert {
    condition     = length(var.external_id) == 1224 && length(var.tags) == 50 && length(var.path) == 512
    error_message = "The longest external id, the longest path and the most tags must be accepted."
  }
}
