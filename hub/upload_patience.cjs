// Loaded into the hub's proxy before it starts (node --require). Node ends every request that is not whole after 300
// seconds, also an upload that comes steadily; this lets uploads to the ingest service take as long as they need. That
// service itself ends those that stand still. All other requests keep node's own limit.
"use strict";

const http = require("node:http");
const https = require("node:https");

const UPLOAD = /\/services\/gpdata\/v1\/generations(\?|$)/;

function patient(server) {
  const limit = server.requestTimeout;
  server.requestTimeout = 0; // for the whole server: node has no limit for one request
  server.prependListener("request", (request, response) => {
    if (!limit || UPLOAD.test(request.url)) return;
    const timer = setTimeout(() => {
      if (request.complete) return;
      if (!response.headersSent) response.writeHead(408, { Connection: "close" }).end();
      request.socket.destroySoon();
    }, limit);
    timer.unref();
    for (const over of ["end", "close"]) request.once(over, () => clearTimeout(timer));
  });
  return server;
}

for (const module of [http, https]) {
  const create = module.createServer;
  module.createServer = (...given) => patient(create(...given));
}
