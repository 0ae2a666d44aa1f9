# Written by gridbyoc from the stack file: changes made here by hand are lost on the next run.

terraform {
  backend "local" {}
}
