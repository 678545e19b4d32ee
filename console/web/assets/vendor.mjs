// Makes static/vendor and static/icons.svg from node_modules. Run by `npm run vendor` after a version
// in package.json changed; its result is tracked, so that running Berth needs no npm.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");
const MODULES = join(ROOT, "node_modules");
const VENDOR = join(ROOT, "static/vendor");

const FILES = {
  "tabler/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
  "tabler/tabler.min.js": "@tabler/core/dist/js/tabler.min.js",
  "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
  "htmx/LICENSE": "htmx.org/LICENSE",
  "idiomorph/idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
  "idiomorph/LICENSE": "idiomorph/LICENSE",
  "uplot/uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
  "uplot/uPlot.min.css": "uplot/dist/uPlot.min.css",
  "uplot/LICENSE": "uplot/LICENSE",
  "codemirror/LICENSE": "@codemirror/view/LICENSE",
  "xterm/xterm.js": "@xterm/xterm/lib/xterm.mjs",
  "xterm/addon-fit.js": "@xterm/addon-fit/lib/addon-fit.mjs",
  "xterm/xterm.css": "@xterm/xterm/css/xterm.css",
  "xterm/LICENSE": "@xterm/xterm/LICENSE",
  "xterm/ADDON-FIT-LICENSE": "@xterm/addon-fit/LICENSE",
  "tabler/ICONS-LICENSE": "@tabler/icons/LICENSE",
};

// A source map that is not shipped would break the hashing of static files.
const withoutMaps = (text) => text.replace(/^\/[/*]# sourceMappingURL=.*$/gm, "").trimEnd() + "\n";

function copyFiles() {
  for (const [target, source] of Object.entries(FILES)) {
    const path = join(VENDOR, target);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, withoutMaps(readFileSync(join(MODULES, source), "utf8")));
  }
}

// The pages' policy forbids style attributes, in which xterm.js puts 24-bit colours. Set through the object model
// they are allowed.
function allowColours() {
  const path = join(VENDOR, "xterm/xterm.js");
  const attribute = 't.setAttribute("style",`${t.getAttribute("style")||""}${e};`)';
  const parts = readFileSync(path, "utf8").split(attribute);
  if (parts.length !== 2) throw new Error("xterm.js sets style attributes in another way: see to allowColours");
  writeFileSync(path, parts.join("t.style.cssText+=`${e};`"));
}

// Tabler's package carries no licence file; its package.json names MIT and its authors.
function writeTablerLicence() {
  const mit = readFileSync(join(MODULES, "@tabler/icons/LICENSE"), "utf8");
  const year = /Copyright \(c\) 20\d\d.*\n/;
  const authors = readFileSync(join(VENDOR, "tabler/tabler.min.css"), "utf8").match(/Copyright [^\n]*/g) ?? [];
  const lines = [...new Set(authors.map((line) => line.trim()))].join("\n") + "\n";
  writeFileSync(join(VENDOR, "tabler/LICENSE"), mit.replace(year, lines));
}

function symbol(name) {
  const filled = name.endsWith("-filled");
  const file = join(MODULES, "@tabler/icons/icons", filled ? "filled" : "outline", `${name.replace(/-filled$/, "")}.svg`);
  if (!existsSync(file)) throw new Error(`no such icon: ${name}`);
  const body = readFileSync(file, "utf8").replace(/<!--[\s\S]*?-->/g, "");
  const inner = body.replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>[\s\S]*$/, "");
  const paint = filled ? 'fill="currentColor" stroke="none"' : "";
  return `<symbol id="${name}" viewBox="0 0 24 24" ${paint}>${inner.replace(/\s+/g, " ").trim()}</symbol>`;
}

function writeSprite() {
  const names = readFileSync(join(import.meta.dirname, "icons.txt"), "utf8").trim().split("\n");
  const symbols = [...new Set(names)].sort().map(symbol).join("\n");
  writeFileSync(join(ROOT, "static/icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols}\n</svg>\n`);
}

rmSync(VENDOR, { recursive: true, force: true });
copyFiles();
allowColours();
writeTablerLicence();
writeSprite();
await build({
  entryPoints: [join(import.meta.dirname, "codemirror.js")],
  outfile: join(VENDOR, "codemirror/codemirror.js"),
  bundle: true,
  format: "esm",
  minify: true,
  legalComments: "none",
});
