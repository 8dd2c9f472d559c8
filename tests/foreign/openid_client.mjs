// A relying party with openid-client, which knows the issuer's URL, its id and its secret:
//   openid_client.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI
// Prints the address to send the browser to; reads the address that the browser comes back to; then redeems the code, checks the ID
// token and userinfo, refreshes, revokes, and prints what it learned as JSON. It is copied beside its node_modules before it runs.
import dns from "node:dns";
import { createInterface } from "node:readline";
import * as client from "openid-client";

// Names under .localhost are this machine (RFC 6761, 6.3), whatever the resolver here says.
const lookup = dns.lookup;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);

const [issuer, id, secret, redirect_uri] = process.argv.slice(2);
const config = await client.discovery(new URL(issuer), id, secret, client.ClientSecretBasic(secret), {
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
  max_age: "300",
});
console.log(address.href);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const back = new URL((await lines.next()).value);
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier,
  expectedState,
  expectedNonce,
  maxAge: 300,
  idTokenExpected: true,
});
const { sub } = tokens.claims();
const info = await client.fetchUserInfo(config, tokens.access_token, sub);
const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
await client.tokenRevocation(config, renewed.refresh_token);
const refused = await client.refreshTokenGrant(config, renewed.refresh_token).then(
  () => "accepted",
  (error) => error.error,
);
console.log(JSON.stringify({ sub, email: info.email, renewed: renewed.claims().sub, after_revocation: refused }));
process.exit(0);
