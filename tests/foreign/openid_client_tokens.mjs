// A relying party with openid-client that is given tokens by the browser:
//   openid_client_tokens.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI RESPONSE_TYPE
// RESPONSE_TYPE is `id_token`, or `code id_token`, of which it redeems the code. Prints the address to send the browser to; reads the address that
// the browser comes back to, with what stands behind its #; verifies the ID token and its hashes, and prints what it learned as JSON.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, id, secret, redirect_uri, response_type] = process.argv.slice(2);
const config = await client.discovery(new URL(issuer), id, secret, client.ClientSecretBasic(secret), {
  execute: [client.allowInsecureRequests],
});
const isHybrid = response_type === "code id_token";
(isHybrid ? client.useCodeIdTokenResponseType : client.useIdTokenResponseType)(config);
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
const parameters = { redirect_uri, scope: "openid profile email", state: expectedState, nonce: expectedNonce, max_age: "300", response_type };
if (isHybrid) {
  parameters.code_challenge = await client.calculatePKCECodeChallenge(pkceCodeVerifier);
  parameters.code_challenge_method = "S256";
}
console.log(client.buildAuthorizationUrl(config, parameters).href);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const back = new URL((await lines.next()).value);
const answered = [...new URLSearchParams(back.hash.slice(1)).keys()];
if (isHybrid) {
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 300, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, back, checks);
  const { sub } = tokens.claims();
  const { email } = await client.fetchUserInfo(config, tokens.access_token, sub);
  const renewed = (await client.refreshTokenGrant(config, tokens.refresh_token)).claims().sub;
  console.log(JSON.stringify({ sub, email, renewed, answered }));
} else {
  const { sub, email } = await client.implicitAuthentication(config, back, expectedNonce, { expectedState, maxAge: 300 });
  console.log(JSON.stringify({ sub, email, renewed: sub, answered }));
}
process.exit(0);
