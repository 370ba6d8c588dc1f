/* SPDX-License-Identifier: Apache-2.0
 *
 * A host on which the kernel refuses some BPF programs: loaded before libc, it fails BPF_PROG_LOAD with EPERM for the
 * programs whose names the environment variable REFUSED_PROGRAMS lists, separated by commas. While the file REFUSE_TRACING_WHILE
 * exists, it fails with EBUSY what attaches tp_btf programs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_refused(const union bpf_attr *attributes)
{
    char name[BPF_OBJ_NAME_LEN + 3] = ",";
    char list[1024] = ",";
    const char *refused = getenv("REFUSED_PROGRAMS");

    if (!refused || strlen(refused) > sizeof(list) - 3 || !attributes->prog_name[0])
        return 0;
    strcat(strcat(list, refused), ",");
    strncat(name, attributes->prog_name, BPF_OBJ_NAME_LEN - 1);
    return !!strstr(list, strcat(name, ","));
}

static int is_attaching(long command, const union bpf_attr *attributes)
{
    return command == BPF_RAW_TRACEPOINT_OPEN ||
           (command == BPF_LINK_CREATE && attributes->link_create.attach_type == BPF_TRACE_RAW_TP);
}

static int refuses_tracing(void)
{
    const char *path = getenv("REFUSE_TRACING_WHILE");

    return path && !access(path, F_OK);
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_bpf && arguments[0] == BPF_PROG_LOAD && is_refused((const union bpf_attr *)arguments[1])) {
        errno = EPERM;
        return -1;
    }
    if (number == SYS_bpf && is_attaching(arguments[0], (const union bpf_attr *)arguments[1]) && refuses_tracing()) {
        errno = EBUSY;
        return -1;
    }
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
