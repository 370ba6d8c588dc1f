/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that opens connections to 127.0.0.1 as fast as one thread can, with a request each. Arguments: port, connections, how many
 * at once, how they end:
 *
 *     old      HTTP/1.0; the server closes
 *     close    HTTP/1.1, Connection: close; the server closes
 *     leave    HTTP/1.1; the client closes behind the answer
 *     reset    HTTP/1.1; the client resets the connection behind the answer
 *
 * It asks for /, /missing and /empty by turns, from 64 addresses: one has not enough ports. Prints "status number" lines;
 * "error" counts connections without a whole answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define AT_ONCE_MAX 1024
#define ADDRESSES 64
#define STATUSES 600
#define WAIT_MS 10000

enum ending { OLD, CLOSE, LEAVE, RESET, ENDINGS };

static const char *const ending_names[ENDINGS] = {"old", "close", "leave", "reset"};
static const char *const paths[] = {"/", "/missing", "/empty"};

struct connection {
    int fd;
    int has_asked;
    unsigned long number;
    size_t received;
    char answer[4096];
};

static struct connection connections[AT_ONCE_MAX];
static struct sockaddr_in server = {.sin_family = AF_INET};
static enum ending ending;
static unsigned long answered[STATUSES], errors, opened, wanted;
static int poller;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void set_option(int fd, int level, int option, const void *value, socklen_t size)
{
    if (setsockopt(fd, level, option, value, size))
        die("setsockopt");
}

static void open_next(struct connection *connection)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + opened % ADDRESSES)};
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    int on = 1;

    connection->number = opened++;
    connection->received = 0;
    connection->has_asked = 0;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        die("socket");
    set_option(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)); /* connect chooses it */
    if (ending == RESET)
        set_option(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (bind(connection->fd, (struct sockaddr *)&own, sizeof(own)))
        die("bind");
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof(server)) && errno != EINPROGRESS)
        die("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event))
        die("epoll_ctl");
}

static int ask(struct connection *connection)
{
    char request[256];
    int size = snprintf(request, sizeof(request), "GET %s HTTP/1.%d\r\nHost: churn\r\n%s\r\n",
                        paths[connection->number % (sizeof(paths) / sizeof(*paths))], ending != OLD,
                        ending == CLOSE ? "Connection: close\r\n" : "");

    connection->has_asked = 1;
    return send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) == size;
}

/* Whether a whole answer is there, as its own length says. */
static int is_whole(const struct connection *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n"),
               *length = strcasestr(connection->answer, "\ncontent-length:");
    size_t head;

    if (!end)
        return 0;
    head = (size_t)(end + 4 - connection->answer);
    return connection->received >= head + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
}

/* Reads what is there. 1 when the connection has come to its end. */
static int receive(struct connection *connection)
{
    for (;;) {
        size_t room = sizeof(connection->answer) - 1 - connection->received;
        ssize_t size = recv(connection->fd, connection->answer + connection->received, room, 0);

        if (size <= 0)
            return size == 0 || errno != EAGAIN;
        connection->received += (size_t)size;
        connection->answer[connection->received] = 0;
        if (ending >= LEAVE && is_whole(connection))
            return 1;
    }
}

static void end(struct connection *connection)
{
    unsigned long status = 0;

    connection->answer[connection->received] = 0;
    if (is_whole(connection))
        status = strtoul(connection->answer + sizeof("HTTP/1.1"), NULL, 10);
    if (status && status < STATUSES)
        answered[status]++;
    else
        errors++;
    if (close(connection->fd))
        die("close");
    if (opened < wanted)
        open_next(connection);
    else
        connection->fd = -1;
}

static void handle(struct connection *connection, unsigned events)
{
    if (!connection->has_asked && events & EPOLLOUT && !ask(connection)) {
        end(connection);
        return;
    }
    if (connection->has_asked && receive(connection))
        end(connection);
}

static void run(unsigned long at_once)
{
    struct epoll_event events[AT_ONCE_MAX];
    unsigned long ended = 0;

    for (unsigned long i = 0; i < at_once && opened < wanted; i++)
        open_next(&connections[i]);
    while (ended < wanted) {
        int ready = epoll_wait(poller, events, AT_ONCE_MAX, WAIT_MS);

        if (ready <= 0)
            die("epoll_wait");
        for (int i = 0; i < ready; i++)
            handle(events[i].data.ptr, events[i].events);
        ended = errors;
        for (int status = 0; status < STATUSES; status++)
            ended += answered[status];
    }
}

int main(int count, char **arguments)
{
    unsigned long at_once;

    if (count != 5)
        die("port, connections, how many at once, how they end");
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((unsigned short)atoi(arguments[1]));
    wanted = strtoul(arguments[2], NULL, 10);
    at_once = strtoul(arguments[3], NULL, 10);
    while (ending < ENDINGS && strcmp(arguments[4], ending_names[ending]))
        ending++;
    if (at_once > AT_ONCE_MAX || ending == ENDINGS)
        die("arguments");
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll_create1");
    run(at_once);
    for (int status = 0; status < STATUSES; status++)
        if (answered[status])
            printf("%d %lu\n", status, answered[status]);
    if (errors)
        printf("error %lu\n", errors);
    return 0;
}
