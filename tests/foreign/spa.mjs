// A browser app with oidc-client-ts, in Chromium: spa.mjs ISSUER PASSWORD bearer|dpop CHROMIUM
// Serves the app on loopback and prints its origin, and another origin of the same pages that nobody registers; reads the client_id that it
// was registered with; then logs alice in on the tenant's pages, asks userinfo, refreshes, logs out, and prints what came of it as JSON.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [issuer, password, kind, executablePath] = process.argv.slice(2);
const library = join(dirname(createRequire(import.meta.url).resolve("oidc-client-ts/package.json")), "dist/browser/oidc-client-ts.min.js");
const files = new Map([["/oidc-client-ts.js", readFileSync(library)]]);

const app = (settings) => `
  const settings = ${JSON.stringify(settings)};
  if (settings.kind === "dpop") settings.dpop = { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() };
  const manager = new oidc.UserManager(settings);
  const isBack = new URLSearchParams(location.search).has("code") || new URLSearchParams(location.search).has("error");
  window.back = isBack ? manager.signinCallback() : Promise.resolve(null);
`;
const page = `<!doctype html><meta charset="utf-8"><title>App</title><script src="/oidc-client-ts.js"></script><script src="/app.js"></script><h1>App</h1>`;
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const script = files.get(pathname);
  response.setHeader("content-type", script ? "text/javascript" : "text/html");
  response.end(script ?? page);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address();
// The same server by two names: two origins, and two sites.
const [origin, elsewhere] = [`http://localhost:${port}`, `http://127.0.0.1:${port}`];
console.log(JSON.stringify({ origin, elsewhere }));
const client_id = (await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value;
const settings = {
  authority: issuer, client_id, redirect_uri: `${origin}/callback`, post_logout_redirect_uri: `${origin}/bye`, kind,
  response_type: "code", scope: "openid profile email", loadUserInfo: kind === "bearer", automaticSilentRenew: false,
};
files.set("/app.js", app(settings));

const browser = await puppeteer.launch({
  executablePath,
  // "localhost" may have an IPv6 address first, where nobody listens.
  args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--host-resolver-rules=MAP localhost 127.0.0.1"],
});
const tab = await (await browser.createBrowserContext()).newPage();
const complaints = [];
tab.on("pageerror", (error) => complaints.push(String(error)));
const navigated = (act) => Promise.all([tab.waitForNavigation(), act]);
const arrived = async (address) => {
  try {
    await tab.waitForFunction((address) => location.href.startsWith(address), {}, address);
  } catch (error) {
    throw new Error(`did not arrive at ${address} but at ${tab.url()}: ${await tab.evaluate(() => document.body?.innerText)}`, { cause: error });
  }
};

// In.
await tab.goto(origin);
await navigated(tab.evaluate(() => void manager.signinRedirect()));
await tab.waitForSelector('[name="identifier"]');
const asked = new URL(tab.url());
await tab.type('[name="identifier"]', "alice");
await tab.type('[name="password"]', password);
await tab.click("button.primary");
// An app on loopback may be anybody's: she is asked each time.
await (await tab.waitForSelector('[name="decision"][value="allow"]')).click();
await arrived(`${origin}/callback`);
const first = await tab.evaluate(async () => {
  const { access_token, refresh_token, id_token, token_type, profile } = await back;
  return { access_token, refresh_token, id_token, token_type, profile };
});

// Userinfo by hand, as any other resource that takes the token.
const userinfo = await tab.evaluate(async () => {
  const user = await manager.getUser();
  const url = await manager.metadataService.getUserInfoEndpoint();
  const ask = async (nonce) => {
    const headers = { authorization: `${user.token_type} ${user.access_token}` };
    if (settings.kind === "dpop") headers.dpop = await manager.dpopProof(url, user, "GET", nonce);
    return fetch(url, { headers });
  };
  // The library kept the nonce of the token endpoint; an old one is asked for anew.
  const old = settings.kind === "dpop" ? await ask("not-a-nonce-of-theirs") : null;
  const answer = await ask(old?.headers.get("dpop-nonce"));
  return {
    refused: old && { status: old.status, challenge: old.headers.get("www-authenticate"), has_nonce: !!old.headers.get("dpop-nonce") },
    status: answer.status,
    claims: await answer.json(),
  };
});

// On.
const second = await tab.evaluate(async () => {
  const { access_token, refresh_token, profile } = await manager.signinSilent();
  return { access_token, refresh_token, sub: profile.sub };
});

// From pages of an origin where no client runs.
const foreign = await browser.newPage();
await foreign.goto(elsewhere);
const read = await foreign.evaluate(
  async ({ issuer, client_id, token }) => {
    const tried = (path, options) => fetch(issuer + path, options).then((answer) => answer.status, () => "unreadable");
    const body = new URLSearchParams({ grant_type: "refresh_token", client_id, refresh_token: "x" });
    return {
      discovery: await tried("/.well-known/openid-configuration"),
      jwks: await tried("/.well-known/jwks.json", { headers: { "claviger-verifier": "browser" } }),
      token: await tried("/oauth/token", { method: "POST", body }),
      userinfo: await tried("/oauth/userinfo", { headers: { authorization: `Bearer ${token}` } }),
      revoke: await tried("/oauth/revoke", { method: "POST", body }),
      introspect: await tried("/oauth/introspect", { method: "POST", body }),
    };
  },
  { issuer, client_id, token: second.access_token },
);
await foreign.close();

// Out. The library then forgets its key, which the old refresh token is bound to.
await tab.evaluate(async (id) => settings.dpop && settings.dpop.store.set("kept", await settings.dpop.store.get(id)), client_id);
await navigated(tab.evaluate(() => void manager.signoutRedirect()));
await arrived(`${origin}/bye`);
const after = await tab.evaluate(
  async ({ client_id, refresh_token }) => {
    const body = new URLSearchParams({ grant_type: "refresh_token", client_id, refresh_token });
    const headers = {};
    if (settings.dpop) {
      const kept = await settings.dpop.store.get("kept");
      await settings.dpop.store.set(client_id, kept);
      headers.dpop = await new oidc.OidcClient(settings).getDpopProof(settings.dpop.store, kept.nonce);
    }
    const answer = await fetch(await manager.metadataService.getTokenEndpoint(), { method: "POST", body, headers });
    return { status: answer.status, error: (await answer.json()).error };
  },
  { client_id, refresh_token: second.refresh_token },
);
await navigated(tab.evaluate(() => void manager.signinRedirect()));
await tab.waitForSelector('[name="identifier"]');

await browser.close();
server.close();
console.log(JSON.stringify({
  first: { sub: first.profile.sub, email: first.profile.email, token_type: first.token_type, at: asked.origin },
  userinfo,
  renewed: { sub: second.sub, has_rotated: second.refresh_token !== first.refresh_token && second.access_token !== first.access_token },
  read,
  after,
  complaints,
}));
process.exit(0);
