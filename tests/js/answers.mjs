// What transformers.js answers from a folder, in Node and in a browser: called as the folder's README says.

/** The answers to the inputs of a job {model, task, dtype, pair, pooling, prefix, maxNewTokens, inputs}, with the tokens' ids. */
export async function answersOf(library, job) {
  const { AutoTokenizer } = library;
  const tokenizer = await AutoTokenizer.from_pretrained(job.model);
  const answer = await ASKING[job.pair ? "pairs" : job.task](library, job, tokenizer);
  const answers = [];
  for (const input of job.inputs) {
    const [text, text_pair] = partsOf(input);
    answers.push({ ids: tokenizer.encode(text, { text_pair }), answer: await answer(input) });
  }
  return answers;
}

function partsOf(input) {
  if (typeof input === "string") return [input, null];
  return [input.text ?? input.question, input.text_pair ?? input.context];
}

const pipelineOf = (name, call) => async (library, job) => {
  const run = await library.pipeline(name, job.model, { dtype: job.dtype });
  return (input) => call(run, input, job);
};

const modelOf = (name, read) => async (library, job, tokenizer) => {
  const model = await library[name].from_pretrained(job.model, { dtype: job.dtype });
  return async (input) => {
    const [text, text_pair] = partsOf(input);
    return read(await model(tokenizer(text, { text_pair, truncation: true, return_token_type_ids: true })));
  };
};

const classify = pipelineOf("text-classification", (run, input) => run(input, { top_k: null }));

const ASKING = {
  "text-classification": classify,
  "multi-label-classification": classify,
  pairs: modelOf("AutoModelForSequenceClassification", (outputs) => outputs.logits.tolist()[0]),
  regression: modelOf("AutoModelForSequenceClassification", (outputs) => outputs.logits.tolist()),
  vectors: modelOf("AutoModel", (outputs) => outputs.sentence_embedding.tolist()[0]),
  logits: modelOf("AutoModel", (outputs) => outputs.logits.tolist()[0]),
  "token-classification": pipelineOf("token-classification", (run, input) => run(input, { ignore_labels: [] })),
  "question-answering": pipelineOf("question-answering", (run, input) => run(input.question, input.context)),
  "feature-extraction": pipelineOf("feature-extraction", async (run, input, job) =>
    (await run(input, { pooling: job.pooling, normalize: true })).tolist()[0],
  ),
  "text2text-generation": pipelineOf("text2text-generation", (run, input, job) =>
    run(job.prefix + input, { max_new_tokens: job.maxNewTokens }),
  ),
  "text-generation": pipelineOf("text-generation", (run, input, job) =>
    run(input, { return_full_text: false, add_special_tokens: true, max_new_tokens: job.maxNewTokens }),
  ),
};
