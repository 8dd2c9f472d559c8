"""Verifies one access token with PyJWT, as a resource server would: verify.py JWKS_URL ISSUER TOKEN. Prints the subject."""

import sys

import jwt

jwks_url, issuer, token = sys.argv[1:]
key = jwt.PyJWKClient(jwks_url).get_signing_key_from_jwt(token)
required = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"]
claims = jwt.decode(token, key.key, algorithms=["ES256", "RS256"], issuer=issuer, audience=issuer, options={"require": required})
print(claims["sub"])
