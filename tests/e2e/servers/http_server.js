// SPDX-License-Identifier: Apache-2.0
//
// Node's http module with a log of "method status" lines. Arguments: log file, port, addresses.
'use strict';

const fs = require('fs');
const http = require('http');

const [logPath, port, ...addresses] = process.argv.slice(2);
const log = fs.openSync(logPath, 'a');
const kib = Buffer.alloc(1024, '0123456789abcdef');
const large = Buffer.alloc(100 * 1024, kib);

function answer(request, response) {
  const status = { '/missing': 404, '/empty': 204 }[request.url] || 200;
  const body = request.url === '/large' ? large : kib;
  fs.writeSync(log, `${request.method} ${status} ${request.url}\n`);
  if (status === 204) {
    response.writeHead(status);
    response.end();
    return;
  }
  response.writeHead(status, { 'Content-Length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function onRequest(request, response) {
  request.on('data', () => {});
  request.on('end', () => answer(request, response));
}

for (const address of addresses) {
  const server = http.createServer({ keepAliveTimeout: 60000 }, onRequest);
  server.on('clientError', (error, socket) => socket.destroy());
  server.listen({ port: Number(port), host: address, backlog: 1024 });
}
