# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = var.default_tags
  }
}
