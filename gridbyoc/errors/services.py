"""What AWS and the control plane can say no with."""

from __future__ import annotations

from gridbyoc.errors.base import SAFE, ExitStatus, GridbyocError


class AwsError(GridbyocError):
    """AWS refused or could not be reached."""

    code = "GBY-A001"


class AwsCredentialsError(AwsError):
    """No AWS credentials, or ones that have expired or are wrong."""

    code = "GBY-A002"


class AccountMismatchError(AwsError):
    """The caller's account is not the stack's ``aws.account_id``, or not the one that its role is in."""

    code = "GBY-A003"
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class TrustError(AwsError):
    """The live role does not admit the control plane with this external id."""

    code = "GBY-A004"


class QuotaRefusedError(AwsError):
    """AWS did not take a request for a higher quota, or decided against it."""

    code = "GBY-A005"


class QuotaUndecidedError(AwsError):
    """AWS had not decided about a request for a higher quota when the time was over."""

    code = "GBY-A006"
    exit_status = ExitStatus.TIMED_OUT


class DefaultChangedError(AwsError):
    """A default of the control plane would change whom a standing role trusts, or what it may do."""

    code = "GBY-A007"
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ControlPlaneError(GridbyocError):
    """The control plane answered with an error; ``http_status`` is 0 where there was no answer."""

    code = "GBY-C001"

    def __init__(self, what: str, *, http_status: int = 0, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.http_status = http_status


class ControlPlaneUnreachableError(ControlPlaneError):
    """No usable answer: refused, timed out, TLS, or something that is not the control plane (HTML)."""

    code = "GBY-C002"


class AuthenticationError(ControlPlaneError):
    """No control-plane credentials, or ones it does not take."""

    code = "GBY-C003"


class ClusterNotFoundError(ControlPlaneError):
    """No cluster of that name or id."""

    code = "GBY-C004"


class ClusterConflictError(ControlPlaneError):
    """The cluster's name is taken by one that runs through another role."""

    code = "GBY-C005"


class UntrustedAddressError(ControlPlaneError):
    """The stack file alone names the address that the control plane's key would go to."""

    code = "GBY-C010"
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class UnsupportedByDialectError(ControlPlaneError):
    """The stack asks for something that this control plane's API does not have."""

    code = "GBY-C006"
    exit_status = ExitStatus.USAGE


class UnclearAnswerError(ControlPlaneError):
    """A change was sent and its answer was lost, and looking it up did not tell either."""

    code = "GBY-C007"


class ClusterFailedError(ControlPlaneError):
    """The control plane reports the cluster as FAILED."""

    code = "GBY-C008"
    exit_status = ExitStatus.CLUSTER_FAILED


class WaitTimedOutError(ControlPlaneError):
    """The cluster was not where it should be when the time was over."""

    code = "GBY-C009"
    exit_status = ExitStatus.TIMED_OUT
