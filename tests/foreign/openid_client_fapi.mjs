// A relying party of the FAPI 2.0 Security Profile with openid-client: private_key_jwt, PAR and DPoP, with nonces.
//   openid_client_fapi.mjs ISSUER REDIRECT_URI [signed]
// With `signed` it is one of FAPI 2.0 Message Signing as well: it signs its request, and verifies the signatures of the answer (JARM), of
// the ID token and of what is said of its token (RFC 9701) by the JWKS.
// Prints its public key; reads the client_id that it was registered with; prints the address to send the browser to; reads the address
// that the browser comes back to; redeems the code, asks userinfo, refreshes, and prints what it learned as JSON.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, redirect_uri, signed] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
console.log(JSON.stringify({ kty, crv, x, y, kid: "1", use: "sig", alg: "ES256" }));

const id = (await lines.next()).value;
const authentication = client.PrivateKeyJwt({ key: pair.privateKey, kid: "1" });
const metadata = signed && { authorization_signed_response_alg: "ES256", introspection_signed_response_alg: "ES256", id_token_signed_response_alg: "ES256" };
const config = await client.discovery(new URL(issuer), id, metadata || undefined, authentication, { execute: [client.allowInsecureRequests] });
if (signed) {
  client.useJwtResponseMode(config);
  client.enableNonRepudiationChecks(config);
}
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
const parameters = {
  redirect_uri,
  scope: "openid profile email",
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
  nonce: expectedNonce,
};
const request = signed ? (await client.buildAuthorizationUrlWithJAR(config, parameters, { key: pair.privateKey, kid: "1" })).searchParams : parameters;
const address = await client.buildAuthorizationUrlWithPAR(config, request, { DPoP });
console.log(address.href);

const back = new URL((await lines.next()).value);
const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
const { sub } = tokens.claims();
const info = await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP });
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
const [, payload] = renewed.access_token.split(".");
const { cnf } = JSON.parse(Buffer.from(payload, "base64url").toString());
const thumbprint = await DPoP.calculateThumbprint();
const token_type = renewed.token_type;
const seen = async (token) => (await client.tokenIntrospection(config, token)).active;
const alive = await seen(renewed.access_token);
await client.tokenRevocation(config, renewed.refresh_token);
const after_revocation = await seen(renewed.access_token);
const learned = { token_type, jkt: cnf.jkt, thumbprint, alive, after_revocation, answered: [...back.searchParams.keys()] };
console.log(JSON.stringify({ sub, email: info.email, renewed: renewed.claims().sub, ...learned }));
process.exit(0);
