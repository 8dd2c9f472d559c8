// A public client with oauth4webapi: PKCE, pushed requests and DPoP with nonces.
//   oauth4webapi.mjs ISSUER CLIENT_ID REDIRECT_URI
// Prints the address to send the browser to; reads the address that the browser comes back to; redeems the code, verifies the ID token by
// the JWKS, asks userinfo, refreshes, revokes, and prints what it learned as JSON. It is copied beside its node_modules before it runs.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const [address, client_id, redirect_uri] = process.argv.slice(2);
const issuer = new URL(address);
const onLoopback = { [oauth.allowInsecureRequests]: true };
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, onLoopback));
const [client, authentication] = [{ client_id }, oauth.None()];
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
const options = { DPoP, ...onLoopback };
let nonces = 0;
/** Asks again where a nonce was missing. */
async function asked(ask, read) {
  try {
    return await read(await ask());
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return read(await ask());
  }
}

const code_verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const parameters = new URLSearchParams({
  client_id, redirect_uri, state, nonce, response_type: "code", scope: "openid profile email",
  code_challenge: await oauth.calculatePKCECodeChallenge(code_verifier), code_challenge_method: "S256",
});
const pushed = await asked(
  () => oauth.pushedAuthorizationRequest(as, client, authentication, parameters, options),
  (response) => oauth.processPushedAuthorizationResponse(as, client, response),
);
const request = new URL(as.authorization_endpoint);
request.search = new URLSearchParams({ client_id, request_uri: pushed.request_uri });
console.log(request.href);

const back = new URL((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value);
const answer = oauth.validateAuthResponse(as, client, back, state);
let response;
const tokens = await asked(
  () => oauth.authorizationCodeGrantRequest(as, client, authentication, answer, redirect_uri, code_verifier, options),
  (came) => oauth.processAuthorizationCodeResponse(as, client, (response = came), { expectedNonce: nonce, requireIdToken: true }),
);
await oauth.validateApplicationLevelSignature(as, response, onLoopback);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);
const info = await asked(
  () => oauth.userInfoRequest(as, client, tokens.access_token, options),
  (came) => oauth.processUserInfoResponse(as, client, sub, came),
);
const renewed = await asked(
  () => oauth.refreshTokenGrantRequest(as, client, authentication, tokens.refresh_token, options),
  (came) => oauth.processRefreshTokenResponse(as, client, came),
);
const { cnf } = JSON.parse(Buffer.from(renewed.access_token.split(".")[1], "base64url").toString());
const thumbprint = await DPoP.calculateThumbprint();
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, renewed.refresh_token, onLoopback));
const after = await asked(
  () => oauth.refreshTokenGrantRequest(as, client, authentication, renewed.refresh_token, options),
  (came) => oauth.processRefreshTokenResponse(as, client, came),
).then(() => "accepted", (error) => error.error);
console.log(JSON.stringify({
  sub, email: info.email, renewed: oauth.getValidatedIdTokenClaims(renewed)?.sub, token_type: renewed.token_type, jkt: cnf.jkt, thumbprint,
  nonces, after_revocation: after,
}));
process.exit(0);
