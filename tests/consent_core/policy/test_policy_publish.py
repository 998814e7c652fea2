"""Publishing tests, refuses, evaluates and signs; a policy that is not fit never becomes a bundle."""

import dataclasses
from pathlib import Path

import pytest

from consent_core.errors import Rejected
from consent_core.policy.capabilities import ALLOWED, FORBIDDEN
from consent_core.policy.evaluation import CATALOGUE, evaluate, evaluate_table
from consent_core.policy.examination import examine
from consent_core.policy.publish import PolicyRelease, publish
from consent_core.policy.sources import read_sources

NOW = 1_800_000_000
ROOT = Path(__file__).parents[3]
EMPTY = {"consent_edge": {"settings": {}}}


def examined(body, tests=None, deadline_s=60.0):
    """One module of these rules, examined."""
    source = f"package consent_edge.probe\n\n{body}\n"
    return examine({"consent_edge/probe/probe.rego": source}, EMPTY, [("consent_edge/probe/p", {})], tests, deadline_s)


def refused(action):
    with pytest.raises(Rejected) as refusal:
        action()
    return refusal.value


def changed(sources, path, old, new, count=1):
    """The sources with one module edited."""
    assert old in sources.modules[path]
    modules = {**sources.modules, path: sources.modules[path].replace(old, new, count)}
    return dataclasses.replace(sources, modules=modules)


@pytest.mark.parametrize(
    "body",
    [
        'p := http.send({"method": "get", "url": "http://127.0.0.1"})',
        "p := opa.runtime()",
        'p := net.cidr_contains("10.0.0.0/8", "10.0.0.1")',
        'p := net.lookup_ip_addr("localhost")',
        'p := rego.parse_module("x", "package x")',
        'p := http["send"]({"method": "get"})',
        "p := http . send({})",
        'p := $"{opa.runtime()}"',
        "p := [x | x := opa.runtime()]",
        "p := 1\n\ndead := opa.runtime()",
        "f(_) := opa.runtime()\n\np := 1",
        "p if count([1]) == 1 with count as opa.runtime",
        "p := time.now_ns()",
        'p := rand.intn("x", 10)',
        'p := uuid.rfc4122("x")',
    ],
)
def test_forbidden_built_ins_are_refused(body):
    """However a call is written, and wherever it hides; also whatever would make the table untrue."""
    assert refused(lambda: examined(body)).code in {"policy-builtin", "policy-compile"}


def test_an_aliased_package_is_refused():
    """Binding the package to a variable first does not get a call through."""
    body = "p if {\n\tx := http\n\tx.send({})\n}"

    assert refused(lambda: examined(body)).code in {"policy-builtin", "policy-compile"}


@pytest.mark.parametrize(
    "body",
    [
        "# opa.runtime() and http.send in a comment\np := 1",
        'p := "opa.runtime()"',
        "p := `http.send({})`",
        "p := data.http.send\n\nq := 1",
        'p := {"http": {"send": 1}}.http.send',
        "p if count([1]) == 2 with count as 2",
    ],
)
def test_what_only_looks_forbidden_is_not_refused(body):
    """Comments, texts, data and mocks are no calls."""
    assert not set(examined(body).builtins) & {"http.send", "opa.runtime"}


def test_the_allow_list_holds_nothing_forbidden():
    """The contract's refusals, spelled out."""
    assert not [name for name in ALLOWED for pattern in FORBIDDEN if name == pattern or name.startswith(pattern[:-1])]


def test_the_environment_is_empty_where_policies_are_examined(monkeypatch):
    """Even a built-in that reads it would find nothing; the allow-list is only the first wall."""
    monkeypatch.setattr("consent_core.policy.examination.ALLOWED", ALLOWED | {"opa.runtime"})
    monkeypatch.setenv("CONSENT_EDGE_SECRET", "swordfish")
    runtime = examined("p := opa.runtime()").answers[0]

    assert "swordfish" not in str(runtime)
    assert set(runtime["env"]) <= {"LC_CTYPE"}


def test_a_policy_that_kills_the_engine_is_refused():
    """rego-cpp ends its process on this one; ours goes on and says what it was doing."""
    body = 'q if count(input.b) == 1\n\np if q with input as {"b": [1]}'
    refusal = refused(lambda: examined(body))

    assert refusal.code == "policy-engine"
    assert "compiling the policies" in refusal.message


def test_a_policy_without_end_is_refused():
    """A deadline holds, however long the rule would take."""
    body = "p := count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a + b == 0])"

    assert refused(lambda: examined(body, deadline_s=1.0)).code == "policy-engine"


@pytest.mark.parametrize("body", ["p := ", "p if {", "p := 1\n\n}"])
def test_rego_that_does_not_compile_is_refused(body):
    """With the engine's own words."""
    assert refused(lambda: examined(body)).code == "policy-compile"


def test_a_failing_test_stops_publication(sources):
    """Also one that is undefined, or false; all of them are named."""
    rules = "test_a if 1 == 2\n\ntest_b := false\n\ntest_c if input.x\n\ntest_d := true\n"
    extra = f"package consent_edge.brand_more_test\n\n{rules}"
    tests = {**sources.tests, "consent_edge/brand/more_test.rego": extra}
    refusal = refused(lambda: evaluate(dataclasses.replace(sources, tests=tests)))

    assert refusal.code == "policy-test"
    assert [name.rpartition("/")[2] for name in refusal.message.split(", ")] == ["test_a", "test_b", "test_c"]


def test_an_untested_package_stops_publication(sources):
    """Each package brings at least one test."""
    tests = {path: source for path, source in sources.tests.items() if "placement" not in path}

    assert "placement" in refused(lambda: evaluate(dataclasses.replace(sources, tests=tests))).message


def test_tests_cannot_change_what_is_published(sources, published):
    """A test file that adds rules to a shipped package does not reach the table."""
    extra = "package consent_edge.consent\n\nlaws.XX := 7\n\ntest_x := true\n"
    tests = {**sources.tests, "consent_edge/consent/more_test.rego": extra}

    assert "XX" not in evaluate(dataclasses.replace(sources, tests=tests)).table.laws


def test_every_shipped_test_ran(sources, published):
    """As many as there are `test_` rules in the files."""
    written = sum(source.count("\ntest_") for source in sources.tests.values())

    assert len(published.evaluation.tests) == written > 30
    assert all(test.passed for test in published.evaluation.tests)


def test_an_open_default_is_refused(sources):
    """`personalization.authz` says no to a caller that states nothing."""
    path = "personalization/authz/authz.rego"
    tests = {
        **sources.tests,
        "personalization/authz/authz_test.rego": "package personalization.authz_test\n\ntest_x := true\n",
    }
    open_door = dataclasses.replace(
        changed(sources, path, "default allow := false", "default allow := true"), tests=tests
    )

    assert refused(lambda: evaluate(open_door)).code == "policy-open"


CONSENT = "consent_edge/consent/consent.rego"


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        (
            CONSENT,
            "category in choices(request)\n} else",
            "count(choices(request)) > 0\n} else",
            "more than was chosen",
        ),
        (CONSENT, "terms.gpc_stops\n\tsignals_gpc(request)", "terms.gpc_stops\n\tdenies_gpc(request)", "signal widens"),
        (CONSENT, "age(request) < rank(terms.choice_from)", "age(request) > rank(terms.choice_from)", ""),
        ("consent_edge/consent/strictest.rego", '"choice_from": "adult"', '"choice_from": "13-15"', "ZZ allows more"),
        (CONSENT, 'possible("opt-in", terms) if terms.notice_from == "never"', 'possible("opt-in", _)', "never decide"),
        (CONSENT, '"rules": rules,', '"rules": {},', ""),
        (CONSENT, '"after_notice": effective(noticed),', '"after_notice": categories,', "disagree"),
    ],
)
def test_a_policy_that_breaks_what_none_may_break_is_refused(sources, path, old, new, reason):
    """More than chosen, widened by the signal or by youth, `ZZ` looser than a law: no test needs to notice."""
    broken = changed(sources, path, old, new)
    catalogue = examine(broken.modules, broken.data, [(CATALOGUE, {})]).answers[0]
    refusal = refused(lambda: evaluate_table(broken, catalogue))

    assert refusal.code == "policy-table"
    assert reason in refusal.message


def test_approval_needs_a_name_and_known_words(sources, signer, trust):
    """Nobody, or under a clause that does not exist: refused before anything runs."""
    for release in (PolicyRelease(1, " ", NOW), PolicyRelease(1, "ann", NOW, clause_id="my-own-words")):
        assert refused(lambda release=release: publish(sources, signer, trust, release)).code == "policy-approval"


def test_settings_reach_the_bundle(sources):
    """A deployment's trust domain replaces the shipped one, and nothing else."""
    own = read_sources(ROOT / "policies", ROOT / "legal", {"trust_domain": "shop.example"})
    expected = {**sources.data["consent_edge"]["settings"], "trust_domain": "shop.example"}

    assert own.data == {"consent_edge": {"settings": expected}}


def test_missing_sources_are_named(tmp_path):
    """An empty folder, or a clause that is none."""
    refusal = refused(lambda: read_sources(tmp_path, tmp_path))

    assert refusal.code == "policy-sources"
    assert "data.json" in refusal.message
