"""Explain why boto3 finds no usable credentials: the line in the user's files, and the command that fixes it."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from botocore import exceptions

from gridbyoc.aws.credential_process import TIMEOUT
from gridbyoc.aws.profile_file import DEFAULT, PROFILE_VARIABLES, ProfileSection, ProfileSetting, SharedFiles

SSO_OVER = (exceptions.SSOTokenLoadError, exceptions.UnauthorizedSSOTokenError, exceptions.TokenRetrievalError)

LOGIN_OVER: tuple[type[Exception], ...] = (getattr(exceptions, "LoginError", exceptions.SSOError),)
"""The error of `aws login` (since 2025); an older botocore does not have it."""

LOG_IN = (
    "Log in first (`aws sso login`, an assumed role, OIDC, or AWS_PROFILE); `aws sts get-caller-identity` "
    "shows what is found."
)

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"""

PROCESS = "credential_process"
TOKEN_FILE = "web_identity_token_file"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class Looked:
    """Where botocore looked: the profile, what names it (``AWS_PROFILE``, ``aws.profile``), files, variables.

    ``method`` is botocore's name of the provider that had to fetch the credentials, if it was found.
    """

    profile: str
    named_by: str
    files: SharedFiles
    environ: Mapping[str, str]
    method: str = ""

    @property
    def own(self) -> ProfileSection:
        """The profile's settings; empty if it does not exist."""
        return self.files.profiles.get(self.profile, {})

    def chain(self) -> tuple[str, ...]:
        """The profile, its ``source_profile``, and so on, up to a profile that is missing or already in the chain."""
        names = [self.profile]
        while (source := _source(self.files.profiles.get(names[-1], {}))) and names.count(names[-1]) == 1:
            names.append(source.value)
        return tuple(names)

    def found(self, setting: str) -> tuple[str, ProfileSetting] | None:
        """The last profile of the chain that has this setting, and the setting."""
        for name in reversed(self.chain()):
            if setting in self.files.profiles.get(name, {}):
                return name, self.files.profiles[name][setting]
        return None


def _source(profile: ProfileSection) -> ProfileSetting | None:
    """The ``source_profile``; as in botocore, it does not count without a role or with web identity."""
    return profile.get("source_profile") if "role_arn" in profile and TOKEN_FILE not in profile else None


def looked_in(explicit: str | None, files: SharedFiles, environ: Mapping[str, str], method: str = "") -> Looked:
    """Where botocore looks; ``explicit``: the profile that a stack file or an option names."""
    variable = next((name for name in PROFILE_VARIABLES if name in environ), "")
    if explicit is not None:
        return Looked(explicit, "aws.profile or --profile", files, environ, method)
    return Looked(environ.get(variable, DEFAULT) if variable else DEFAULT, variable, files, environ, method)


def explained(error: Exception, looked: Looked) -> tuple[str, str]:
    """Why there are no credentials, and the fix; neither text quotes a value that may be a secret."""
    if looked.files.faults and isinstance(error, exceptions.ConfigParseError):
        fault = looked.files.faults[0]
        return f"{fault.place}: {fault.what}.", fault.fix
    for kinds, words in _REASONS:
        if isinstance(error, kinds):
            return words(error, looked)
    return str(error).strip() or type(error).__name__, help_for(error)


def _no_profile(_error: Exception, looked: Looked) -> tuple[str, str]:
    name = looked.profile
    if not name:
        return (
            f"{looked.named_by} is set, and empty; boto3 looks for a profile of that name.",
            f"`unset {looked.named_by}`.",
        )
    named = f"{looked.named_by} names the profile {name}" if looked.named_by else f"There is no profile {name}"
    if header := looked.files.unprefixed.get(name):
        right = f"[profile {name}]"
        fix = f"Correct it: `sed -i {shlex.quote(f'{header.line}s/.*/{right}/')} {shlex.quote(str(header.file))}`."
        return f"{header.place}: [{name}] is not read as a profile: in this file its header has to be {right}.", fix
    files = f"neither {looked.files.config} nor {looked.files.credentials} has it"
    return (
        f"{named}; {files}.",
        f"`aws configure list-profiles` shows what there is; `aws configure sso{_flag(name)}` makes it.",
    )


def _loop(error: Exception, looked: Looked) -> tuple[str, str]:
    chain = looked.chain()
    if len(set(chain)) == len(chain):
        # On its second read of a profile, botocore reports a loop, whatever the first error was.
        return _invalid(error, looked)
    setting = looked.files.profiles[chain[-2]]["source_profile"]
    what = f"{setting.place}: source_profile = {setting.value} leads back to where it began ({' -> '.join(chain)})."
    return what, f"Name a profile that has credentials of its own: {_edit(setting)}."


def _invalid(error: Exception, looked: Looked) -> tuple[str, str]:
    chain, profiles = looked.chain(), looked.files.profiles
    if len(chain) > 1 and chain[-1] not in profiles:
        setting = profiles[chain[-2]]["source_profile"]
        what = f"{setting.place}: source_profile = {setting.value}, and there is no profile of that name."
        return what, f"Make it: `aws configure sso{_flag(setting.value)}`; or correct the name: {_edit(setting)}."
    for name in chain:
        session = profiles.get(name, {}).get("sso_session")
        if session and session.value not in looked.files.sso_sessions:
            what = f"{session.place}: sso_session = {session.value}, and there is no [sso-session {session.value}]."
            return what, f"`aws configure sso-session` makes it (its name: {session.value})."
    token = looked.found(TOKEN_FILE)
    if token and "role_arn" not in profiles[token[0]]:
        what = f"{token[1].place}: the profile {token[0]} has a {TOKEN_FILE}, and no role_arn that the token is for."
        return what, f"`aws configure set role_arn ARN{_flag(token[0])}`."
    text = str(error).strip().rstrip(".")
    if len(chain) > 1 and not any(_of_credentials(setting) for setting in profiles[chain[-1]]):
        header = looked.files.headers[chain[-1]]
        what = f"{header.place}: the profile {chain[-1]}, the source_profile of {chain[-2]}, has no credentials."
        return what, f"`aws configure sso{_flag(chain[-1])}` gives it some."
    begins = looked.files.headers.get(looked.profile)
    place = f"{begins.place}: " if begins else ""
    fix = (
        f"`aws configure sso{_flag(looked.profile)}` asks for what is missing."
        if "SSO" in text or "sso" in text
        else ""
    )
    return f"{place}{text}.", fix or (f"Correct it: {_edit(begins)}." if begins else "Correct the AWS_* variables.")


def _of_credentials(setting: str) -> bool:
    of_others = ("role_arn", PROCESS, TOKEN_FILE, "login_session", "aws_access_key_id")
    return setting in of_others or setting.startswith("sso_")


def _partial(error: Exception, looked: Looked) -> tuple[str, str]:
    if role := looked.found("role_arn"):
        name, setting = role
        if _source(looked.files.profiles[name]) is None and "assume-role" in str(error):
            what = f"{setting.place}: the profile {name} has a role_arn, and nothing says whose credentials assume it"
            fix = f"`aws configure set source_profile NAME{_flag(name)}`, where NAME is a profile with credentials"
            return f"{what} (no source_profile, no credential_source, no {TOKEN_FILE}).", f"{fix}."
    if looked.environ.get("AWS_ACCESS_KEY_ID") and "assume-role" not in str(error):
        what = "AWS_ACCESS_KEY_ID is set in the environment, and AWS_SECRET_ACCESS_KEY is not."
        return what, "Set both, or neither: `unset AWS_ACCESS_KEY_ID`."
    for name in ("aws_access_key_id", "aws_secret_access_key"):
        if half := looked.found(name):
            what = f"{half[1].place}: the profile {half[0]} has one half of an access key, {name}, and not the other."
            return what, f"`aws configure{_flag(half[0])}` asks for both."
    return str(error).strip(), help_for(error)


def _no_file(error: Exception, looked: Looked) -> tuple[str, str]:
    """Explain a file that cannot be opened: a program to run, or a token to read."""
    missing = str(getattr(error, "filename", None) or "")
    reason = "cannot be read"
    if isinstance(error, FileNotFoundError):
        reason = "does not exist"
    elif isinstance(error, PermissionError):
        reason = "you may not open"
    if missing and missing == looked.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and not looked.found(TOKEN_FILE):
        what = f"AWS_WEB_IDENTITY_TOKEN_FILE names {missing}, which {reason}."
        unset = "`unset AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN`"
        return what, f"Whatever started this job has to write the token there. If web identity is not meant: {unset}."
    if token := looked.found(TOKEN_FILE):
        what = (
            f"{token[1].place}: the profile {token[0]} reads a token from {missing or token[1].value}, which {reason}."
        )
        return what, f"Write the token there, or correct the path: {_edit(token[1])}."
    if process := looked.found(PROCESS):
        program = missing or _program(process[1])
        what = f"{process[1].place}: {PROCESS} of the profile {process[0]} runs {program}, which"
        if isinstance(error, PermissionError):
            return f"{what} may not be executed.", f"`chmod +x {shlex.quote(program)}`."
        what += f" {reason}."
        return what, f"Install it, or correct the path: {_edit(process[1])}."
    return f"{missing or 'A file'} {reason}.", "Check the AWS_* variables that name files, and the profile's settings."


def _no_parameter(error: Exception, looked: Looked) -> tuple[str, str]:
    """Explain an invalid token or role, which botocore refuses to send."""
    text = " ".join(str(error).split()).partition("failed: ")[2] or str(error)
    token, role = looked.found(TOKEN_FILE), looked.found("role_arn")
    named = looked.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if "WebIdentityToken" in text and (token or named):
        what = f"{token[1].place}: {token[1].value}" if token else f"AWS_WEB_IDENTITY_TOKEN_FILE: {named}"
        return (
            f"{what} holds no token (it is empty, or shorter than any).",
            "Whatever writes the token has to run again.",
        )
    place = f"{role[1].place}: " if role else ""
    return (
        f"{place}{text}",
        f"Correct it: {_edit(role[1])}." if role else "Correct AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME.",
    )


def _not_json(error: Exception, looked: Looked) -> tuple[str, str]:
    process = looked.found(PROCESS)
    if process is None:
        return _setting(error, looked)
    name, setting = process
    what = f"{setting.place}: {PROCESS} of the profile {name} printed something else than the JSON of credentials."
    return what, f"Look at what it prints: {_run_it(name)}; messages of its own belong on stderr."


def _setting(error: Exception, _looked: Looked) -> tuple[str, str]:
    """Explain an unusable setting without botocore's text, which quotes a value that may be a secret."""
    why = f"botocore cannot use a setting of AWS ({type(error).__name__})."
    return why, "Check the AWS_* variables and the profile's settings: `aws configure list`."


def _retrieval(error: Exception, looked: Looked) -> tuple[str, str]:
    said = str(error).partition(": ")[2].strip() if "custom-process" in str(error) else ""
    process = looked.found(PROCESS)
    if "custom-process" not in str(error) or process is None:
        return str(error).strip(), help_for(error)
    name, setting = process
    lines = " ".join(line.strip() for line in said.splitlines() if line.strip())[:400] or "it said nothing"
    what = f"{setting.place}: {PROCESS} of the profile {name} failed: {lines}"
    return what, f"Log in to what it asks, and run it by itself: {_run_it(name)}."


def never_ending(looked: Looked, seconds: float) -> tuple[str, str]:
    """Explain a process that did not end within ``seconds``: the reason and the fix."""
    found = looked.found(PROCESS)
    place = f"{found[1].place}: " if found else ""
    name = found[0] if found else looked.profile
    what = f"{place}{PROCESS} of the profile {name} did not end within {seconds:g} s, and was stopped."
    more = f"If it needs longer: `export {TIMEOUT}={max(300, math.ceil(seconds * 5))}` (seconds)."
    return what, f"Look at what it waits for: {_run_it(name)}. {more}"


def _over(error: Exception, looked: Looked) -> tuple[str, str]:
    process = looked.found(PROCESS)
    if process and looked.method not in ("", "env"):
        name, setting = process
        what = f"{setting.place}: {PROCESS} of the profile {name} returned credentials that have already expired."
        return what, f"Log in to what it asks, and run it by itself: {_run_it(name)}."
    return str(error).strip(), help_for(error)


def _sso(error: Exception, looked: Looked) -> tuple[str, str]:
    name = next(
        (each for each in reversed(looked.chain()) if _is_sso(looked.files.profiles.get(each, {}))), looked.profile
    )
    return str(error).strip(), f"The SSO login has expired. Log in again: `aws sso login{_flag(name)}`."


def _is_sso(profile: ProfileSection) -> bool:
    return any(setting.startswith("sso_") for setting in profile)


def _login(error: Exception, looked: Looked) -> tuple[str, str]:
    found = looked.found("login_session")
    return str(
        error
    ).strip(), f"The login is over. Log in again: `aws login{_flag(found[0] if found else looked.profile)}`."


def _needs_crt(error: Exception, looked: Looked) -> tuple[str, str]:
    found = looked.found("login_session")
    if found is None:
        return str(error).strip(), "Install what it names."
    name, setting = found
    what = f"{setting.place}: the profile {name} was made by `aws login`, which boto3 can use only with the AWS CRT."
    return what, f"Install it: `{shlex.quote(sys.executable)} -m pip install 'botocore[crt]'`."


_REASONS = (
    ((exceptions.ProfileNotFound,), _no_profile),
    ((exceptions.InfiniteLoopConfigError,), _loop),
    ((exceptions.InvalidConfigError,), _invalid),
    ((exceptions.PartialCredentialsError,), _partial),
    ((exceptions.ParamValidationError,), _no_parameter),
    ((exceptions.MissingDependencyException,), _needs_crt),
    (SSO_OVER, _sso),
    (LOGIN_OVER, _login),
    ((exceptions.CredentialRetrievalError,), _retrieval),
    ((OSError,), _no_file),
    ((json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError), _not_json),
    ((ValueError, KeyError), _setting),
    ((RuntimeError,), _over),
)
"""Specific classes first."""


def refused_role(looked: Looked, said: str) -> tuple[str, str]:
    """The reason (AWS's own message) and the fix if AWS refuses a role's credentials."""
    role = looked.found("role_arn")
    if role is None:
        return said, "Ask the administrators of the role or permission set; `aws sts get-caller-identity` fails, too."
    name, setting = role
    source = _source(looked.files.profiles[name])
    asks = (
        f"`aws sts get-caller-identity{_flag(source.value)}` shows who asks for it"
        if source
        else "its trust policy says who may"
    )
    return f"{setting.place}: AWS does not give the role of the profile {name}: {said}", f"{asks[0].upper()}{asks[1:]}."


def _flag(profile: str) -> str:
    return "" if profile == DEFAULT else f" --profile {shlex.quote(profile)}"


def _edit(setting: ProfileSetting) -> str:
    return f'`"${{EDITOR:-vi}}" +{setting.line} {shlex.quote(str(setting.file))}`'


def _run_it(profile: str) -> str:
    """A command line that runs the process without quoting its command, which may contain a secret."""
    return f'`sh -c "$(aws configure get {PROCESS}{_flag(profile)})"`'


def _program(setting: ProfileSetting) -> str:
    try:
        return shlex.split(setting.value)[0]
    except (ValueError, IndexError):
        return "a program"


def help_for(error: Exception) -> str:
    """The fix for a botocore error about credentials, chosen only by the error's class."""
    if isinstance(error, SSO_OVER):
        return "The SSO login has expired. Log in again: `aws sso login`" + _with_profile("AWS_PROFILE or aws.profile")
    if isinstance(error, LOGIN_OVER):
        return "The login is over. Log in again: `aws login`" + _with_profile("AWS_PROFILE or aws.profile")
    if isinstance(error, exceptions.ProfileNotFound):
        return "`aws configure list-profiles` lists the profiles. Log in: `aws configure sso`."
    if isinstance(error, exceptions.PartialCredentialsError):
        return "Set the key id and the secret, or neither. Log in instead: `aws sso login`."
    if isinstance(error, exceptions.CredentialRetrievalError):
        return "Log in to what the profile's source asks; `aws sts get-caller-identity` shows the same in isolation."
    if isinstance(error, RuntimeError):
        return "The credentials are over (AWS_CREDENTIAL_EXPIRATION). Log in again and export the new ones."
    return LOG_IN


def help_for_code(code: str) -> str:
    """The fix for AWS's refusal of the credentials, by its error code."""
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
