"""Known failures of the control plane: its responses as ``HTTP STATUS: words``, and its reasons for FAILED clusters."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, KnownFailure

_CHECK = "Check the control plane's address (--url, control_plane.url, GRID_URL or LIGHTNING_CLOUD_URL) and proxies."

UNREACHABLE = KnownFailure(
    "GBY-C101",
    "Control plane cannot be reached",
    "There is no connection to the control plane, or no answer in time.",
    f"{_CHECK} Check whether the service is up.",
    (
        # control_plane/http.py's own words for errors of requests, urllib3 and sockets
        r"its name does not resolve|the connection was refused|no connection in time|no answer in time",
        r"the connection was cut before the answer was whole|the proxy cannot be used|its address is not valid",
    ),
    LATER,
)
TLS = KnownFailure(
    "GBY-C102",
    "Control plane's certificate is not trusted",
    "TLS with the control plane could not be set up: an unknown certificate, or another protocol on that port.",
    "Set the CA bundle of your network (control_plane.ca_bundle or REQUESTS_CA_BUNDLE); check scheme and port of the "
    "address.",
    (r"its TLS certificate is not trusted|TLS could not be set up",),  # control_plane/http.py
)
LOGIN = KnownFailure(
    "GBY-C103",
    "Control plane does not accept the credentials",
    "User id and API key are missing, wrong or revoked.",
    "Log in again with `gridbyoc login`, or correct the user id and API key in the environment.",
    (r"^HTTP 401\b",),  # grpc-gateway's Unauthenticated
)
FORBIDDEN = KnownFailure(
    "GBY-C104",
    "Control plane does not permit it",
    "The control plane knows the account but does not permit this action.",
    "Log in with an account that has the permission (`gridbyoc login`), or ask for it.",
    (r"^HTTP 403\b",),  # grpc-gateway's PermissionDenied
)
NOT_API = KnownFailure(
    "GBY-C110",
    "Not the control plane's API",
    "A page of a proxy or a web site answered, or the answer was cut off.",
    _CHECK,
    (r"^HTTP \d{3}, \S{1,100}: not the API",),  # control_plane/failures.py
)
NOT_FOUND = KnownFailure(
    "GBY-C105",
    "Control plane does not know it",
    "There is no cluster with that id, or this control plane has no such address.",
    "`gridbyoc clusters list` shows the clusters. " + _CHECK,
    (r"^HTTP 404\b",),  # grpc-gateway's NotFound
)
CONFLICT = KnownFailure(
    "GBY-C106",
    "Name is taken",
    "The control plane already has a cluster with that name, or is just changing this one.",
    "`gridbyoc clusters list` shows it. Give the cluster another name in the stack file, or delete the other one.",
    (r"^HTTP 409\b|^HTTP 400: .{0,200}already exists",),  # grpc-gateway's AlreadyExists and Aborted
)
INVALID = KnownFailure(
    "GBY-C107",
    "Control plane refuses the request as invalid",
    "The control plane does not accept a value of the stack file; it says which.",
    "Correct the stack file as the control plane says; `gridbyoc validate` runs every check that does not need it.",
    (r"^HTTP (?:400|412|422)\b",),  # grpc-gateway's InvalidArgument and FailedPrecondition
)
BUSY = KnownFailure(
    "GBY-C108",
    "Control plane throttles requests",
    "Too many requests in a short time.",
    "Try again in a few minutes.",
    (r"^HTTP 429\b",),  # grpc-gateway's ResourceExhausted
    LATER,
)
DOWN = KnownFailure(
    "GBY-C109",
    "Control plane has an internal problem",
    "The control plane, or a proxy in front of it, could not answer.",
    "Try again in a few minutes; if it persists, tell the operator of the control plane.",
    (r"^HTTP 5\d\d\b",),
    LATER,
)
REDIRECT = KnownFailure(
    "GBY-C112",
    "Control plane answers with a redirect",
    "gridbyoc does not follow redirects: it would send the API key to an address that you did not configure.",
    f"Use the control plane's final address. {_CHECK}",
    (r"^HTTP 3\d\d\b",),
)
NOT_ASSUMED = KnownFailure(
    "GBY-C111",
    "Role cannot be assumed by the control plane",
    "The control plane tried to assume the role with its external id, and AWS refused.",
    "`gridbyoc verify` shows whom the role trusts, and with which external id. If the control plane uses another AWS "
    "account, set it in the stack file as role.trusted_account_id. `gridbyoc bootstrap` then corrects role, trust and "
    "registration; a role that was created a minute ago may only need a re-run.",
    (
        # sandbox/api/role.py and trust.py; STS's own words, which a control plane passes on
        r"sts:AssumeRole|\bAssumeRole\b|[Tt]rust policy",
        r"(?:cannot|could not|unable to|failed to|not authorized to) assume",
        r"role .{0,200}(?:does not exist|was not found|cannot be found)",
    ),
)

ANSWERS = (TLS, UNREACHABLE, NOT_API, LOGIN, FORBIDDEN, NOT_FOUND, CONFLICT, INVALID, BUSY, DOWN, REDIRECT)
REASONS = (NOT_ASSUMED,)
