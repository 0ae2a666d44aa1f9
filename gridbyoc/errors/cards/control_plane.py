"""What the control plane answers, read as ``HTTP STATUS: words``, and its reasons for a cluster that FAILED."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, KnownFailure

_CHECK = "Check the control plane's address (--url, control_plane.url, GRID_URL or LIGHTNING_CLOUD_URL) and proxies."

UNREACHABLE = KnownFailure(
    "GBY-C101",
    "Control plane cannot be reached",
    "There is no connection to the control plane, or no answer in time.",
    f"{_CHECK} Is the service up?",
    (
        # control_plane/exchange.py's own words for requests', urllib3's and the socket's errors
        r"its name does not resolve|the connection was refused|no connection in time|no answer in time",
        r"the connection was cut before the answer was whole|the proxy cannot be used|its address is not valid",
    ),
    LATER,
)
TLS = KnownFailure(
    "GBY-C102",
    "Control plane's certificate is not trusted",
    "TLS with the control plane could not be set up: an unknown certificate, or another protocol on that port.",
    "Name the CA bundle of your network (control_plane.ca_bundle or REQUESTS_CA_BUNDLE); check scheme and port of the "
    "address.",
    (r"its TLS certificate is not trusted|TLS could not be set up",),  # control_plane/exchange.py
)
LOGIN = KnownFailure(
    "GBY-C103",
    "Control plane does not accept the credentials",
    "User id and API key are missing, wrong or withdrawn.",
    "Log in again with `gridbyoc login`, or correct the user id and API key in the environment.",
    (r"^HTTP 401\b",),  # grpc-gateway's Unauthenticated
)
FORBIDDEN = KnownFailure(
    "GBY-C104",
    "Control plane does not permit it",
    "The account is known, and may not do this.",
    "Log in with an account that may do it (`gridbyoc login`), or ask for the permission.",
    (r"^HTTP 403\b",),  # grpc-gateway's PermissionDenied
)
NOT_API = KnownFailure(
    "GBY-C110",
    "Not the control plane's API",
    "A proxy's or a web site's page answered, or an answer was cut short.",
    _CHECK,
    (r"^HTTP \d{3}, \S{1,100}: not the API",),  # control_plane/failures.py
)
NOT_FOUND = KnownFailure(
    "GBY-C105",
    "Control plane does not know it",
    "There is no cluster of that id, or no such address at this control plane.",
    "`gridbyoc clusters list` shows what there is. " + _CHECK,
    (r"^HTTP 404\b",),  # grpc-gateway's NotFound
)
CONFLICT = KnownFailure(
    "GBY-C106",
    "Name is taken",
    "The control plane has a cluster of that name already, or is changing this one at the moment.",
    "`gridbyoc clusters list` shows it. Give the cluster another name in the stack file, or delete the other one.",
    (r"^HTTP 409\b|^HTTP 400: .{0,200}already exists",),  # grpc-gateway's AlreadyExists and Aborted
)
INVALID = KnownFailure(
    "GBY-C107",
    "Control plane refuses the request as invalid",
    "A value of the stack file is not one that the control plane takes; it says which.",
    "Correct the stack file by what the control plane says: `gridbyoc validate` checks what can be checked without it.",
    (r"^HTTP (?:400|412|422)\b",),  # grpc-gateway's InvalidArgument and FailedPrecondition
)
BUSY = KnownFailure(
    "GBY-C108",
    "Control plane asks for patience",
    "Too many requests in a short time.",
    "Try again in some minutes.",
    (r"^HTTP 429\b",),  # grpc-gateway's ResourceExhausted
    LATER,
)
DOWN = KnownFailure(
    "GBY-C109",
    "Control plane has trouble",
    "The control plane itself, or a proxy before it, could not answer.",
    "Try again in some minutes; if it stays so, tell the operator of the control plane.",
    (r"^HTTP 5\d\d\b",),
    LATER,
)
REDIRECT = KnownFailure(
    "GBY-C112",
    "Control plane answers with a redirect",
    "Redirects are not followed: the API key would be sent to an address that was not named.",
    f"Name the control plane's final address. {_CHECK}",
    (r"^HTTP 3\d\d\b",),
)
NOT_ASSUMED = KnownFailure(
    "GBY-C111",
    "Role cannot be assumed by the control plane",
    "The control plane tried to assume the role with the external id that it was given, and AWS refused.",
    "`gridbyoc verify` shows whom the role trusts, and with which external id. If the control plane uses another AWS "
    "account than that, write it into the stack file as role.trusted_account_id. `gridbyoc bootstrap` then puts role, "
    "trust and registration right; a role that was made a minute ago may only need a re-run.",
    (
        # sandbox/api/role.py and trust.py; STS's own words, which a control plane passes on
        r"sts:AssumeRole|\bAssumeRole\b|[Tt]rust policy",
        r"(?:cannot|could not|unable to|failed to|not authorized to) assume",
        r"role .{0,200}(?:does not exist|was not found|cannot be found)",
    ),
)

ANSWERS = (TLS, UNREACHABLE, NOT_API, LOGIN, FORBIDDEN, NOT_FOUND, CONFLICT, INVALID, BUSY, DOWN, REDIRECT)
REASONS = (NOT_ASSUMED,)
