// onnxruntime-web in node for runtimes/wasm.py: messages of runtimes/wire.py on standard input and output.
//
// {"op": "load", "model", "opt"} -> {"graph", "inputs", "outputs"}; {"op": "run", "graph"} + arrays -> {} + arrays;
// {"error": text} in place of either. Arguments: the folder with node_modules, the number of threads or 0.

import { readFile } from "node:fs/promises";
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, threads] = process.argv.slice(2);
const ort = createRequire(join(folder, "package.json"))("onnxruntime-web");
if (Number(threads) > 0) ort.env.wasm.numThreads = Number(threads);
ort.env.logLevel = "error";

const TYPES = {
  "<f4": ["float32", Float32Array],
  "<i4": ["int32", Int32Array],
  "|u1": ["uint8", Uint8Array],
  "|i1": ["int8", Int8Array],
};
const graphs = [];
const answers = {
  async load({ model, opt }) {
    const session = await ort.InferenceSession.create(await readFile(model), {
      executionProviders: ["wasm"],
      graphOptimizationLevel: opt,
    });
    graphs.push(session);
    return [{ graph: graphs.length - 1, inputs: session.inputNames, outputs: session.outputNames }, []];
  },
  async run({ graph }, arrays) {
    const results = await graphs[graph].run(Object.fromEntries(arrays));
    return [{}, Object.entries(results)];
  },
};

function encoded(message, tensors) {
  const arrays = tensors.map(([name, tensor]) => {
    const code = Object.keys(TYPES).find((key) => TYPES[key][0] === tensor.type);
    if (!code) throw new Error(`output ${name} is ${tensor.type}, expected one of ${Object.keys(TYPES)}`);
    return [name, code, tensor.dims];
  });
  const header = Buffer.from(JSON.stringify({ message, arrays }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = tensors.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return Buffer.concat([length, header, ...data]);
}

function write(bytes) {
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(1, bytes, sent);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error; // a full pipe
    }
  }
}

// Reads `size` bytes from `stream`, an async iterator of buffers, keeping the rest in `held`.
function reader(stream) {
  let held = Buffer.alloc(0);
  return async (size) => {
    const parts = [held];
    let length = held.length;
    while (length < size) {
      const { value, done } = await stream.next();
      if (done) return null;
      parts.push(value);
      length += value.length;
    }
    const all = Buffer.concat(parts);
    held = all.subarray(size);
    return all.subarray(0, size);
  };
}

const take = reader(process.stdin[Symbol.asyncIterator]());
for (;;) {
  const length = await take(8);
  if (!length) break;
  const { message, arrays } = JSON.parse(await take(Number(length.readBigUInt64LE())));
  const tensors = [];
  for (const [name, code, dims] of arrays) {
    const [type, Type] = TYPES[code];
    const count = dims.reduce((a, b) => a * b, 1);
    const bytes = await take(count * Type.BYTES_PER_ELEMENT);
    const data = new Type(Uint8Array.from(bytes).buffer); // a copy: aligned
    tensors.push([name, new ort.Tensor(type, data, dims)]);
  }
  let reply;
  try {
    reply = encoded(...(await answers[message.op](message, tensors)));
  } catch (error) {
    reply = encoded({ error: String(error.message ?? error) }, []);
  }
  write(reply);
}
process.exit(0); // worker threads would keep it alive
