// A relying party with openid-client that knows the issuer's URL and an initial access token, and registers itself:
//   openid_client_registers.mjs ISSUER INITIAL_ACCESS_TOKEN REDIRECT_URI
// Prints the address to send the browser to; reads the address that the browser comes back to; then redeems the code, checks the ID
// token and the signed userinfo, refreshes, and prints what it learned as JSON. It is copied beside its node_modules before it runs.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, initialAccessToken, redirect_uri] = process.argv.slice(2);
const metadata = {
  client_name: "Self-made",
  redirect_uris: [redirect_uri],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "client_secret_post",
  subject_type: "pairwise",
  userinfo_signed_response_alg: "RS256",
};
const config = await client.dynamicClientRegistration(new URL(issuer), metadata, undefined, {
  initialAccessToken,
  execute: [client.allowInsecureRequests],
});
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
const address = client.buildAuthorizationUrl(config, {
  redirect_uri,
  scope: "openid profile email",
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
  nonce: expectedNonce,
});
console.log(address.href);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const back = new URL((await lines.next()).value);
const tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true });
const { sub } = tokens.claims();
const info = await client.fetchUserInfo(config, tokens.access_token, sub);
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
console.log(JSON.stringify({ sub, email: info.email, renewed: renewed.claims().sub, client_id: config.clientMetadata().client_id }));
process.exit(0);
