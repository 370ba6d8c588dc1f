# SPDX-License-Identifier: Apache-2.0
#
# The warnings of every C and C++ file of the tree, errors all of them, for gcc and clang alike.
add_compile_options(
    -Wall -Wextra -Wpedantic -Werror
    -Wshadow -Wconversion -Wformat=2 -Wcast-align -Wcast-qual -Wundef -Wvla
    $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
    $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
    $<$<COMPILE_LANGUAGE:CXX>:-Wextra-semi>
)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wduplicated-cond -Wduplicated-branches -Wlogical-op)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options(-Wthread-safety)
    # what libbpf's LIBBPF_OPTS expands to
    add_compile_options(
        -Wno-gnu-statement-expression-from-macro-expansion -Wno-c99-extensions
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-designated-field-initializers>
    )
endif()
