"""What helps against missing, expired and wrong credentials: one command each."""

from __future__ import annotations

from botocore import exceptions

SSO_OVER = (exceptions.SSOTokenLoadError, exceptions.UnauthorizedSSOTokenError, exceptions.TokenRetrievalError)

LOGIN_OVER: tuple[type[Exception], ...] = (getattr(exceptions, "LoginError", exceptions.SSOError),)
"""`aws login` (2025 on): an older botocore does not know it."""

LOG_IN = (
    "Log in first (`aws sso login`, an assumed role, OIDC, or AWS_PROFILE); `aws sts get-caller-identity` "
    "shows what is found."
)

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"""


def help_for(error: Exception) -> str:
    """What to do where botocore finds no usable credentials, by its error."""
    if isinstance(error, SSO_OVER):
        return "The SSO login is over. Log in again: `aws sso login`" + _with_profile("AWS_PROFILE or aws.profile")
    if isinstance(error, LOGIN_OVER):
        return "The login is over. Log in again: `aws login`" + _with_profile("AWS_PROFILE or aws.profile")
    if isinstance(error, exceptions.ProfileNotFound):
        return "`aws configure list-profiles` shows what profiles there are. Log in: `aws configure sso`."
    if isinstance(error, exceptions.PartialCredentialsError):
        return "Set the key id and the secret, or neither. Log in instead: `aws sso login`."
    if isinstance(error, exceptions.CredentialRetrievalError):
        return "Log in to what the profile's source asks; `aws sts get-caller-identity` shows the same in isolation."
    if isinstance(error, RuntimeError):
        return "The credentials are over (AWS_CREDENTIAL_EXPIRATION). Log in again and export the new ones."
    return LOG_IN


def help_for_code(code: str) -> str:
    """What to do where AWS refuses the credentials, by its error code."""
    if code in EXPIRED:
        return "The credentials are over. Log in again: `aws sso login`, or export new ones."
    if code == "SignatureDoesNotMatch":
        return (
            "The secret does not belong to the key id, or this machine's clock is wrong (`date -u`). "
            "`aws configure list` shows where the key comes from."
        )
    if code in {"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "AuthFailure"}:
        return (
            "AWS does not know this key: it was deleted, is inactive, is of another partition, or the region is not "
            "enabled in the account. `aws configure list` shows where the key comes from."
        )
    return LOG_IN


def _with_profile(where: str) -> str:
    return f" (with `--profile NAME` where {where} names one)."
