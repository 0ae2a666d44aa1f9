"""The way to AWS: names, connections, proxies, TLS."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, Card

# What the SDKs put before a failure of the network: `operation error STS: …, request send failed, Post "https://…`.
# On a machine that is none of EC2's, looking for the machine's role there fails so too, and means: no credentials.
_SENT = r"^(?!.*no EC2 IMDS role found).*(?:request send failed|sending request|Could not connect to the endpoint URL)"

PROXY = Card(
    "GBY-A140",
    "Proxy does not work",
    "The request was to go through a proxy (HTTPS_PROXY, HTTP_PROXY), and the proxy did not take it.",
    "Check HTTPS_PROXY, its port and its credentials; name what must not go through it in NO_PROXY.",
    (
        # Go's net/http, as AWS provider 5.100 and Terraform's S3 backend show it
        _SENT + r".{0,300}\bproxyconnect tcp\b",
        # botocore: ProxyConnectionError
        r"Failed to connect to proxy URL",
        _SENT + r".{0,300}\bProxy Authentication Required\b",
    ),
)
TLS = Card(
    "GBY-A141",
    "TLS certificate on the way to AWS is not trusted",
    "What answers for AWS shows a certificate that this machine does not trust: a proxy that opens TLS, mostly.",
    "Name your network's CA bundle in AWS_CA_BUNDLE (boto3, the provider and the S3 backend read it), or except AWS "
    "from the proxy's inspection (NO_PROXY).",
    (
        _SENT + r".{0,300}\b(?:x509:|tls: (?!handshake timeout))",
        # botocore: SSLError
        r"SSL validation failed for https?://",
        r"CERTIFICATE_VERIFY_FAILED",
    ),
)
DNS = Card(
    "GBY-A142",
    "Name of an AWS endpoint does not resolve",
    "The name {host} is not known to this machine's resolver: no network, a misspelt region, or an endpoint that is "
    "set.",
    "Check the network and its DNS, aws.region, and AWS_ENDPOINT_URL* in the environment.",
    (
        # Go's resolver, through AWS provider 5.100
        _SENT + r".{0,300}\bdial tcp: lookup (?P<host>[\w.-]{1,253})",
        _SENT + r".{0,300}\bno such host\b",
        # urllib3, where botocore repeats it
        r"Failed to resolve '(?P<host>[\w.-]{1,253})'|Name or service not known|Temporary failure in name resolution",
    ),
    LATER,
)
CONNECTION = Card(
    "GBY-A143",
    "AWS cannot be reached",
    "No connection to {host}: a firewall, a network without a way out, or an endpoint that nothing listens on.",
    "Check the network, the proxy (HTTPS_PROXY), a VPC endpoint's security group, and AWS_ENDPOINT_URL* in the "
    "environment.",
    (
        # Go's net package, through AWS provider 5.100
        _SENT + r".{0,300}\b(?:connection refused|i/o timeout|connection reset|network is unreachable|no route to host|"
        r"EOF|TLS handshake timeout|Client\.Timeout exceeded|context deadline exceeded)",
        # botocore: EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError, ConnectionClosedError
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",
        r"(?:Connect|Read) timeout on endpoint URL: \"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",
        r"Connection was closed before we received a valid response from endpoint URL",
    ),
    LATER,
)

FIPS = Card(
    "GBY-A144",
    "FIPS endpoint does not exist",
    "AWS_USE_FIPS_ENDPOINT (in a profile: use_fips_endpoint) asks for FIPS endpoints, and AWS has none at {host}.",
    "Take the setting away (`unset AWS_USE_FIPS_ENDPOINT`; in a profile: use_fips_endpoint = false), or choose a "
    "region that https://aws.amazon.com/compliance/fips/ lists for every service that is called.",
    (
        # Go's resolver, and botocore's EndpointConnectionError
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{0,100}\bfips\b[\w.-]{1,150})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{0,100}\bfips\b[\w.-]{1,150})",
        # Both SDKs' endpoint rules
        r"\bFIPS (?:and DualStack are|is) enabled,? but this partition does not support|"
        r"\bFIPS and custom endpoint are not supported|A custom endpoint cannot be combined with FIPS|"
        r"Partition does not support FIPS",
    ),
)
DUAL_STACK = Card(
    "GBY-A145",
    "Dual-stack endpoint does not exist",
    "AWS_USE_DUALSTACK_ENDPOINT (in a profile: use_dualstack_endpoint) asks for endpoints with IPv6, and AWS has none "
    "at {host}.",
    "Take the setting away (`unset AWS_USE_DUALSTACK_ENDPOINT`; in a profile: use_dualstack_endpoint = false), or "
    "choose a region whose services https://docs.aws.amazon.com/vpc/latest/userguide/aws-ipv6-support.html lists.",
    (
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{1,150}\.api\.(?:aws|amazonwebservices)\b[\w.-]{0,30})",
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{0,100}\bdualstack\b[\w.-]{1,150})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{1,150}\.api\.(?:aws|amazonwebservices)\b"
        r"[\w.-]{0,30})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{0,100}\bdualstack\b[\w.-]{1,150})",
        r"\bDualStack is enabled but this partition does not support|"
        r"\bDualstack and custom endpoint are not supported|"
        r"Cannot set dual-stack in combination with a custom endpoint",
    ),
)

ENDPOINTS = (FIPS, DUAL_STACK)
"""A setting of the caller's leads to an endpoint that there is not."""

NETWORK = (PROXY, TLS, *ENDPOINTS, DNS, CONNECTION)
