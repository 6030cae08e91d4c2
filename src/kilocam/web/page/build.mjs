// Builds the page into ../static: script and style with a hash of their content in their names, so
// that browsers may keep them for ever, and index.html that names them.
import { build } from "esbuild";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";

const out = "../static";
await rm(out, { recursive: true, force: true });
await mkdir(out);
const { metafile } = await build({
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  outdir: `${out}/assets`,
  entryNames: "[name]-[hash]",
  legalComments: "eof",
  metafile: true,
  logLevel: "warning",
});
const built = Object.keys(metafile.outputs).map((file) => `/assets/${basename(file)}`);
const tags = built.map((file) =>
  file.endsWith(".css")
    ? `<link rel="stylesheet" href="${file}" />`
    : `<script type="module" src="${file}"></script>`,
);
const page = await readFile("index.html", "utf8");
await writeFile(`${out}/index.html`, page.replace("<!-- built -->", tags.join("\n    ")));
console.log(`built ${built.join(" ")}`);
