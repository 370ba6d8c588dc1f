/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/1.1 server that accepts, receives and sends by io_uring alone: one ring, one thread, 64 connections at most. Every
 * other answer leaves by a zero-copy send. Arguments: log file, port.
 * Answers every request with 200 and 16 KiB; a line "method 200" goes to the log before the answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS 64
#define BODY_BYTES 16384
#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n"
#define ANSWER_BYTES (sizeof(HEAD) - 1 + BODY_BYTES)

enum operation { ACCEPT, RECEIVE, SEND };

struct connection {
    int fd;
    size_t received, sent;
    char request[8192];
};

static struct io_uring ring;
static struct connection connections[CONNECTIONS];
static char answer[ANSWER_BYTES];
static int listener, log_file;
static unsigned long answers;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct io_uring_sqe *next_entry(void)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

    if (!entry)
        die("io_uring_get_sqe");
    return entry;
}

static void submit_accept(void)
{
    struct io_uring_sqe *entry = next_entry();

    io_uring_prep_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, (__u64)ACCEPT << 32);
}

static void submit_receive(size_t index)
{
    struct connection *connection = &connections[index];
    struct io_uring_sqe *entry = next_entry();

    io_uring_prep_recv(entry, connection->fd, connection->request + connection->received,
                       sizeof(connection->request) - 1 - connection->received, 0);
    io_uring_sqe_set_data64(entry, (__u64)RECEIVE << 32 | index);
}

static void submit_send(size_t index)
{
    struct connection *connection = &connections[index];
    struct io_uring_sqe *entry = next_entry();
    const char *from = answer + connection->sent;
    size_t left = ANSWER_BYTES - connection->sent;

    if (answers % 2)
        io_uring_prep_send_zc(entry, connection->fd, from, left, 0, 0);
    else
        io_uring_prep_send(entry, connection->fd, from, left, 0);
    io_uring_sqe_set_data64(entry, (__u64)SEND << 32 | index);
}

static void accepted(int fd)
{
    size_t index = 0;

    submit_accept();
    while (index < CONNECTIONS && connections[index].fd)
        index++;
    if (fd < 0 || index == CONNECTIONS)
        die("accept");
    connections[index] = (struct connection){.fd = fd};
    submit_receive(index);
}

/* Answers the request that stands whole in the buffer; else waits for more of it. */
static void go_on(size_t index)
{
    struct connection *connection = &connections[index];
    char *end = strstr(connection->request, "\r\n\r\n");
    size_t length;

    if (!end) {
        submit_receive(index);
        return;
    }
    dprintf(log_file, "%.*s 200\n", (int)strcspn(connection->request, " "), connection->request);
    length = (size_t)(end + 4 - connection->request);
    connection->received -= length;
    memmove(connection->request, end + 4, connection->received + 1);
    connection->sent = 0;
    answers++;
    submit_send(index);
}

static void received(size_t index, int bytes)
{
    struct connection *connection = &connections[index];

    if (bytes <= 0) {
        close(connection->fd);
        connection->fd = 0;
        return;
    }
    connection->received += (size_t)bytes;
    connection->request[connection->received] = '\0';
    go_on(index);
}

static void sent(size_t index, int bytes)
{
    struct connection *connection = &connections[index];

    if (bytes <= 0)
        die("send");
    connection->sent += (size_t)bytes;
    if (connection->sent < ANSWER_BYTES)
        submit_send(index);
    else
        go_on(index);
}

static void listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1024))
        die("listen");
}

static void handle(const struct io_uring_cqe *done)
{
    size_t index = (unsigned int)done->user_data;

    if (done->flags & IORING_CQE_F_NOTIF) /* the second word of a zero-copy send: the buffer is free again */
        return;
    switch (done->user_data >> 32) {
    case ACCEPT:
        accepted(done->res);
        break;
    case RECEIVE:
        received(index, done->res);
        break;
    default:
        sent(index, done->res);
    }
}

int main(int argc, char **argv)
{
    struct io_uring_cqe *done;

    if (argc != 3)
        return 2;
    log_file = open(argv[1], O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
    memset(answer, 'x', sizeof(answer));
    memcpy(answer, HEAD, sizeof(HEAD) - 1);
    listen_on(atoi(argv[2]));
    if (log_file < 0 || io_uring_queue_init(4 * CONNECTIONS, &ring, 0))
        die("io_uring_queue_init");
    submit_accept();
    for (;;) {
        if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_wait_cqe(&ring, &done))
            die("io_uring_wait");
        handle(done);
        io_uring_cqe_seen(&ring, done);
    }
}
