// Azurite on a free port of this machine, until standard input ends. Says its port.
//
// serve.js <folder where Azurite is installed> <account> <key, in Base64>; the container is `lake`.
"use strict";

const { createHmac } = require("crypto");
const http = require("http");
const path = require("path");

const [folder, account, key] = process.argv.slice(2);

// Azurite says where it listens, and nothing else that is of use here.
console.log = (line) => {
  const port = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
  if (port) makeContainer(Number(port[1]));
};

process.stdin.on("end", () => process.exit(0)).resume();
process.env.AZURITE_ACCOUNTS = `${account}:${key}`;
const options = ["--blobPort", "0", "--inMemoryPersistence", "--silent", "--disableTelemetry"];
process.argv = [process.argv[0], "azurite-blob", ...options];
require(path.join(folder, "node_modules/azurite/dist/src/blob/main.js"));

function makeContainer(port) {
  const headers = {
    "x-ms-date": new Date().toUTCString(),
    "x-ms-version": "2023-11-03",
  };
  const named = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  // The account is in the path and in the resource: so it is with an emulator.
  const signed = `PUT${"\n".repeat(12)}${named.join("")}/${account}/${account}/lake\nrestype:container`;
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(signed, "utf8").digest("base64");
  headers.Authorization = `SharedKey ${account}:${signature}`;
  const asked = http.request(
    { host: "127.0.0.1", port, method: "PUT", path: `/${account}/lake?restype=container`, headers },
    (answer) => {
      answer.resume();
      if (answer.statusCode !== 201) process.exit(1);
      process.stdout.write(`${port}\n`);
    },
  );
  asked.end();
}
