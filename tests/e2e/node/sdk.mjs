// The official SDK, asked as `test_node.py` says: `node sdk.mjs URL MODEL STEP`; prints one line of JSON.
import OpenAI from "openai";

const [, , baseURL, model, step] = process.argv;
const client = new OpenAI({ baseURL, apiKey: "sk-client", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", parameters } }];

const steps = {
  async create() {
    const answer = await client.chat.completions.create({ model, messages });
    const { message, finish_reason } = answer.choices[0];
    return { text: message.content, finish: finish_reason, usage: answer.usage.completion_tokens, id: answer._request_id };
  },
  async stream() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    const pieces = [];
    let finish = null;
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    return { pieces, finish };
  },
  async helper() {
    const runner = client.chat.completions.stream({ model, messages });
    const answer = await runner.finalChatCompletion();
    return { text: answer.choices[0].message.content };
  },
  async tools() {
    const first = await client.chat.completions.create({ model, messages, tools });
    const { message } = first.choices[0];
    const call = message.tool_calls[0];
    const turns = [...messages, message, { role: "tool", tool_call_id: call.id, content: "17 degrees" }];
    const last = await client.chat.completions.create({ model, messages: turns, tools });
    return { name: call.function.name, args: JSON.parse(call.function.arguments), text: last.choices[0].message.content };
  },
  async models() {
    const names = [];
    for await (const item of client.models.list()) names.push(item.id);
    return { names, one: (await client.models.retrieve("openai/gpt-4o")).id };
  },
};

try {
  console.log(JSON.stringify(await steps[step]()));
} catch (error) {
  const { name } = error.constructor;
  console.log(JSON.stringify({ error: name, status: error.status ?? null, message: error.message, id: error.requestID ?? null }));
}
