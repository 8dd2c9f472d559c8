// The first client of a configuration for the FAPI 2.0 plans of the conformance suite (examples/fapi), with openid-client.
//   fapi_suite.mjs CONFIGURATION [signed]
// Says where the browser is to go as {"address"}; reads the address that it came back to; redeems the code, asks the plan's resource with a
// proof, and says what it learned as JSON.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [text, signed] = process.argv.slice(2);
const { alias, server, client: { client_id, scope, jwks: { keys: [jwk] } }, resource: { resourceUrl } } = JSON.parse(text);
const key = await crypto.subtle.importKey("jwk", jwk, { name: "RSA-PSS", hash: "SHA-256" }, false, ["sign"]);
const authentication = client.PrivateKeyJwt({ key, kid: jwk.kid });
const metadata = signed && { authorization_signed_response_alg: "ES256", id_token_signed_response_alg: "ES256" };
const options = { execute: [client.allowInsecureRequests] };
const config = await client.discovery(new URL(server.discoveryUrl), client_id, metadata || undefined, authentication, options);
if (signed) client.useJwtResponseMode(config);
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("PS256"));
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const parameters = {
  redirect_uri: `https://suite.example/test/a/${alias}/callback`,
  scope,
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
};
const request = signed ? (await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: jwk.kid })).searchParams : parameters;
console.log(JSON.stringify({ address: await client.buildAuthorizationUrlWithPAR(config, request) }));

const back = new URL((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value);
const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, idTokenExpected: true }, undefined, { DPoP });
const answer = await client.fetchProtectedResource(config, tokens.access_token, new URL(resourceUrl), "GET", undefined, undefined, { DPoP });
console.log(JSON.stringify({ status: answer.status, claims: Object.keys(await answer.json()), is_renewed: "refresh_token" in tokens }));
process.exit(0);
