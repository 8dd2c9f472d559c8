// Visits a page that Apache protects with mod_auth_openidc, in Chromium: apache_page.mjs PAGE CALLBACK BYE PASSWORD CHROMIUM
// Logs alice in where Apache sends the browser, reads the page, logs out by way of CALLBACK to BYE, and looks whether the page is closed
// again. Prints what it saw as JSON.
import puppeteer from "puppeteer-core";

const [address, callback, bye, password, executablePath] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server"] });
const page = await (await browser.createBrowserContext()).newPage();
const text = () => page.evaluate(() => document.body.innerText);

await page.goto(address);
await page.waitForSelector('[name="identifier"]');
const login = new URL(page.url());
await page.type('[name="identifier"]', "alice");
await page.type('[name="password"]', password);
await page.click("button.primary");
await page.waitForFunction((address) => location.href.startsWith(address), {}, address);
const shown = await text();
const again = await page.goto(address);
const stays = [again.status(), page.url().startsWith(address)];

await page.goto(`${callback}?logout=${encodeURIComponent(bye)}`);
const left = { at: page.url(), shown: await text() };
await page.goto(address);
await page.waitForSelector('[name="identifier"]');
const closed = new URL(page.url());

await browser.close();
console.log(JSON.stringify({ login: login.origin, shown, stays, left, closed: closed.origin }));
process.exit(0);
