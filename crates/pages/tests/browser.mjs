// Opens every page of a gallery in Chromium, with the policy it is served with, and prints what is wrong: browser.mjs DIR CHROMIUM.
// axe-core must find nothing (WCAG 2.2 A and AA, and its best practices) by day and by night, at 1280 and at 320 pixels; nothing may
// be wider than the window; the policy may stop nothing. It is copied beside its node_modules before it runs.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [dir, executablePath] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const types = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" };
const wrong = [];

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://gallery").pathname.slice(1);
  try {
    const type = types[path.split(".").pop()];
    const headers = { "Content-Type": type };
    const body = readFileSync(join(dir, path));
    if (type === types.html && path !== "index.html") headers["Content-Security-Policy"] = readFileSync(join(dir, `${path}.csp`), "utf8");
    response.writeHead(200, headers).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
let name = "";
let elsewhere = [];
await page.setRequestInterception(true);
page.on("request", (request) => {
  if (request.url().startsWith(origin)) return request.continue();
  // A client's site: 204 leaves the page as it is.
  elsewhere.push(`${request.method()} ${request.url()}`);
  return request.respond({ status: 204 });
});
page.on("pageerror", (error) => wrong.push(`${name}: ${error}`));
page.on("console", (message) => {
  if (message.type() === "error" && !/favicon/.test(message.text() + message.location().url)) wrong.push(`${name}: ${message.text()}`);
});

async function open(file, { width, scheme }) {
  name = `${file} ${width}px ${scheme}`;
  elsewhere = [];
  await page.setViewport({ width, height: 800 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(`${origin}/${file}`, { waitUntil: "load" });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  if (wide) wrong.push(`${name}: is wider than the window`);
}

async function judge() {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, {
      resultTypes: ["violations"],
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  for (const { id, impact, nodes } of found.violations) {
    wrong.push(`${name}: ${impact} ${id}: ${nodes.map((node) => `${node.html} ${node.any[0]?.message ?? ""}`).join(" | ").slice(0, 400)}`);
  }
}

const files = readFileSync(join(dir, "index.html"), "utf8").match(/(?<=href=")[^"]+/g);
let judged = 0;
let opened = 0;
for (const file of files) {
  // Words differ in length by language, and nothing else does: these are judged in English, and measured in every language.
  const [brand, language, kind] = file.split(".");
  const narrow = { width: 320, scheme: "light" };
  const wide = [{ width: 1280, scheme: "dark" }, { width: 1280, scheme: "light" }];
  const main = ["login", "consent", "account", "login-password"].includes(kind);
  const branded = main ? wide : wide.slice(1);
  const views = language !== "en" || kind.startsWith("mail-") ? [narrow] : brand === "plain" ? [narrow, wide[0]] : branded;
  if (language !== "en" && brand !== "plain") continue;
  for (const view of views) {
    await open(file, view);
    opened++;
    if (language === "en") await judge(judged++);
  }
}

// The two pages that go on by themselves do, and wait to be pressed where there is no JavaScript.
const goes = async (file, wanted, javascript) => {
  await page.setJavaScriptEnabled(javascript);
  await open(file, { width: 1280, scheme: "light" });
  for (let turn = 0; turn < 100 && javascript && !elsewhere.some((url) => url.startsWith(wanted)); turn++) {
    await page.waitForRequest((request) => !request.url().startsWith(origin), { timeout: 50 }).catch(() => {});
  }
  if (elsewhere.some((url) => url.startsWith(wanted)) !== javascript) wrong.push(`${name}: JavaScript ${javascript}: ${elsewhere}`);
};
for (const javascript of [true, false]) {
  await goes("plain.en.form-post.html", "POST https://photos.example/callback", javascript);
  await goes("plain.en.logged-out-frames.html", "GET https://photos.example/bye", javascript);
}
for (const frame of ["https://photos.example/out", "https://mail.example/out"]) {
  if (!elsewhere.some((url) => url.includes(frame))) wrong.push(`${frame} was not told`);
}

await browser.close();
server.close();
if (judged < 150) wrong.push(`only ${judged} views were judged`);
console.log(wrong.length ? wrong.join("\n") : `${opened} views opened, ${judged} judged, nothing wrong`);
process.exitCode = wrong.length ? 1 : 0;
