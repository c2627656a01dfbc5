// A backend on @fanoutio/grip, used the way its documentation shows:
// node backend.mjs FD, where FD is a socket that listens already.
import { createServer } from "node:http";

import {
  GripInstruct,
  HttpResponseFormat,
  HttpStreamFormat,
  Publisher,
  WebSocketMessageFormat,
  encodeWebSocketEvents,
  getWebSocketContextFromNodeReq,
  isNodeReqWsOverHttp,
} from "@fanoutio/grip";

const publisher = new Publisher(process.env.GRIP_URL);

async function webSocket(request, response) {
  const context = await getWebSocketContextFromNodeReq(request);
  if (context.isOpening()) {
    context.accept();
    context.subscribe("test");
  }
  while (context.canRecv()) {
    const message = context.recvRaw();
    if (message === null) {
      context.close(context.closeCode ?? 0);
      break;
    }
    context.meta.count = String(Number(context.meta.count ?? 0) + 1);
    if (typeof message === "string") {
      context.send(`${context.meta.count} ${message}`);
    } else {
      context.sendBinary(message);
    }
  }
  response.writeHead(200, context.toHeaders());
  response.end(encodeWebSocketEvents(context.getOutgoingEvents()));
}

function hold(path, response) {
  const instruct = new GripInstruct("test");
  if (path === "/stream") {
    instruct.setHoldStream();
    instruct.setKeepAlive("alive\n", 1);
    instruct.meta = { user: "al\"ice" };
  } else {
    instruct.setHoldLongPoll(30);
    instruct.setStatus(202);
  }
  response.writeHead(200, instruct.toHeaders({ "Content-Type": "text/plain" }));
  response.end("open\n");
}

async function publish(request, response) {
  let form = "";
  for await (const piece of request) {
    form += piece;
  }
  const text = new URLSearchParams(form).get("text");
  await publisher.publishFormats("test", [
    new HttpResponseFormat({ code: "201", headers: { "X-Message": "yes" }, body: text }),
    new HttpStreamFormat(`${text}\n`),
    new WebSocketMessageFormat(text),
  ]);
  response.end("published\n");
}

async function answer(request, response) {
  if (request.url === "/publish") {
    return publish(request, response);
  }
  const { isSigned } = await publisher.validateGripSig(request.headers["grip-sig"]);
  if (!isSigned) {
    response.writeHead(403);
    return response.end("unsigned\n");
  }
  return isNodeReqWsOverHttp(request) ? webSocket(request, response) : hold(request.url, response);
}

createServer((request, response) => {
  answer(request, response).catch((error) => {
    response.writeHead(500);
    response.end(`${error}\n`);
  });
}).listen({ fd: Number(process.argv[2]) });
