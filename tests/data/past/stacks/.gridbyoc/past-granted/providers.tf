# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

provider "aws" {
  region = var.region

  default_tags {
    tags = var.default_tags
  }
}
