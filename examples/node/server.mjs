// A resource server: answers GET / to whoever brings an access token of one issuer.
//   ISSUER=http://127.0.0.1:8080/t/acme [AUDIENCE=…] [PORT=7001] npm start
import { createServer } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.ISSUER;
if (!issuer) {
  console.error('Set ISSUER, for example ISSUER=http://127.0.0.1:8080/t/acme');
  process.exit(2);
}
const audience = process.env.AUDIENCE || issuer;
const port = Number(process.env.PORT || 7001);

// Fetched at the first token, again for a kid that is not in it (at most every 10 s), and again when it is 5 minutes old, so
// that a revoked key is not trusted for longer than the tenant's policy promises (jwks_max_age_seconds).
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), {
  cooldownDuration: 10_000,
  cacheMaxAge: 300_000,
  timeoutDuration: 5_000,
});

// jose takes the key whose kid and alg are those of the token; the list keeps out anything but signatures by a private key.
const rules = {
  issuer,
  audience,
  typ: 'at+jwt',
  algorithms: ['ES256', 'RS256', 'EdDSA', 'PS256', 'ES384'],
  requiredClaims: ['exp', 'sub'],
  clockTolerance: 30,
};

const server = createServer(async (request, response) => {
  const answer = (status, body, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
    response.end(JSON.stringify(body));
  };
  if (request.method !== 'GET' || request.url !== '/') return answer(404, { error: 'not_found' });
  const token = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (!token) return answer(401, { error: 'no_token' }, { 'www-authenticate': 'Bearer' });
  try {
    const { payload } = await jwtVerify(token, keys, rules);
    answer(200, { sub: payload.sub, scope: payload.scope, roles: payload.roles, exp: payload.exp });
  } catch (error) {
    // For the operator. The caller only learns that the token is no good.
    console.error(`refused: ${error.code ?? error.message}`);
    answer(401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
  }
});
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port} takes tokens of ${issuer} for ${audience}`));
