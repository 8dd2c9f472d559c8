// A protected resource for the plans without OpenID: answers GET to whoever brings a living access token and a proof of its key (DPoP).
// register.mjs prints how to start it; CERTIFICATE and PRIVATE_KEY are PEM files, and BIND where to listen (127.0.0.1).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import * as oauth from 'oauth4webapi';

const { ISSUER, URL: own, CLIENT_ID: client_id, CLIENT_SECRET, CERTIFICATE, PRIVATE_KEY, BIND = '127.0.0.1' } = process.env;
const issuer = new URL(ISSUER);
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
const [client, secret] = [{ client_id }, oauth.ClientSecretBasic(CLIENT_SECRET)];
// What FAPI 2.0 allows (5.4.1), of tokens and of proofs.
const rules = { requireDPoP: true, signingAlgorithms: ['PS256', 'ES256', 'EdDSA', 'Ed25519'] };
// Proofs that came within the minutes that they are good for (RFC 9449, 11.1).
const seen = new Map();

function isNew(proof, now = Date.now()) {
  for (const [jti, at] of seen) if (at < now - 600_000) seen.delete(jti);
  const { jti } = JSON.parse(Buffer.from(proof.split('.')[1], 'base64url'));
  return !seen.has(jti) && Boolean(seen.set(jti, now));
}

async function isAlive(token) {
  const asked = await oauth.introspectionRequest(as, client, secret, token);
  return (await oauth.processIntrospectionResponse(as, client, asked)).active;
}

createServer({ cert: readFileSync(CERTIFICATE), key: readFileSync(PRIVATE_KEY), minVersion: 'TLSv1.2',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384' }, async (request, response) => {
  const answer = (status, body, headers = {}) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  try {
    // Two headers of a name are joined here by a comma, and a proof has none.
    const asked = new Request(new URL(request.url, own), { method: request.method, headers: request.headers });
    const { sub } = await oauth.validateJwtAccessToken(as, asked, own, rules);
    const token = /^dpop ([^ ]+)$/i.exec(request.headers.authorization)[1];
    if (!isNew(request.headers.dpop) || !(await isAlive(token))) throw new Error('used or ended');
    answer(200, { sub });
  } catch (error) {
    console.error(`refused: ${error.message}`);
    answer(401, { error: 'invalid_token' }, { 'www-authenticate': 'DPoP error="invalid_token"' });
  }
}).listen(new URL(own).port || 443, BIND, () => console.log(`${own} takes tokens of ${ISSUER}`));
