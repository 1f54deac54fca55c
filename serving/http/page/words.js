// The page's words: English where they are used, as t("…"), and here what stands in their place in Chinese.

const CHINESE = {
  // page.html
  "Skip to the model": "跳到模型", "Model": "模型", "Try it": "试一试", "Ask": "提问", "Stop": "停止", "Add another": "再加一条",
  "This server wants an API key. It stays in this page's memory and is sent to this server alone.": "此服务器需要 API 密钥。密钥只保存在本页内存中，只发送给此服务器。",
  "Use it": "使用", "From code": "用代码调用", "Copy": "复制", " the curl command": " curl 命令", "Python, standard library": "Python 标准库",
  " the Python snippet": " Python 代码", "curl command": "curl 命令", "Python snippet": "Python 代码", "Model card": "模型卡", "About this server": "关于此服务器",
  "The proof": "证明", "Scores": "分数", "The server": "服务器",
  // dom.js
  "Theme: {0}": "主题：{0}", "auto": "自动", "light": "浅色", "dark": "深色",
  // server.js
  "The server did not answer.": "服务器没有应答。", "This page could not show the answer.": "本页无法显示答案。", "Try again in {0} s.": "请在 {0} 秒后重试。",
  "The server refused this ({0}).": "服务器拒绝了此请求（{0}）。", "Try again": "重试",
  "Is the server still running, and can this browser reach it?": "服务器还在运行吗？浏览器能连到它吗？", "Give another one above.": "请在上面换一个密钥。",
  "This key may not ask here.": "此密钥无权在此提问。", "Send less at once; the limits are listed under “The server”.": "请一次少发一些；限制见“服务器”一栏。",
  "Others are waiting too.": "还有其他请求在排队。", "It is starting or stopping; try again in a moment.": "服务器正在启动或停止，请稍后再试。",
  "This is the server's fault; its log tells more.": "这是服务器的错误，详情见其日志。",
  // key.js
  "A key has no “{0}” in it.": "密钥中不能有“{0}”。", "Letters from A to Z, digits and - . _ ~ + / = are accepted.": "可用 A 到 Z 的字母、数字和 - . _ ~ + / =。",
  // bars.js
  "Show all {0}": "显示全部 {0} 项", "threshold": "阈值", " (answered)": "（答案）",
  // answers.js
  "Labels by probability": "按概率排列的标签", "No label reaches its threshold": "没有标签达到阈值",
  "Labels by probability, each with its threshold": "按概率排列的标签及各自阈值", ", {0} to {1} in {2} of texts": "，{2} 的文本在 {0} 到 {1} 之间",
  "this number": "这个数值", "The text with its entities": "标出实体的文本", "Entities by place, with their score": "按位置排列的实体及分数",
  "No entity was found": "没有找到实体", "The context does not tell": "上下文中没有答案", "The context with the answer in it": "标出答案的上下文",
  "this answer": "这个答案", "Why {0}?": "为什么是{0}？", "Why?": "为什么？", "Answer": "答案", "{0} numbers, of length 1: {1}, …": "{0} 个数，长度为 1：{1}，…",
  "One vector": "一个向量", "Add another text to see how similar they are.": "再加一条文本，看看两者有多相似。", "cosine similarity": "余弦相似度",
  "Similarity": "相似度", "1 and 2": "1 和 2", "{0} texts": "{0} 条文本", "cosine similarity of each two": "两两余弦相似度",
  "Cosine similarity of each two texts": "文本两两之间的余弦相似度", "input": "输入", "text": "文本", "beginning": "开头", "end": "结尾",
  "This {0} is longer than what the model reads, which is {1} tokens: its {2} was not read.": "此{0}超过模型能读的 {1} 个词元，{2}未被读取。",
  "Text {0} is longer than what the model reads, which is {1} tokens: its {2} was not read.": "第 {0} 条文本超过模型能读的 {1} 个词元，{2}未被读取。",
  "Texts {0} are longer than what the model reads, which is {1} tokens: their {2} was not read.": "第 {0} 条文本超过模型能读的 {1} 个词元，{2}未被读取。",
  // explain.js
  "Occlusion": "遮挡法", "Shapley values": "Shapley 值", "Asking why…": "正在询问原因…", "The words that {0} rests on are shown.": "已显示{0}所依据的词。",
  "no answer": "无答案", "Why ": "为什么是 ", "?": "？", "{0}, its words coloured": "{0}，各词已着色", "The words that count most": "影响最大的词",
  "The words' scores add up to {0}, the difference is {1}.": "各词分数之和为 {0}，差值为 {1}。",
  "The {0} is {1}, and {2} with every word masked.": "{0} 为 {1}，遮住所有词时为 {2}。", "The model ran {0} times.": "模型运行了 {0} 次。",
  "The text is longer than the model's window: its end was not read.": "文本超过模型的窗口，结尾未被读取。",
  "In a text of this length, {0} neighbouring words are masked together.": "对这么长的文本，每次同时遮住相邻的 {0} 个词。",
  "for the answer": "支持该答案", "against the answer": "反对该答案", "Method": "方法",
  // stream.js
  "The model ended at once and wrote nothing.": "模型立即结束，没有写出内容。", " (stopped)": "（已停止）", "At most so many tokens": "最多词元数",
  "Temperature, 0 is greedy": "温度，0 为贪心", "Seed": "随机种子", "any": "任意",
  // card.js
  "The card could not be read: {0}": "无法读取模型卡：{0}", "code": "代码", "table": "表格",
  // info.js
  "{0} labels": "{0} 个标签", "from {0}": "基于 {0}", "What is served is what was measured": "提供服务的就是测过的模型",
  "Before this bundle existed, the code that serves here was compared with the trained checkpoint.": "生成此模型包之前，这里提供服务的代码已与训练得到的检查点逐条比对。",
  "Test {0}, as served": "测试集{0}（服务时）", "Test {0}, as trained": "测试集{0}（训练后）", "Inputs compared": "比对的输入", "Equal answers": "相同的答案",
  "{0} of {1}": "{0} / {1}", "Equal token ids": "相同的词元编号", "all": "全部", "not all": "不是全部", "Largest logit difference": "最大 logit 差",
  "Proven on": "证明所用的机器", "Bundle sha256": "模型包 sha256", "The training warned of its data:": "训练对数据给出的警告：", "mean score": "平均分数",
  "Scores on the test set, and how many of these answers are right. Calibration error {0}, before calibration {1}.": "测试集上的分数，以及其中正确答案的比例。校准误差 {0}，校准前 {1}。",
  "Share of right answers by score": "各分数段的正确率", "Does not answer": "没有应答", "Ready": "就绪", "Not ready": "未就绪",
  "The {0} snippet is copied.": "已复制 {0} 代码。", "Copied": "已复制",
  "Inputs per request": "每个请求的输入数", "Characters per text": "每条文本的字符数", "Bytes per request": "每个请求的字节数", "Tokens per window": "每个窗口的词元数",
  "Rows per explanation": "每次解释的行数", "Tokens per explanation": "每次解释的词元数", "Windows in the queue": "队列中的窗口数", "Tokens in the queue": "队列中的词元数",
  "Bytes of all bodies": "所有请求体的字节数", "Longest generation, seconds": "最长生成时间（秒）", "Bytes of generation caches": "生成缓存的字节数",
  "Explanations at once": "同时进行的解释数", "Longest wait, seconds": "最长等待（秒）", "Body timeout, seconds": "请求体超时（秒）",
  "Header timeout, seconds": "请求头超时（秒）", "Bytes of headers": "请求头字节数", "Keep-alive, seconds": "保持连接（秒）", "Connections": "连接数",
  // form.js, ask.js
  "Text": "文本", "Second text": "第二条文本", "Question": "问题", "Context": "上下文", "Prompt": "提示", "Remove": "删除", "Input {0}": "输入 {0}",
  "Remove input {0}": "删除输入 {0}", "The answer is there.": "答案已显示。", "Asking…": "正在提问…", "Stopped.": "已停止。",
  // What the server names: tasks, metrics, fields, outputs
  "text classification": "文本分类", "multi label classification": "多标签分类", "regression": "回归", "token classification": "实体识别",
  "question answering": "抽取式问答", "feature extraction": "文本向量", "text2text generation": "文本到文本生成", "text generation": "文本生成",
  "accuracy": "准确率", "macro F1": "宏平均 F1", "micro F1": "微平均 F1", "exact match": "完全匹配率", "token accuracy": "词元准确率",
  "Pearson": "皮尔逊相关", "Spearman": "斯皮尔曼相关", "probability": "概率", "logit": "logit", "number": "数值", "score": "分数",
  "inputs": "输入", "question": "问题", "context": "上下文", "text pair": "第二条文本",
};

const language = {now: navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"};

function t(text, ...values) {
  const words = language.now === "zh" ? CHINESE[text] ?? text : text;
  return words.replace(/\{(\d)\}/g, (_, place) => values[place]);
}

// The texts and labels of page.html itself, as they were before anything was shown.
const WRITTEN = [];

function noteWritten() {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, text = node.data;
    if (node.parentElement.closest("script, style, #language")) continue;
    if (CHINESE[text]) WRITTEN.push(() => { node.data = t(text); });
    else if (CHINESE[text.trim()]) WRITTEN.push(() => { node.data = text.replace(text.trim(), t(text.trim())); });
  }
  for (const element of document.querySelectorAll("[aria-label]")) {
    const label = element.getAttribute("aria-label");
    WRITTEN.push(() => element.setAttribute("aria-label", t(label)));
  }
}

function showLanguage() {
  const other = language.now === "zh" ? ["en", "English"] : ["zh-Hans", "中文"];
  document.documentElement.lang = language.now === "zh" ? "zh-Hans" : "en";
  at("language").lang = other[0];
  at("language").textContent = other[1];
  WRITTEN.forEach(show => show());
}

// `showTheme`: shows the one button whose words change with its state. What is typed stays; answers are asked again.
function initLanguage(showTheme) {
  noteWritten();
  at("language").addEventListener("click", () => {
    language.now = language.now === "zh" ? "en" : "zh";
    const answered = at("answers").childElementCount > 0;
    showLanguage();
    showTheme();
    if (state.info) showModel();
    at("answers").replaceChildren();
    if (answered) at("form").requestSubmit();
    checkReady();
  });
  showLanguage();
  showTheme();
}
