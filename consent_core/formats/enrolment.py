"""How a machine becomes a POP: the one-time code, the request made with it, and the sealed answer.

    tokyo-1.kq3…            code = <POP>.<base64url of 32 random bytes>, told to one person once

Wire format: `docs/formats/enrolment.md`. The code never crosses the wire: it keys the request's MAC and the answer's
seal, so that neither needs TLS to be secret and whole. The private key is made on the new machine and stays there.
"""

import hmac
import json
import re
from dataclasses import asdict, dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import canonical_json, read_json_object
from consent_core.formats.consent import REGION
from consent_core.formats.fields import Fields
from consent_core.formats.token import decode_base64url, encode_base64url

SECRET_BYTES = 32
NONCE_BYTES = 12
MAX_REQUEST_BYTES = 4_096
MAX_ANSWER_BYTES = 2 * 1_048_576  # a trust file has at most one
MAX_KEY_CHARACTERS = 512  # of a P-256 key with its header: 122

ID = re.compile(r"[0-9a-f]{32}")
BASE64 = re.compile(r"[A-Za-z0-9_-]{1,512}")
_CODE = re.compile(rf"(?P<pop>{REGION.pattern})\.(?P<secret>[A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """What the control plane keeps of a code, and what both sides compute from it. `key` is as secret as the code."""

    id: str
    key: bytes

    @classmethod
    def of(cls, secret: bytes) -> "CodeKeys":
        """Of a code's 32 bytes."""
        return cls(_mac(secret, b"id").hex()[:32], _mac(secret, b"key"))

    def mac(self, message: bytes) -> bytes:
        """Over a request."""
        return _mac(self.key, b"request|" + message)

    @property
    def seal(self) -> bytes:
        """Under which the answer is sealed."""
        return _mac(self.key, b"answer")


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """`POST /v1/enrol`. `public_key`: DER SubjectPublicKeyInfo of a P-256 key, base64url. `mac`: base64url."""

    id: str
    pop: str
    public_key: str
    mac: str

    def message(self) -> bytes:
        """What the MAC is over."""
        return f"{self.id}|{self.pop}|{self.public_key}".encode("ascii")

    def is_by(self, keys: CodeKeys) -> bool:
        """Whether it was made with the code, in constant time."""
        return hmac.compare_digest(encode_base64url(keys.mac(self.message())), self.mac)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a new POP is given: its certificate chain and authorities (PEM), the trust file, the rendition key."""

    chain: str
    bundle: str
    trust: str
    rendition_key: str


def write_code(pop: str, secret: bytes) -> str:
    """The code as a person copies it."""
    return f"{pop}.{encode_base64url(secret)}"


def read_code(text: str) -> tuple[str, bytes]:
    """The POP's name and the secret. Raises: Rejected("enrolment-code")."""
    found = _CODE.fullmatch(text.strip())
    if found is None:
        raise Rejected("enrolment-code", "expected <POP>.<43 characters>, as `edge enrol invite` prints it")
    return found["pop"], decode_base64url(found["secret"])


def enrolment_request(pop: str, secret: bytes, public_key: bytes) -> EnrolmentRequest:
    """A request by the holder of a code."""
    keys = CodeKeys.of(secret)
    asked = EnrolmentRequest(keys.id, pop, encode_base64url(public_key), "")
    return EnrolmentRequest(asked.id, asked.pop, asked.public_key, encode_base64url(keys.mac(asked.message())))


def write_enrolment(request: EnrolmentRequest) -> bytes:
    """Its JSON."""
    return canonical_json(asdict(request))


def read_enrolment(data: bytes) -> EnrolmentRequest:
    """Raises: Rejected("bad-request")."""
    try:
        value = read_json_object(data, MAX_REQUEST_BYTES)
    except Untrusted as error:
        raise Rejected("bad-request", error.message) from error
    fields = Fields(value, _bad_request, ("id", "pop", "public_key", "mac"))
    return EnrolmentRequest(
        id=fields.matching("id", ID),
        pop=fields.matching("pop", REGION),
        public_key=fields.matching("public_key", BASE64),
        mac=fields.matching("mac", BASE64),
    )


def seal_answer(answer: Enrolled, request: EnrolmentRequest, keys: CodeKeys, nonce: bytes) -> bytes:
    """The answer, for the holder of the code alone, and to this request alone."""
    sealed = AESGCM(keys.seal).encrypt(nonce, json.dumps(asdict(answer)).encode(), _about(request))
    return canonical_json({"nonce": encode_base64url(nonce), "sealed": encode_base64url(sealed)})


def open_answer(data: bytes, request: EnrolmentRequest, keys: CodeKeys) -> Enrolled:
    """Raises: Untrusted("enrolment-answer")."""
    try:
        value = read_json_object(data, MAX_ANSWER_BYTES)
        nonce, sealed = (decode_base64url(value[name]) for name in ("nonce", "sealed"))
        opened = json.loads(AESGCM(keys.seal).decrypt(nonce, sealed, _about(request)))
        return Enrolled(**{name: str(opened[name]) for name in ("chain", "bundle", "trust", "rendition_key")})
    except (InvalidTag, ValueError, KeyError, TypeError, Rejected, Untrusted) as error:
        raise Untrusted("enrolment-answer", "the answer is not by who gave the code, or not to this request") from error


def _about(request: EnrolmentRequest) -> bytes:
    return sha256(write_enrolment(request)).digest()


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, b"consent-edge/enrolment/v1|" + message, "sha256")


def _bad_request(message: str) -> Rejected:
    return Rejected("bad-request", message)
