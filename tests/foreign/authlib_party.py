"""A relying party with Authlib: authlib_party.py ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI

Prints the address to send the browser to; reads the address that the browser comes back to; then redeems the code, verifies the ID
token with the tenant's keys, asks userinfo, refreshes, and prints what it learned as JSON.
"""

import json
import sys

import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

issuer, client_id, client_secret, redirect_uri = sys.argv[1:]
metadata = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
assert metadata["issuer"] == issuer
session = OAuth2Session(
    client_id,
    client_secret,
    scope="openid profile email",
    redirect_uri=redirect_uri,
    code_challenge_method="S256",
    token_endpoint=metadata["token_endpoint"],
)
verifier = "a-verifier-of-forty-three-characters-or-more-0123456789"
address, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-7")
print(address, flush=True)

back = sys.stdin.readline().strip()
token = session.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state)
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
claims = jwt.decode(token["id_token"], keys, algorithms=["RS256", "ES256"]).claims
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": client_id},
    nonce={"essential": True, "value": "n-7"},
    exp={"essential": True},
).validate(claims)
info = session.get(metadata["userinfo_endpoint"]).json()
assert info["sub"] == claims["sub"]
renewed = session.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
again = jwt.decode(renewed["id_token"], keys, algorithms=["RS256", "ES256"]).claims
print(json.dumps({"sub": claims["sub"], "email": info["email"], "renewed": again["sub"]}))
