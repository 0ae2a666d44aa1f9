"""Any JSON, any text, any bytes in: a model or an error of ours out, and nothing secret in either."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.changes import differences
from gridbyoc.control_plane.failures import HttpAnswer, retry_after, server_words
from gridbyoc.control_plane.http import (
    Authorization,
    Http,
    HttpRequest,
    NoAnswerError,
    RetryPatience,
    Timing,
    base_url,
    basic,
    cluster_path,
    is_transient,
)
from gridbyoc.control_plane.model import Cleaner, Cluster, Grant, Listing, Phase
from gridbyoc.control_plane.parse import cluster, moment, offered_types, price, snake
from gridbyoc.control_plane.registrar import FORMS, ClusterRegistrar
from gridbyoc.control_plane.transport import proxies_for
from gridbyoc.errors import ClusterNotFoundError, ControlPlaneError, GridbyocError, UsageError
from gridbyoc.stack.background import within
from gridbyoc.stack.loopback import is_loopback
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import VENDORS, VendorType, facts_of
from tests.unit.fakes import GRANT, ROLE, Time

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = ["id", "name", "spec", "status", "phase", "reason", "driver", "kubernetes", "aws", "awsV1", "roleArn",
        "role_arn",
        "externalId", "region", "regions", "instanceTypes", "instance_types", "overprovisioning",
        "availableAccelerators",
        "desiredState", "performanceProfile", "createdAt", "clusters", "instanceType", "rootVolumeSize", "message",
        "minimumCount", "accelerator", "resources", "hourlyCost", "spot", "accountId", "defaultCluster"]  # fmt: skip
LEAVES = st.sampled_from(["CLUSTER_STATE_RUNNING", "AWS", "x", "3", "", 3, 0, 1.5, True, None, "2026-01-01T00:00:00Z"])
CLUSTERISH = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)


class Scripted:
    """An exchange that answers from a list, the last for ever; ``None`` is no answer."""

    def __init__(self, *answers: HttpAnswer | None) -> None:
        self.answers = list(answers)
        self.calls: list[HttpRequest] = []
        self.seconds: list[float] = []

    def __call__(self, call: HttpRequest, seconds: float) -> HttpAnswer:
        self.calls.append(call)
        self.seconds.append(seconds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NoAnswerError("nothing", sent=True)
        return answer


def http(*answers: HttpAnswer | None, time: Time | None = None, **patience: Any) -> tuple[Http, Scripted]:
    exchange, time = Scripted(*answers), time or Time()
    timing = Timing(time.clock, time.sleep, lambda: 0.0)
    return Http("http://cp", exchange, timing, patience=RetryPatience(**patience)), exchange


def as_answer(value: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(value).encode())


def error_of(call: Callable[[], object]) -> GridbyocError | None:
    """The error of ours that ``call`` raises; any other one ends the test."""
    try:
        call()
    except GridbyocError as error:
        return error
    return None


def calls(registrar: ClusterRegistrar) -> list[Any]:
    spec = ClusterSpec("ml", (InstanceType("t3.large", 1, 10),))
    return [
        registrar.list,
        registrar.listing,
        lambda: registrar.get("id"),
        lambda: registrar.find("x"),
        lambda: registrar.create(spec, GRANT),
        lambda: registrar.update(Cluster("id", "ml", Phase.RUNNING), spec, GRANT),
        lambda: registrar.delete("id"),
        lambda: registrar.instance_types("id"),
        lambda: registrar.cloud_account_id("id"),
    ]


@given(
    CLUSTERISH | JSON, st.sampled_from([200, 200, 200, 400, 404, 409, 503]), st.integers(0, 8), st.sampled_from(VENDORS)
)
def test_any_json_is_understood_or_an_error_of_ours(value: Any, status: int, which: int, vendor: VendorType) -> None:
    for wrapped in (value, {"clusters": [value]}, {"clusters": value, "instanceTypes": value, "accelerator": value}):
        client, _ = http(as_answer(wrapped, status))
        error = error_of(calls(ClusterRegistrar(client, facts_of(vendor)))[which])
        assert error is None or isinstance(error, ControlPlaneError | UsageError)


@given(st.binary(max_size=60), st.integers(100, 599))
def test_any_bytes_and_status_are_an_answer_or_an_error_of_ours(body: bytes, status: int) -> None:
    client, _ = http(HttpAnswer(status, {"content-type": "text/html"}, body))
    error = error_of(ClusterRegistrar(client, facts_of("grid")).list)
    assert isinstance(error, ControlPlaneError) or (error is None and 200 <= status < 300)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_deleted_cluster_is_in_no_list_and_holds_no_name(vendor: VendorType) -> None:
    """Whoever asks for clusters gets none that is deleted: nobody has to leave it out again."""
    states = {"gone": "DELETED", "up": "RUNNING", "going": "RUNNING"}
    raw: list[dict[str, Any]] = [
        {"id": f"id-{name}", "name": name, "status": {"phase": f"CLUSTER_STATE_{state}"}}
        for name, state in states.items()
    ]
    raw[2]["spec"] = {"desiredState": "CLUSTER_STATE_DELETED"}
    registrar = ClusterRegistrar(http(as_answer({"clusters": raw, "defaultCluster": "id-up"}))[0], facts_of(vendor))
    assert [each.name for each in registrar.list()] == ["up", "going"]
    assert registrar.listing() == Listing(registrar.list(), "id-up")
    assert registrar.find("gone") is None
    assert registrar.find("going") is not None


def test_json_that_is_nested_without_end() -> None:
    client, _ = http(HttpAnswer(200, {}, b"[" * 200_000))
    with pytest.raises(ControlPlaneError, match="not the control plane's API"):
        ClusterRegistrar(client, facts_of("grid")).list()


@given(st.text(min_size=2, max_size=20), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_in_no_cleaned_text(secret: str, before: str, after: str) -> None:
    shown = Cleaner(limit=30)(f"{before}{secret}{after}", Secret(secret))
    if secret.isprintable() and secret not in "[secret] ..." and " " not in secret:
        assert secret not in shown.replace("[secret]", "\0")
    assert shown.isprintable()
    assert len(shown) <= 30 + len(" ...")


def test_a_secret_is_redacted_before_the_text_is_cut() -> None:
    assert Cleaner(Secret("abcdefgh"), limit=8)("1234 abcdefgh") == "1234 [se ..."
    assert Cleaner(Secret("a/b c"))("x a%2Fb%20c y a\\/b c") == "x [secret] y [secret]"


def test_both_spellings_and_both_kinds_of_driver_are_read() -> None:
    old = {
        "id": "i", "name": "n", "created_at": "2026-01-02T03:04:05.999999999+02:00",
        "spec": {"cluster_type": "CLUSTER_TYPE_BYOC", "desired_state": "CLUSTER_STATE_DELETED", "performance_profile":
                 "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING", "driver": {"kubernetes": {"aws": {
                     "role_arn": ROLE, "external_id": "x1", "region": "us-east-1", "bucket_name": "b",
                     "instance_types": [
                         {"name": "t3.large", "overprovisioned_ondemand_count": "2", "root_volume_size": 10}]}}}},
        "status": {"phase": "CLUSTER_STATE_RUNNING"},
    }  # fmt: skip
    found = cluster(old, Cleaner())
    assert found.status == "terminating"
    assert found.created_at == datetime(2026, 1, 2, 1, 4, 5, 999999, tzinfo=timezone.utc)
    assert (found.cluster_type, found.performance_profile, found.bucket_name) == ("byoc", "cost-saving", "b")
    assert found.instance_types == (InstanceType("t3.large", 2, 10),)
    today = {"id": "i", "spec": {"driver": "AWS", "awsV1": {"roleArn": ROLE, "primaryRegion": "eu-west-1"},
             "availableAccelerators": ["t3.large", "m5.large"],
             "overprovisioning": [{"instanceType": "m5.large", "count": 4, "volumeSize": 9}]}}  # fmt: skip
    found = cluster(today, Cleaner())
    assert (found.role_arn, found.region, found.phase) == (ROLE, "eu-west-1", Phase.UNSPECIFIED)
    assert found.instance_types == (InstanceType("t3.large"), InstanceType("m5.large", 4, 9))
    assert found.status == "unspecified"


@pytest.mark.parametrize(
    "raw, where",
    [({"id": 7}, "id is not text"), ({"spec": []}, "spec is not an object"),
     ({"status": {"phase": 1.5}}, "phase is not text"),
     ({"spec": {"overprovisioning": {}}}, "overprovisioning is not a list of objects"),
     ({"spec": {"awsV1": {"x": 1}, "availableAccelerators": [1]}}, "availableAccelerators is not a list of texts"),
     ({"spec": {"driver": {"kubernetes": {"aws": {"instanceTypes": [{"rootVolumeSize": True}]}}}}},
      "rootVolumeSize is not a whole number")],
)  # fmt: skip
def test_fields_of_a_wrong_type_are_named(raw: Any, where: str) -> None:
    with pytest.raises(ControlPlaneError, match=where):
        ClusterRegistrar(http(as_answer(raw))[0], facts_of("grid")).get("id")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+99:00", None, 7, []])
def test_a_time_that_cannot_be_read_is_none(text: object) -> None:
    assert moment(text) is None


def test_prices_that_are_none() -> None:
    assert [price({"p": value}, "p") for value in ("0.5", 2, None, "x", [], "nan", 10**400)] == [0.5, 2.0] + [None] * 5
    (both,) = offered_types([{"name": "a", "spot": True, "hourlyCost": 1}, {"name": "a", "hourlyCost": 2}], Cleaner())
    assert (both.spot_hourly, both.on_demand_hourly) == (1.0, 2.0)


def test_names_in_snake_case() -> None:
    assert snake("overprovisionedOndemandCount") == "overprovisioned_ondemand_count"


@pytest.mark.parametrize("method, tries", [("GET", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1)])
@pytest.mark.parametrize("answer", [None, HttpAnswer(503), HttpAnswer(429)])
def test_only_idempotent_calls_are_repeated(method: str, tries: int, answer: HttpAnswer | None) -> None:
    client, exchange = http(answer, tries=4)
    with pytest.raises(ControlPlaneError):
        client.call(method, "/x", dict)
    assert len(exchange.calls) == tries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 501])
def test_what_is_refused_is_not_repeated(status: int) -> None:
    client, exchange = http(HttpAnswer(status))
    with pytest.raises(ControlPlaneError) as caught:
        client.call("GET", "/x", dict)
    assert len(exchange.calls) == 1
    assert is_transient(caught.value) is (status in {408, 501})


@given(
    st.lists(st.sampled_from([None, 200, 500, 429, 404]), min_size=1, max_size=8), st.floats(0.5, 60), st.integers(1, 6)
)
def test_a_call_ends_within_its_deadline(script: list[int | None], within: float, tries: int) -> None:
    time = Time()
    client, exchange = http(*(None if s is None else HttpAnswer(s) for s in script), time=time, tries=tries)
    error_of(lambda: client.call("GET", "/x", dict, within=within))
    assert time.now < within
    assert len(exchange.calls) <= tries
    assert all(0 < seconds <= within for seconds in exchange.seconds)


def test_a_server_that_says_when_to_come_back_is_asked_until_the_deadline() -> None:
    """Many stacks of a fleet ask at the same time: five tries would be used up in ten seconds."""
    busy = HttpAnswer(429, {"retry-after": "2"})
    client, exchange = http(*[busy] * 20, HttpAnswer(200, body=b"{}"), time=Time(), tries=5)
    assert client.call("GET", "/x", dict) == {}
    assert len(exchange.calls) == 21
    time = Time()
    client, exchange = http(busy, time=time, tries=5)
    with pytest.raises(ControlPlaneError, match="429"):
        client.call("GET", "/x", dict)
    assert 110 < time.now < 120
    assert all(2.0 <= nap <= 2.5 for nap in time.naps)


def test_pauses_double_up_to_a_longest_one() -> None:
    time = Time()
    client, _ = http(HttpAnswer(500), time=time, tries=8, longest_pause=4.0)
    with pytest.raises(ControlPlaneError):
        client.call("GET", "/x", dict)
    assert time.naps == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "value, seconds",
    [("3", 3), ("0", 0), ("-1", None), ("soon", None), ("", None), ("9" * 400, 6 * 3600), ("9" * 5000, None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)  # fmt: skip
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(HttpAnswer(503, {"retry-after": value})) == seconds


def test_the_words_of_an_error_body() -> None:
    assert server_words({"message": "m", "details": ["a", {"message": "b"}, {"@type": "t"}, 3, None, "a"]}) == "m; a; b"
    assert server_words({"error": "e", "details": "no list"}) == "e"
    assert server_words({"message": 3}) == ""


@pytest.mark.parametrize(
    "text, url",
    [("https://A.example//", "https://a.example"), (" http://x:80/base/ ", "http://x:80/base"),
     ("http://[::1]:8080/", "http://[::1]:8080")],
)  # fmt: skip
def test_base_urls(text: str, url: str) -> None:
    assert base_url(text, "--url") == url


@pytest.mark.parametrize(
    "text", ["", "platform.grid.ai", "ftp://x", "https://", "http://x:port", "http://u:pass-word@x", "http://u@x",
             "https://x?q=1", "https://x#f", "http://[::1", "http://a b", "//x"],
)  # fmt: skip
def test_urls_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError, match="--url") as caught:
        base_url(text, "--url")
    assert "pass-word" not in caught.value.what
    assert caught.value.__context__ is None


def test_proxies() -> None:
    env = {"HTTPS_PROXY": "http://p:1", "all_proxy": "http://a:1", "no_proxy": "inner.example"}
    assert proxies_for("https://x.example", env) == {"https": "http://p:1"}
    assert proxies_for("http://x.example", env) == {"http": "http://a:1"}
    assert proxies_for("https://inner.example", env) == {}
    for url in ("http://127.0.0.1:1", "http://localhost", "http://[::1]:2"):
        assert is_loopback(url)
        assert proxies_for(url, env) == {}
    assert not is_loopback("http://127.evil.example")


def test_work_within_a_time_returns_raises_or_is_left_behind() -> None:
    never = threading.Event()
    assert within(5.0, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)
    assert within(0.01, lambda: never.wait(5.0)) is None
    never.set()


def test_an_authorization_does_not_show_itself() -> None:
    assert repr(basic("u", Secret("the-key"))) == "Authorization(Basic)"
    assert repr(Authorization()) == "Authorization(none)"
    assert "the-key" not in repr(HttpRequest("POST", "/", body={"apiKey": "the-key"}))


SPECS = st.builds(
    ClusterSpec,
    st.just("ml"),
    st.lists(
        st.builds(InstanceType, st.sampled_from(["t3.large", "m5.large", "p2.xlarge"]), st.integers(0, 3),
                  st.none() | st.integers(1, 9)),
        unique_by=lambda item: item.name, max_size=3,
    ).map(tuple),
    st.sampled_from([None, "default", "cost-saving"]),
)  # fmt: skip


@given(SPECS, SPECS, st.dictionaries(st.sampled_from(["costFactor", "other"]), JSON, max_size=2))
def test_after_an_update_nothing_differs_and_nothing_unknown_is_lost(
    before: ClusterSpec, after: ClusterSpec, unknown: dict[str, Any]
) -> None:
    for facts in map(facts_of, VENDORS):
        registrar, merge = ClusterRegistrar(http(None)[0], facts), FORMS[facts.api.spec].merged
        old = registrar.request(before, Grant(ROLE + "-old", Secret("old"), GRANT.region))["spec"] | unknown
        new = merge(old, after, GRANT)
        found = cluster({"id": "i", "name": "ml", "spec": new}, Cleaner())
        assert registrar.diff(found, after, GRANT) == ()
        assert {key: new[key] for key in unknown} == unknown
        assert merge(new, after, GRANT) == new


def test_differences_in_words() -> None:
    found = Cluster("i", "ml", Phase.RUNNING, role_arn="old", external_id=Secret("a"), region="us-east-1",
                    instance_types=(InstanceType("t3.large", 2, 50), InstanceType("gone")))  # fmt: skip
    spec = ClusterSpec("ml", (InstanceType("new.large"), InstanceType("t3.large")), "cost-saving")
    shown = {change.field: (change.before, change.after) for change in differences(found, spec, GRANT)}
    assert shown == {
        "role_arn": ("old", ROLE),
        "external_id": ("[secret]", "[secret]"),
        "performance_profile": ("(absent)", "cost-saving"),
        "instance_types[t3.large]": (
            "offered, 2 on demand kept ready, root volume 50 GiB",
            "offered, root volume 50 GiB",
        ),
        "instance_types[gone]": ("offered", "(absent)"),
        "instance_types[new.large]": ("(absent)", "offered"),
    }
    assert differences(found, ClusterSpec("ml"), None) == ()


@pytest.mark.parametrize("ident", ["", ".", ".."])
def test_an_id_that_would_leave_the_path_is_no_clusters(ident: str) -> None:
    with pytest.raises(ClusterNotFoundError):
        cluster_path(ident)


def test_an_id_is_one_part_of_the_path() -> None:
    assert cluster_path("a/../b?c", "logs") == "/v1/core/clusters/a%2F..%2Fb%3Fc/logs"
