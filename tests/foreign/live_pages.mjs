// Goes through the account and the way back into it in Chromium, with or without JavaScript: live_pages.mjs ISSUER PASSWORD LINK PICTURES.
// LINK opens a new password for alice, whose other one is PASSWORD. axe-core must find nothing; the policies may stop nothing; nothing is
// wider than the window. Prints what is wrong, else "nothing wrong". Pictures of the pages are left in PICTURES.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [issuer, password, link, pictures, script, executablePath] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const hasScript = script === "with";
const newPassword = "forty-two-mauve-tractors-hum";
const wrong = [];

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.createBrowserContext();
const page = await context.newPage();
await page.setJavaScriptEnabled(hasScript);
let name = "";
page.on("pageerror", (error) => wrong.push(`${name}: ${error}`));
page.on("console", (message) => {
  // A status that is meant is no complaint; what a policy stops is.
  const text = message.text();
  if (message.type() === "error" && !/favicon|status of 4/.test(text + message.location().url)) wrong.push(`${name}: ${text}`);
});

async function look(at) {
  for (const [width, scheme] of [[1280, "light"], [320, "dark"]]) {
    name = `${at} ${width}px ${scheme} ${script} JavaScript`;
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    // What fades from day to night is judged when it has.
    await page.evaluate(() => document.getAnimations().forEach((animation) => animation.finish()));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) wrong.push(`${name}: is wider than the window`);
    if (hasScript) {
      await page.evaluate(axe);
      const found = await page.evaluate(() =>
        globalThis.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
      );
      for (const { id, impact, nodes } of found.violations) wrong.push(`${name}: ${impact} ${id}: ${nodes.map((node) => node.html).join(" | ").slice(0, 400)}`);
    }
    await page.screenshot({ path: join(pictures, `${at}-${width}-${script}.png`), fullPage: true });
  }
  await page.setViewport({ width: 1280, height: 800 });
}

async function type(fields) {
  for (const [field, text] of Object.entries(fields)) {
    await page.$eval(`[name="${field}"]`, (input) => { input.value = ""; });
    await page.type(`[name="${field}"]`, text);
  }
}

const press = (selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
const says = async (text) => {
  const body = await page.evaluate(() => document.body.innerText);
  if (!body.includes(text)) wrong.push(`${name}: "${text}" is not on ${page.url()}: ${body.slice(0, 600)}`);
};

// The account: by keyboard as far as the login, with wrong words first.
await page.goto(`${issuer}/account`);
await look("login");
await type({ identifier: "alice", password: "not-her-password-at-all" });
await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
await says("That didn’t work");
await look("login-wrong");
await type({ password });
await press("button.primary");
await says("Your account");
await look("account");
await type({ display_name: "Alice <b>Liddell</b> \"Pleasance\"" });
await press('form[action$="/profile"] button');
await says("Your account");
await page.click('a[href$="/account/password"]').then(() => page.waitForSelector('[name="new_password"]'));
await look("new-password");
await type({ current_password: "not-her-password-at-all", new_password: newPassword, repeat_password: newPassword });
await press("button.primary");
await says("That isn’t your current password.");
await look("new-password-wrong");
const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
const data = await fetch(`${issuer}/account/export`, { headers: { cookie } });
const mine = await data.json();
if (!data.headers.get("content-disposition")?.startsWith("attachment") || mine.username !== "alice") wrong.push(`export: ${JSON.stringify(mine)}`);
await page.goto(`${issuer}/account`);
if (await page.$("form[action$='/account/email/verify']")) await look("account-unverified");
await page.goto(`${issuer}/account/email`);
if (await page.$('[name="email"]')) await look("email-change");
await page.goto(`${issuer}/account`);
await press('form[action$="/sign-out"] button');
await says("You are signed out");
await look("signed-out");

// Forgotten: the way from the login to "look into your mail", and from the mail to a new password.
await page.goto(`${issuer}/account`);
await Promise.all([page.waitForNavigation(), page.click('a[href$="/password/forgot"]')]);
await look("forgot");
await type({ identifier: "nobody" });
await press("button.primary");
await says("Check your e-mail");
await look("forgot-sent");
await page.goto(link);
await look("reset");
await type({ new_password: newPassword, repeat_password: password });
await press("button.primary");
await says("The two passwords are not the same.");
await type({ new_password: newPassword, repeat_password: newPassword });
await press("button.primary");
await says("Password changed");
await look("reset-done");
await page.goto(link);
await says("This link no longer works");
await look("link-expired");
await page.goto(`${issuer}/account`);
await type({ identifier: "alice", password: newPassword });
await press("button.primary");
await says("Your account");
const shown = await page.$eval('[name="display_name"]', (input) => input.value);
if (shown !== "Alice <b>Liddell</b> \"Pleasance\"") wrong.push(`the name came back as ${shown}`);
if (await page.$("b")) wrong.push("a name became markup");
await look("account-named");

await browser.close();
console.log(wrong.length ? wrong.join("\n") : "nothing wrong");
process.exitCode = wrong.length ? 1 : 0;
