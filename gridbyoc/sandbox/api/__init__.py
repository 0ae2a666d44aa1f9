"""The local control plane's HTTP interface, in every dialect that the service's clients have spoken."""
