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

variable "previous_external_ids" {
  description = "External ids that the control plane may still hold."
  type        = list(string)
  default     = []
  sensitive   = true
}

module "gridbyoc" {
  source = "../../"

  external_id_rotation  = "2026-11"
  previous_external_ids = var.previous_external_ids
}

output "role_arn" {
  value = module.gridbyoc.role_arn
}

output "external_id" {
  value     = module.gridbyoc.external_id
  sensitive = true
}
