"""The local control plane's HTTP interface, in every dialect of the service's clients."""
