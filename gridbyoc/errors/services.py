"""What AWS and the control plane can say no with."""

from __future__ import annotations

from gridbyoc.errors.base import SAFE, ExitStatus, GridbyocError


class AwsError(GridbyocError):
    """AWS refused or could not be reached."""

    code = "GBY-A001"
    remedy = "Check network, region and permissions; `gridbyoc doctor` looks at each."


class AwsCredentialsError(AwsError):
    """No AWS credentials, or ones that have expired or are wrong."""

    code = "GBY-A002"
    remedy = "Get new credentials (`aws sso login`, an assumed role); `gridbyoc credentials show` tells which are used."


class AccountMismatchError(AwsError):
    """The caller's account is not the stack's ``aws.account_id``, or not the one that its role is in."""

    code = "GBY-A003"
    remedy = "Use credentials of the stack's account (aws.profile, AWS_PROFILE), or correct aws.account_id."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class TrustError(AwsError):
    """The live role does not admit the control plane with this external id."""

    code = "GBY-A004"
    remedy = "`gridbyoc verify` shows whom the role trusts; `gridbyoc bootstrap` puts the trust policy back."


class QuotaRefusedError(AwsError):
    """AWS did not take a request for a higher quota, or decided against it."""

    code = "GBY-A005"
    remedy = "Ask AWS Support about the case, or take instance types of another family."


class QuotaUndecidedError(AwsError):
    """AWS had not decided about a request for a higher quota when the time was over."""

    code = "GBY-A006"
    remedy = "`gridbyoc quotas status` follows the request."
    exit_status = ExitStatus.TIMED_OUT


class DefaultChangedError(AwsError):
    """A default of the control plane would change whom a standing role trusts, or what it may do."""

    code = "GBY-A007"
    remedy = (
        "Write role.trusted_account_id, role.managed_policies and role.statements into the stack file: the "
        "message has the lines."
    )
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ControlPlaneError(GridbyocError):
    """The control plane answered with an error; ``http_status`` is 0 where there was no answer."""

    code = "GBY-C001"
    remedy = "Do what the control plane says; `gridbyoc doctor --only control-plane` looks at it."

    def __init__(self, what: str, *, http_status: int = 0, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.http_status = http_status


class ControlPlaneUnreachableError(ControlPlaneError):
    """No usable answer: refused, timed out, TLS, or something that is not the control plane (HTML)."""

    code = "GBY-C002"
    remedy = "Check the address (--url, GRID_URL, LIGHTNING_CLOUD_URL), the network and proxies, then run again."


class AuthenticationError(ControlPlaneError):
    """No control-plane credentials, or ones it does not take."""

    code = "GBY-C003"
    remedy = "Log in with `gridbyoc login`, or set user id and API key in the environment."


class ClusterNotFoundError(ControlPlaneError):
    """No cluster of that name or id."""

    code = "GBY-C004"
    remedy = "`gridbyoc clusters list` shows the clusters that there are."


class ClusterConflictError(ControlPlaneError):
    """The cluster's name is taken by one that runs through another role."""

    code = "GBY-C005"
    remedy = "Give the cluster another name in the stack file, or delete the other one."


class UntrustedAddressError(ControlPlaneError):
    """The stack file alone names the address that the control plane's key would go to."""

    code = "GBY-C010"
    remedy = "If you trust the address, export the variable that the message names, or use --url."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class UnsupportedByDialectError(ControlPlaneError):
    """The stack asks for something that this control plane's API does not have."""

    code = "GBY-C006"
    remedy = "Take out of the stack file what this control plane has not, or name another control_plane.type."
    exit_status = ExitStatus.USAGE


class UnclearAnswerError(ControlPlaneError):
    """A change was sent and its answer was lost, and looking it up did not tell either."""

    code = "GBY-C007"
    remedy = "Run the same command again: it looks the cluster up by name first."


class ClusterFailedError(ControlPlaneError):
    """The control plane reports the cluster as FAILED."""

    code = "GBY-C008"
    remedy = "Mend the reason that the control plane gives, then run `gridbyoc bootstrap` again."
    exit_status = ExitStatus.CLUSTER_FAILED


class WaitTimedOutError(ControlPlaneError):
    """The cluster was not where it should be when the time was over."""

    code = "GBY-C009"
    remedy = "Go on waiting with `gridbyoc clusters wait NAME`, or allow more time with --timeout."
    exit_status = ExitStatus.TIMED_OUT
