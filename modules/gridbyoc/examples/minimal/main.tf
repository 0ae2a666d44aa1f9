terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

module "gridbyoc" {
  source = "../../"
}

output "role_arn" {
  value = module.gridbyoc.role_arn
}

output "external_id" {
  value     = module.gridbyoc.external_id
  sensitive = true
}
