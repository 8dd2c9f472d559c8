// Goes through the account and the way back into it in Chromium, with or without JavaScript: live_pages.mjs ISSUER PASSWORD LINK PICTURES
// SCRIPT CHROMIUM; or, with AUTHORIZE USER_CODE behind it, through several accounts, a required password and a device.
// LINK opens a new password for alice, whose other one is PASSWORD. axe-core must find nothing; the policies may stop nothing; nothing is
// wider than the window. Prints what is wrong, else "nothing wrong". Pictures of the pages are left in PICTURES.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [issuer, password, link, pictures, script, executablePath, ...journey] = process.argv.slice(2);
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

async function oneAccount() {
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
}

async function severalAccounts(authorize, userCode) {
  // Presses Tab until the element is reached, and then Enter: nothing here needs a mouse.
  const byKeyboard = async (selector) => {
    for (let turn = 0; turn < 40; turn++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) {
        const outlined = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        if (outlined === "none") wrong.push(`${name}: one does not see that ${selector} has the focus`);
        return Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      }
    }
    wrong.push(`${name}: ${selector} is not reached by keyboard on ${page.url()}`);
  };
  const idOf = (who) => page.$$eval(".choices li", (items, who) => items.find((item) => item.innerText.includes(who))?.querySelector("button")?.value, who);
  const choose = async (who) => byKeyboard(`button[name="account"][value="${who ? await idOf(who) : ""}"]`);

  await page.goto(`${issuer}/account`);
  await type({ identifier: "alice", password });
  await press("button.primary");
  await says("You are signed in as");
  await page.goto(`${issuer}/account/accounts`);
  await look("chooser-alone");
  await choose("");
  await type({ identifier: "bob", password });
  await press("button.primary");
  await says("bob");

  await page.goto(authorize);
  await says("Choose an account");
  await look("chooser");
  await choose("alice");
  await says("alice");
  await look("consent");
  await byKeyboard('a[href$="/accounts"]');
  await choose("");
  await look("login-beside");
  await type({ identifier: "carol", password });
  await press("button.primary");
  await says("Choose a new password");
  await look("required-password");
  await type({ new_password: newPassword, repeat_password: password });
  await press("button.primary");
  await says("The two passwords are not the same.");
  await look("required-password-wrong");
  await type({ new_password: newPassword, repeat_password: newPassword });
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await says("carol");

  await page.goto(`${issuer}/device`);
  await look("device-code");
  await type({ user_code: "AAAA-BBBB" });
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await look("device-code-wrong");
  await type({ user_code: userCode });
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await says("Choose an account");
  await choose("bob");
  await says("bob");
  await look("device-confirm");
  await byKeyboard('button[value="allow"]');
  await says("Device connected");
  await look("device-done");

  await page.goto(`${issuer}/account/accounts`);
  await byKeyboard(`button[name="sign_out"][value="${await idOf("bob")}"]`);
  if (await idOf("bob")) wrong.push("bob is there still");
  if (!(await idOf("alice")) || !(await idOf("carol"))) wrong.push("somebody else is gone, too");
  await look("chooser-left");
}

await (journey.length ? severalAccounts(...journey) : oneAccount());
await browser.close();
console.log(wrong.length ? wrong.join("\n") : "nothing wrong");
process.exitCode = wrong.length ? 1 : 0;
