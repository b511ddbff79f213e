// What a web page does without any SDK: fetch, a reader, lines, `data: `. Prints one line of JSON.
const [, , baseURL, model] = process.argv;

const response = await fetch(`${baseURL}/chat/completions`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], stream: true }),
});
const reader = response.body.getReader();
const decoder = new TextDecoder();
let buffer = "";
let text = "";
let done = false;
for (;;) {
  const { value, done: over } = await reader.read();
  if (over) break;
  buffer += decoder.decode(value, { stream: true });
  const lines = buffer.split("\n");
  buffer = lines.pop();
  for (const line of lines) {
    if (!line.startsWith("data: ")) continue;
    const data = line.slice(6);
    if (data === "[DONE]") {
      done = true;
      continue;
    }
    text += JSON.parse(data).choices[0]?.delta?.content ?? "";
  }
}
console.log(JSON.stringify({ status: response.status, type: response.headers.get("content-type"), text, done }));
