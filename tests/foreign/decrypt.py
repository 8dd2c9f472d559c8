"""Reads tokens that are encrypted to a client, with joserfc, as that would: decrypt.py JWKS_URL ISSUER AUDIENCE KEYS TOKENS.

KEYS are private JWKs and TOKENS are tokens, as JSON arrays. Prints of each the header of the JWE, that of the JWS inside, and the claims.
"""

import base64
import json
import sys
import urllib.request

from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

jwks_url, issuer, audience, keys, tokens = sys.argv[1:]
kinds = {"RSA": RSAKey, "EC": ECKey}
own = {key["kid"]: kinds[key["kty"]].import_key(key) for key in json.loads(keys)}
alone = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with alone.open(jwks_url) as answer:
    published = KeySet.import_key_set(json.load(answer))
ways = ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]
demands = jwt.JWTClaimsRegistry(iss={"essential": True, "value": issuer}, aud={"essential": True, "value": audience})


def read(token):
    head = token.split(".")[0]
    kid = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    outer = jwe.decrypt_compact(token, own[kid], algorithms=ways)
    inner = jwt.decode(outer.plaintext.decode(), published, algorithms=["ES256", "RS256"])
    demands.validate(inner.claims)
    return {"outer": outer.headers(), "inner": inner.header, "claims": inner.claims}


print(json.dumps([read(token) for token in json.loads(tokens)]))
