"""Forged tokens cost no sandbox: they are refused natively, by the code that the component gives."""

import secrets

import pytest

from consent_core.errors import Rejected
from consent_core.formats.token import AUDIENCE, Expectation, encode_base64url
from tests.runtime_host.pop.edge import ask
from tests.runtime_host.pop.test_bad_input import HERO, b64, resigned


@pytest.fixture
def judged(edge):
    """The texts that the component was asked about."""
    asked, validator = [], edge.pop.pipeline._validator
    call = validator.avalidate

    async def counted(text, keys, expected):
        asked.append(text)
        return await call(text, keys, expected)

    validator.avalidate = counted
    return asked


def forged(edge) -> str:
    """The right key id, and a signature by no key."""
    return f"{edge.token('contextual').rpartition('.')[0]}.{encode_base64url(secrets.token_bytes(64))}"


FORGED = {
    "a random signature": forged,
    "no signature": lambda edge: forged(edge).rpartition(".")[0] + ".",
    "half a signature": lambda edge: forged(edge)[:-43],
    "another's signature": lambda edge: (
        edge.token("contextual").rpartition(".")[0] + "." + edge.token("behavioral").rpartition(".")[2]
    ),
    "the key's other algorithm": lambda edge: resigned(
        edge, header=b'{"alg":"ES256","typ":"consent+jwt","kid":"%s"}' % edge.plane.keys.current("token").kid.encode()
    ),
    "an unknown key": lambda edge: resigned(edge, header=b'{"alg":"EdDSA","typ":"consent+jwt","kid":"nobody"}'),
    "no header": lambda edge: ".".join((b64(b"{}"), *forged(edge).split(".")[1:])),
    "no JSON": lambda edge: ".".join((b64(b"{"), *forged(edge).split(".")[1:])),
    "not base64": lambda edge: forged(edge) + "=",
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_costs_no_sandbox(edge, run, judged, how):
    """The default, the component's own code, counted as rejected once; the component was not asked."""
    text = FORGED[how](edge)
    expected = Expectation(edge.plane.keys.trust_file().issuer, AUDIENCE, edge.clock.now(), 5)
    with pytest.raises(Rejected) as caught:
        edge.pop.pipeline._validator.validate(text, edge.pop.sync.trust_state.keys(), expected)
    reply, default = run(edge.get(HERO, text)), run(edge.get(HERO))
    metrics = run(ask(edge.pop.admin_app, "GET", "/metrics", {})).body.decode()

    assert (reply.code, reply.fixed, judged) == (caught.value.code, default.fixed, [])
    assert f'consent_edge_rejected_total{{code="{caught.value.code}",pop="tokyo-1"}} 1.0' in metrics


@pytest.mark.parametrize("claims", [{"aud": "control-plane"}, {"iss": "somebody"}, {"admin": True}, {"exp": 1}])
def test_what_is_signed_is_the_components_to_judge(edge, run, judged, claims):
    """A good signature gets a token as far as the component, which still refuses it."""
    text = edge.token("contextual", **claims)

    assert run(edge.get(HERO, text)).code.startswith("token-")
    assert judged == [text]


def test_hundreds_of_forgeries_do_not_keep_an_honest_visitor_out(edge, run, judged):
    """The component is asked once: for the honest one."""
    for _ in range(300):
        assert run(edge.get(HERO, forged(edge))).code == "token-signature"
    honest = edge.token("contextual")

    assert run(edge.get(HERO, honest)).code is None
    assert judged == [honest]
