// A service with the SDK for JavaScript: one path for each thing the tests ask of a host.
import { ConfigStore } from "fastly:config-store";
import { createFanoutHandoff } from "fastly:fanout";
import { KVStore } from "fastly:kv-store";
import { Logger } from "fastly:logger";

const paths = {
  async "/answer"(request) {
    const headers = new Headers({ "x-one": "1" });
    headers.append("x-two", "a");
    headers.append("x-two", "b");
    return new Response(`${request.method} ${request.headers.get("x-asked")}\n`, { status: 201, headers });
  },
  async "/echo"(request) {
    return new Response(request.body, { headers: { "content-type": "text/plain" } });
  },
  async "/fetch"() {
    const answer = await fetch("http://fetched.test/echo?a=b", {
      backend: "origin", method: "POST", body: "sent", headers: { "x-sent": "1" },
    });
    const { line, body } = await answer.json();
    return new Response(`${answer.status} ${line} ${body}\n`);
  },
  async "/config"() {
    return new Response(`${new ConfigStore("settings").get("greeting")} ${new ConfigStore("settings").get("none")}\n`);
  },
  async "/kv"() {
    const store = new KVStore("nothing");
    await store.put("key", "value");
    const entry = await store.get("key");
    return new Response(`${await entry.text()} ${await store.get("none")}\n`);
  },
  async "/stream"() {
    const parts = ["one ", "two ", "three\n"].map((part) => new TextEncoder().encode(part));
    return new Response(new ReadableStream({
      pull(controller) {
        const part = parts.shift();
        part ? controller.enqueue(part) : controller.close();
      },
    }));
  },
  async "/log"() {
    new Logger("mine").log("a line");
    return new Response("logged\n");
  },
  async "/fanout"(request) {
    return createFanoutHandoff(request, "origin");
  },
};

addEventListener("fetch", (event) => {
  const path = paths[new URL(event.request.url).pathname];
  event.respondWith(path ? path(event.request) : new Response("ready\n"));
});
