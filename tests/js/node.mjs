// node node.mjs FOLDER: reads jobs as JSON from the standard input, and writes their answers, or errors.
import { readFileSync } from "node:fs";
import * as library from "@huggingface/transformers";
import { answersOf } from "./answers.mjs";

library.env.localModelPath = process.argv[2];
library.env.allowRemoteModels = false;
library.env.useFSCache = false;

const results = [];
for (const job of JSON.parse(readFileSync(0, "utf-8"))) {
  results.push(await answersOf(library, job).catch((error) => ({ error: String(error) })));
}
process.stdout.write(JSON.stringify(results));
