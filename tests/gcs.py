"""A server of Google Cloud Storage's XML API on a free port of this machine, until standard input ends.

Says in one line of JSON its port, the key of the service account that it knows, and one that it does not know.

That API is S3's protocol but for what is added here to moto's S3, as Google documents it: a request carries a token that a
service account signed for itself, every object has a generation, and requests may have conditions on it. Old
generations are not kept, as in a bucket without versioning.
"""

import base64
import json
import sys
import threading
import time
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wrappers import Response

EMAIL = "tester@alluvium.example"
SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/devstorage.read_write",
}
# moto looks who asks, and not at the signature.
SIGNED = "AWS4-HMAC-SHA256 Credential=tester/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


def refused(status, code, message):
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(body, status, content_type="application/xml; charset=UTF-8")


class Api:
    """WSGI: what Google's API has beside S3's protocol, before a server of that."""

    def __init__(self, s3, public_key):
        self.s3 = s3
        self.public_key = public_key
        self.generations = {}
        # A condition and what it allows are one step.
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        return self.answer(environ)(environ, start_response)

    def answer(self, environ):
        if not self.knows(environ.pop("HTTP_AUTHORIZATION", "")):
            return refused(401, "AuthenticationRequired", "Authentication required.")
        environ["HTTP_AUTHORIZATION"] = SIGNED
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        name = environ["PATH_INFO"].removeprefix("/")
        # moto reads a name as it was written, and clients may write `/` as an escape.
        environ.pop("RAW_URI", None)
        environ.pop("REQUEST_URI", None)
        if "/" not in name or "uploads" in query or "partNumber" in query:
            return Response.from_app(self.s3, environ)
        with self.turn:
            return self.of_object(environ, name, query)

    def of_object(self, environ, name, query):
        live = self.generations.get(name, 0)
        method = environ["REQUEST_METHOD"]
        if method in ("GET", "HEAD") and query.get("generation", [str(live)]) != [str(live)]:
            return refused(404, "NoSuchKey", "The specified key does not exist.")
        match = environ.get("HTTP_X_GOOG_IF_GENERATION_MATCH")
        other = environ.get("HTTP_X_GOOG_IF_GENERATION_NOT_MATCH")
        if (match is not None and int(match) != live) or (other is not None and int(other) == live):
            return refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        answer = Response.from_app(self.s3, environ)
        if answer.status_code < 300:
            ends_upload = method == "POST" and "uploadId" in query
            if (method == "PUT" and "uploadId" not in query) or ends_upload:
                live = max(live + 1, time.time_ns() // 1000)
                self.generations[name] = live
            elif method == "DELETE" and "uploadId" not in query:
                self.generations.pop(name, None)
            answer.headers["x-goog-generation"] = str(live)
        return answer

    def knows(self, authorization):
        """Whether the token is one that the account signed for itself: https://google.aip.dev/auth/4111."""
        parts = authorization.removeprefix("Bearer ").split(".")
        if not authorization.startswith("Bearer ") or len(parts) != 3:
            return False
        decoded = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        header, claims = (json.loads(part) for part in decoded[:2])
        signed = ".".join(parts[:2]).encode()
        try:
            self.public_key.verify(decoded[2], signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        valid = claims["iat"] - 300 <= time.time() < claims["exp"]
        scopes = set(claims["scope"].split())
        return header["alg"] == "RS256" and valid and claims["iss"] == EMAIL and bool(scopes & SCOPES)


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def account(key):
    """As Google hands out the key of a service account."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {"type": "service_account", "private_key_id": "1", "private_key": pem.decode(), "client_email": EMAIL}
    )


known, unknown = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
s3 = DomainDispatcherApplication(create_backend_app)
assert Client(s3).put("/lake").status_code == 200
server = make_server("127.0.0.1", 0, Api(s3, known.public_key()), threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.port, "known": account(known), "unknown": account(unknown)}), flush=True)
sys.stdin.read()
server.shutdown()
