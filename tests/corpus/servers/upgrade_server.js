// SPDX-License-Identifier: Apache-2.0
//
// Node's http module with what goes beyond requests and answers. Arguments: log file, port.
//   CONNECT host:port    200, then a tunnel to there
//   Upgrade: echo        101, then every byte comes back
//   /trailers            three chunks and trailers
//   /bytes?n=500         a chunk of one byte each
//   /events?n=20         server-sent events, 5 ms apart
//   /hints               103 twice before the answer
// Everything else: 200 after reading the request's body.
'use strict';

const fs = require('fs');
const http = require('http');
const net = require('net');

const [logPath, port] = process.argv.slice(2);
const log = fs.openSync(logPath, 'a');

function note(method, status) {
  fs.writeSync(log, `${method} ${status}\n`);
}

function sendTrailers(response) {
  response.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' });
  for (const word of ['one', 'two', 'three']) response.write(word);
  response.addTrailers({ 'X-Sum': '11', 'Content-Length-Of-It': '11' });
  response.end();
}

function sendBytes(response, count) {
  response.writeHead(200);
  for (let i = 0; i < count; i++) response.write('x');
  response.end();
}

function sendEvents(response, count) {
  let sent = 0;
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const timer = setInterval(() => {
    response.write(`id: ${sent}\ndata: event\n\n`);
    if (++sent === count) {
      clearInterval(timer);
      response.end();
    }
  }, 5);
  response.on('close', () => clearInterval(timer));
}

function answer(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const count = Number(url.searchParams.get('n'));
  note(request.method, 200);
  if (url.pathname === '/trailers') return sendTrailers(response);
  if (url.pathname === '/bytes') return sendBytes(response, count);
  if (url.pathname === '/events') return sendEvents(response, count);
  if (url.pathname === '/hints') {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.writeEarlyHints({ link: '</b.css>; rel=preload' });
  }
  response.end('hello');
}

const server = http.createServer((request, response) => {
  request.on('data', () => {});
  request.on('end', () => answer(request, response));
});

server.on('upgrade', (request, socket) => {
  note(request.method, 101);
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  socket.on('error', () => {});
  socket.pipe(socket);
});

server.on('connect', (request, socket) => {
  const [host, toPort] = request.url.split(':');
  const onward = net.connect(Number(toPort), host, () => {
    note('CONNECT', 200);
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    onward.pipe(socket);
    socket.pipe(onward);
  });
  for (const end of [socket, onward]) end.on('error', () => {});
});

server.on('clientError', (error, socket) => socket.destroy());
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 });
