// Decodes and encodes Sparkplug B payloads, one JSON object a line: {"decode": "<hex>"} or {"encode": <payload>}.
"use strict";

const payloads = require("sparkplug-payload").get("spBv1.0");
const lines = require("readline").createInterface({ input: process.stdin });

const plain = (key, value) => (value !== null && typeof value === "object" && "unsigned" in value ? Number(value) : value);
const numbers = (value) => JSON.parse(JSON.stringify(value, function (key, shown) {
  // Long has a toJSON of its own in some versions; the object itself is what is wanted.
  const own = this[key];
  return own !== null && typeof own === "object" && "unsigned" in own ? Number(own.toString()) : plain(key, shown);
}));

lines.on("line", (line) => {
  const asked = JSON.parse(line);
  const answer = "decode" in asked
    ? numbers(payloads.decodePayload(Buffer.from(asked.decode, "hex")))
    : Buffer.from(payloads.encodePayload(asked.encode)).toString("hex");
  process.stdout.write(JSON.stringify(answer) + "\n");
});
