"""Open boto3 sessions, and translate botocore's errors into ours."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore import exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from gridbyoc.aws.credential_process import BoundedProcess, process_timeout
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsCredentialsError, AwsError
from gridbyoc.errors.cards import AWS_CARDS, ENDPOINTS, card_for, with_known_failure
from gridbyoc.stack.redaction import without_secrets
from gridbyoc.stack.sandbox_mark import in_sandbox

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.session import Session as CoreSession
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

    from gridbyoc.aws.credential_words import Looked
    from gridbyoc.aws.identity import Caller

CREDENTIAL_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"""

BUSY = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})
"""Codes with which AWS did not process the request, so they prove nothing about it."""

_NO_ANSWER = "Received error when attempting to retrieve container metadata"
"""The text of ``botocore.utils.ContainerMetadataFetcher`` for an unreachable endpoint."""

CREDENTIAL_ERRORS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    RuntimeError,  # botocore's error for expired credentials in the environment
    getattr(exceptions, "LoginError", SSOError),  # `aws login` (since 2025); an older botocore does not have it
)


@dataclass(frozen=True, slots=True)
class AssumedSession:
    """The role of a session that the tool itself assumed, and the session of the caller who assumed it."""

    role_arn: str
    caller: AwsSession = field(repr=False)


@dataclass(frozen=True, slots=True)
class AwsSession:
    """A boto3 session and the settings of all our clients: short time-outs, standard retries.

    ``callers``: the caller according to STS, for each access key id that the session has had, in order. ``assumed``:
    the role, if the stack file names one (``gridbyoc.aws.assumed_role``).

    Each client is created once, under a lock: boto3's sessions are not thread-safe, but its clients are:
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
    """

    boto: boto3.session.Session
    region: str
    callers: dict[str, Caller] = field(default_factory=dict, repr=False, compare=False)
    assumed: AssumedSession | None = field(default=None, repr=False)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def sts(self) -> STSClient:
        """STS at the region's own endpoint (botocore's default since 1.37)."""
        client: STSClient = self.client("sts")
        return client

    def iam(self) -> IAMClient:
        """IAM (global in its partition)."""
        client: IAMClient = self.client("iam")
        return client

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3 makes clients of every service at run time
        """Any other service in ``region`` (default: the session's), with the same settings."""
        key = (service, region or self.region)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self.boto.client(service, region_name=key[1], config=self.config())
            return self._clients[key]

    @property
    def core(self) -> CoreSession | None:
        """botocore's session, which knows the profile; ``None`` if the boto3 session does not have one."""
        return getattr(self.boto, "_session", None)

    def credentials(self) -> Credentials | None:
        """The credentials that the chain finds; under the lock, as for clients."""
        with self._making:
            return self.boto.get_credentials()

    @staticmethod
    def config() -> Config:
        """The settings of every client."""
        from botocore.config import Config

        return Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 4},
        )


def open_session(region: str, profile: str | None = None) -> AwsSession:
    """A session by boto3's own chain (SSO, assumed role, OIDC, process, environment); ``AwsCredentialsError``."""
    # Imported late, while Terraform's init runs: these imports take longer than all of ours.
    import boto3
    from botocore.credentials import ProcessProvider
    from botocore.session import Session

    from gridbyoc.aws.service_models import models_of

    core = Session(profile=profile)
    # The clients that botocore creates itself, to fetch credentials (SSO, a login, a role), get the same time-outs.
    core.set_default_client_config(AwsSession.config())
    seconds = process_timeout(os.environ)
    with retrieving(core):
        core.register_component("data_loader", models_of(core.get_config_variable("data_path")))
        chain = core.get_component("credential_provider")
        role = chain.get_provider("assume-role")
        start = BoundedProcess(seconds, lambda: _too_slow(core, role, seconds))
        chain.get_provider("custom-process")._popen = start
        role._prompter = _never_ask
        role._profile_provider_builder._create_process_provider = lambda profile_name: ProcessProvider(
            profile_name, lambda: core.full_config, start
        )
        return AwsSession(boto3.session.Session(botocore_session=core, region_name=region), region)


def _too_slow(core: CoreSession, role: Any, seconds: float) -> AwsCredentialsError:  # noqa: ANN401 - of botocore, untyped
    """The error for a profile's process that does not end in time."""
    from gridbyoc.aws.credential_words import never_ending

    del role._visited_profiles[1:]  # else botocore reports a loop when it next reads the same profiles
    why, fix = never_ending(_looked(core, ""), seconds)
    return AwsCredentialsError("There are no usable AWS credentials.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


def _never_ask(_prompt: str) -> str:
    """Replaces botocore's prompt for an MFA code, which would mix with our output, or hang."""
    raise AwsCredentialsError(
        "The AWS profile needs an MFA code, but gridbyoc does not ask for one.",
        why="It has mfa_serial; Terraform cannot ask for the code either.",
        fix="Get a session first (`aws sts get-session-token`, `aws sso login`) and use its credentials.",
        rerun=SAFE_NOTHING_DONE,
    )


@contextmanager
def retrieving(core: CoreSession | None, method: str = "") -> Iterator[None]:
    """Translate errors of finding or fetching the credentials of ``core``; ``method`` is botocore's provider name.

    A proven fault (of a file, a profile, a process, a login, or AWS's refusal) becomes an ``AwsCredentialsError`` that
    names the line and the command that fixes it; if a source cannot be reached, another ``AwsError``.
    """
    what = "There are no usable AWS credentials"
    try:
        yield
    except (ConnectionError, HTTPClientError) as error:
        raise _with_card(_unanswered(what, error)) from None
    except ClientError as error:
        raise _not_given(what, error, _looked(core, method)) from None
    except (BotoCoreError, OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        from gridbyoc.aws.credential_words import explained

        looked = _looked(core, method)
        if not _of_credentials(error, looked):
            raise
        if _NO_ANSWER in str(error):
            fix = "Check the container's credentials endpoint (AWS_CONTAINER_CREDENTIALS_FULL_URI), then run again."
            raise AwsError(f"{what}.", why=without_secrets(str(error)), fix=fix, rerun=SAFE_NOTHING_DONE) from None
        why, fix = explained(error, looked)
        found = AwsCredentialsError(f"{what}.", why=without_secrets(why), fix=fix, rerun=SAFE_NOTHING_DONE)
        raise with_known_failure(found, card_for(f"{error} {why}", AWS_CARDS), keep=True) from None


def _looked(core: CoreSession | None, method: str) -> Looked:
    """Where botocore looked; it reads the process's own environment."""
    from gridbyoc.aws.credential_words import looked_in  # here and below: only an error needs words
    from gridbyoc.aws.profile_file import read_shared_files

    files = read_shared_files(os.environ, Path.home())
    return looked_in(core.instance_variables().get("profile") if core else None, files, os.environ, method)


def _of_credentials(error: Exception, looked: Looked) -> bool:
    """Whether an error is about credentials. AttributeError and TypeError are, if a process printed unexpected JSON."""
    from gridbyoc.aws.credential_words import PROCESS

    if isinstance(error, RuntimeError):
        return "still expired" in str(error)  # how botocore.credentials says so
    return not isinstance(error, (AttributeError, TypeError)) or looked.found(PROCESS) is not None


def _not_given(what: str, error: ClientError, looked: Looked) -> AwsError:
    """The error if AWS refuses a role's, an SSO login's or a web identity's credentials, finally or transiently."""
    from gridbyoc.aws.credential_words import help_for_code, refused_role

    code = error_code(error)
    if code in BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return _with_card(_refused(what, error))
    said = without_secrets(f"{code}: {error.response.get('Error', {}).get('Message', '')}")
    why, fix = (said, help_for_code(code)) if code in CREDENTIAL_CODES else refused_role(looked, said)
    found = AwsCredentialsError(f"{what}.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
    return with_known_failure(found, card_for(said, AWS_CARDS), keep=True)


@contextmanager
def domain_errors(what: str) -> Iterator[None]:
    """Turn botocore's errors into an ``AwsError`` whose message begins with ``what``."""
    try:
        yield
    except ClientError as error:
        raise _with_card(_refused(what, error), error.operation_name) from None
    except (BotoCoreError, KeyError, ValueError, OSError) as error:
        raise _with_card(_unanswered(what, error)) from None
    except RuntimeError as error:
        if "still expired" not in str(error):  # how botocore.credentials says so
            raise
        raise _unanswered(what, error) from None
    except Exception as error:
        if not _unparsable(error):
            raise
        raise _with_card(_unanswered(what, error)) from None


def _unparsable(error: Exception) -> bool:
    """Whether it is botocore's ``ResponseParserError``; its module is loaded if one was raised."""
    parsers = sys.modules.get("botocore.parsers")
    return parsers is not None and isinstance(error, parsers.ResponseParserError)


def _with_card(error: AwsError, operation: str = "") -> AwsError:
    """The error with the known failure that matches; a fix for botocore's own error stays."""
    error.why = without_secrets(error.why)
    return with_known_failure(error, card_for(error.why, AWS_CARDS, known={"action": operation}), keep=not operation)


def _unanswered(what: str, error: Exception) -> AwsError:
    if isinstance(error, CREDENTIAL_ERRORS):
        from gridbyoc.aws.credential_words import help_for

        return AwsCredentialsError(f"{what}.", why=str(error).strip(), fix=help_for(error), rerun=SAFE_NOTHING_DONE)
    if isinstance(error, (ConnectionError, HTTPClientError)):
        fix = "Check the network, the proxy, the region, AWS_ENDPOINT_URL, and the credentials for line breaks."
        fix = _setting_at_fault(str(error)) or fix
        return AwsError(f"{what}: AWS could not be reached.", why=_words(error), fix=fix, rerun=SAFE_NOTHING_DONE)
    if isinstance(error, KeyError) or _unparsable(error):
        # Neither is one of botocore's own errors, and the first quotes the whole body. botocore parses a well-formed
        # XHTML page without complaint, but the page lacks an answer's fields.
        why = "The answer could not be read: it is truncated, or comes from something in between, such as a proxy."
        fix = "Run again; if it persists, check the proxy and AWS_ENDPOINT_URL."
        return AwsError(f"{what}: what answered is not AWS.", why=why, fix=fix)
    if isinstance(error, BotoCoreError):
        fix = _setting_at_fault(str(error)) or "Check the AWS configuration: `aws configure list`."
        return AwsError(f"{what}.", why=str(error), fix=fix, rerun=SAFE_NOTHING_DONE)
    # An invalid endpoint URL or number, or a credential process that is missing or prints no JSON. The texts are not
    # repeated: they quote the setting's value, which may be a secret.
    why = f"botocore cannot use a setting of AWS ({type(error).__name__})."
    fix = "Check AWS_ENDPOINT_URL, the other AWS_* variables, and the profile's settings (credential_process)."
    return AwsError(f"{what}.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


def _setting_at_fault(text: str) -> str:
    """The fix for a setting of the caller that leads to a wrong address; empty if there is none."""
    card = card_for(text, ENDPOINTS)
    if card is not None:
        return card.fix
    if in_sandbox(os.environ):  # without its variables, the next command would use the user's own account
        return "The sandbox has ended: leave this shell (`exit`), and run `gridbyoc sandbox shell`."
    looked = _looked(None, "")
    own = looked.own.get("ca_bundle")
    bundles = {
        "AWS_CA_BUNDLE": os.environ.get("AWS_CA_BUNDLE"),
        f"ca_bundle at {own.place if own else ''}": own.value if own else None,
        "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE"),
    }
    name, bundle = next(((name, path) for name, path in bundles.items() if path), ("", ""))
    if bundle and not Path(bundle).exists():
        return f"{name} names the file {bundle}, which does not exist: correct or remove it."
    endpoints = {name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL") and value}
    leading = next((name for name, value in endpoints.items() if value.rstrip("/") in text), "")
    return f"{leading} leads there: check that service, or `unset {leading}`." if leading else ""


def _words(error: Exception) -> str:
    """A connection error's text. A plain ``HTTPClientError`` quotes headers with the session token: not shown."""
    return "The request could not be sent." if type(error) is HTTPClientError else str(error)


def error_code(error: ClientError) -> str:
    """AWS's own code of an error, e.g. ``NoSuchEntity``."""
    fields: dict[str, Any] = dict(error.response.get("Error", {}))
    return str(fields.get("Code", ""))


def _refused(what: str, error: ClientError) -> AwsError:
    code = error_code(error)
    message = str(error.response.get("Error", {}).get("Message", "")) or code
    if code in CREDENTIAL_CODES:
        from gridbyoc.aws.credential_words import help_for_code

        return AwsCredentialsError(
            f"{what}.", why=f"{code}: {message}", fix=help_for_code(code), rerun=SAFE_NOTHING_DONE
        )
    return AwsError(f"{what}.", why=f"{code}: {message}", fix="Mend what AWS names, then run again.")
