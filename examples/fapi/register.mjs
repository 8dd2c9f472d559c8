// Makes a tenant for a FAPI 2.0 plan of the OpenID Foundation's conformance suite, and prints what the suite is to be configured with.
//   ADMIN=TOKEN BASE=https://id.example.com [SUITE=https://…] [API=https://…] node register.mjs PLAN [KIND]
// PLAN is security-profile or message-signing, KIND openid_connect (default), plain_oauth or client_credentials, SUITE where the suite
// runs. Without OpenID it needs an API (api.mjs): userinfo is OpenID Connect's. The keys of the clients are in what is printed, and
// nowhere else.
import { generateKeyPairSync } from 'node:crypto';

const { ADMIN, BASE, SUITE = 'https://www.certification.openid.net', API } = process.env;
const [plan, kind = 'openid_connect'] = process.argv.slice(2);
const isOpenid = kind === 'openid_connect';
const profile = { 'security-profile': 'fapi2', 'message-signing': 'fapi2_message_signing' }[plan];
if (!ADMIN || !BASE || !profile || !['openid_connect', 'plain_oauth', 'client_credentials'].includes(kind) || (!isOpenid && !API)) {
  console.error('Usage: ADMIN=TOKEN BASE=https://id.example.com [SUITE=…] [API=…] node register.mjs security-profile|message-signing [openid_connect|plain_oauth|client_credentials]');
  process.exit(2);
}
const slug = process.env.TENANT ?? `fapi-${plan}-${kind}`.replaceAll('_', '-');
const issuer = `${BASE}/t/${slug}`;
const alias = `claviger-${slug}`;
const [user, password] = ['alice', 'seven purple otters sing'];

async function admin(method, path, body) {
  const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' };
  const answer = await fetch(`${BASE}/admin/v1/tenants${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

await admin('POST', '', { slug, name: 'FAPI' });
const alice = await admin('POST', `/${slug}/users`, { username: user, email: 'alice@example.com', password });
const claims = {
  name: 'Alice Archer', given_name: 'Alice', family_name: 'Archer', middle_name: 'Ada', nickname: 'Al', gender: 'female', birthdate: '1990-10-31',
  profile: 'https://example.com/alice', picture: 'https://example.com/alice.png', website: 'https://example.com', zoneinfo: 'Europe/Zurich',
  locale: 'en-GB', phone_number: '+41 44 668 18 00', phone_number_verified: true, address: { locality: 'Zurich', country: 'CH' },
};
await admin('PATCH', `/${slug}/users/${alice.id}`, { claims });

const grant_types = kind === 'client_credentials' ? [kind] : ['authorization_code', 'refresh_token'];
const scope = { openid_connect: 'openid profile email address phone offline_access', plain_oauth: 'reports offline_access', client_credentials: 'reports' }[kind];
let resources;
if (!isOpenid) {
  // The API asks whether a token is alive, as this client.
  const api = await admin('POST', `/${slug}/clients`, { client_name: 'API', grant_types: ['client_credentials'], redirect_uris: [] });
  await admin('POST', `/${slug}/resources`, { identifier: API, name: 'API', scope: 'reports', servers: [api.client_id] });
  console.error(`ISSUER=${issuer} URL=${API} CLIENT_ID=${api.client_id} CLIENT_SECRET=${api.client_secret} node api.mjs`);
  resources = [API];
}

async function client(name, query) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const about = { kid: name, use: 'sig', alg: 'PS256' };
  const { client_id } = await admin('POST', `/${slug}/clients`, {
    profile, client_name: `${alias} ${name}`, scope, resources, grant_types,
    redirect_uris: kind === 'client_credentials' ? [] : [`${SUITE}/test/a/${alias}/callback${query}`], jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), ...about }] },
  });
  return { client_id, scope, jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), ...about }] } };
}

const match = `${issuer}/oauth/authorize*`;
// The pages for logging in and for allowing are at one address, and what goes on is their first button.
const page = `${issuer}/interaction/*`;
const text = (name, value) => ['text', 'name', name, value, 'optional'];
const onward = (task) => ({ task, optional: true, match: page, commands: [text('identifier', user), text('password', password), ['click', 'css', 'button.primary']] });
const done = { task: 'Done', match: '*/test/*/callback*', commands: [['wait', 'id', 'submission_complete', 10]] };
const cancel = { task: 'Cancel', match: page, commands: [['click', 'name', 'cancel']] };
const look = { task: 'Only look', match: page, commands: [['wait', 'name', 'password', 10]] };
const refused = { task: 'Refused', commands: [['wait', 'xpath', '//*', 10, 'invalid_request_uri', 'update-image-placeholder']] };
const visits = [{ match, tasks: [onward('Log in'), onward('Allow'), done] }];
const module = (name, ...browser) => [`fapi2-security-profile-final-${name}`, { browser }];
const config = {
  alias, description: `Claviger, FAPI 2.0 ${plan}, ${kind}`,
  server: { discoveryUrl: isOpenid ? `${issuer}/.well-known/openid-configuration` : `${BASE}/.well-known/oauth-authorization-server/t/${slug}` },
  client: await client('client1', ''),
  client2: await client('client2', '?dummy1=lorem&dummy2=ipsum'),
  resource: { resourceUrl: API ?? `${issuer}/oauth/userinfo` },
  browser: visits,
  override: Object.fromEntries([
    module('user-rejects-authentication', { match, tasks: [cancel, done] }),
    module('par-ensure-reused-request-uri-prior-to-auth-completion-succeeds', { match, 'match-limit': 1, tasks: [look] }, ...visits),
    module('par-attempt-reuse-request_uri', { match, 'match-limit': 1, tasks: visits[0].tasks }, { match, tasks: [refused] }),
    module('par-attempt-to-use-expired-request_uri', { match, tasks: [refused] }),
    module('par-attempt-to-use-request_uri-for-different-client', { match, tasks: [refused] }),
  ]),
};
console.log(JSON.stringify(config, null, 2));
