// SPDX-License-Identifier: Apache-2.0
//
// One rule per build is broken, each in code that the optimiser cannot drop.
#include <limpet/abi.h>

#if defined(UNDEFINED)
extern "C" int limpet_nobody_defines_this();
[[gnu::used]] static int break_it()
{
    return limpet_nobody_defines_this();
}
#elif defined(WEAK)
extern "C" [[gnu::weak]] int limpet_the_agent_might_define_this();
[[gnu::used]] static int break_it()
{
    return limpet_the_agent_might_define_this ? limpet_the_agent_might_define_this() : 0;
}
#elif defined(LIBRARY)
#include <zlib.h>
[[gnu::used]] static const char* break_it()
{
    return zlibVersion();
}
#elif defined(EXTRA)
extern "C" [[gnu::visibility("default")]] int outside_extra();
int outside_extra()
{
    return 1;
}
#elif defined(SILENT) // no entry point
[[gnu::used]] static int break_it()
{
    return 1;
}
#endif

#if defined(UNDEFINED) || defined(WEAK) || defined(LIBRARY) || defined(SILENT)
// Refers to break_it from the initialisers, or --gc-sections would mend the mistake.
static auto (*const volatile broken)() = break_it;
[[gnu::constructor, gnu::used]] static void at_load()
{
    broken();
}
#endif
