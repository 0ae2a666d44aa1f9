# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

terraform {
  backend "s3" {
    bucket       = "past-states"
    key          = "gridbyoc/past-s3.tfstate"
    region       = "us-east-1"
    encrypt      = true
    use_lockfile = true
  }
}
