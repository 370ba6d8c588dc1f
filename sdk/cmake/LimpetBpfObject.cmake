# SPDX-License-Identifier: Apache-2.0
#
# limpet_add_bpf_object(<variable> SOURCE file.bpf.c [INCLUDE_DIRECTORIES dir…] [DEFINITIONS NAME=value…])
#
# Compiles one BPF object and stores the path of the result in <variable>. DWARF is stripped, BTF is kept: the agent reads
# the metrics from it. Rebuilt when the source or any header below an include directory of the SDK changes.
find_program(LIMPET_BPF_CLANG NAMES clang-19 clang DOC "clang that compiles BPF objects (19 or later)")
find_program(LIMPET_BPF_STRIP NAMES llvm-strip-19 llvm-strip DOC "llvm-strip for BPF objects")

# libbpf's names of architectures, for PT_REGS and the like in <bpf/bpf_tracing.h>.
function(_limpet_bpf_arch out)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        set(${out} x86 PARENT_SCOPE)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
        set(${out} arm64 PARENT_SCOPE)
    else()
        set(${out} ${CMAKE_SYSTEM_PROCESSOR} PARENT_SCOPE)
    endif()
endfunction()

function(limpet_add_bpf_object out)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCE" "INCLUDE_DIRECTORIES;DEFINITIONS")
    if(NOT LIMPET_BPF_CLANG OR NOT LIMPET_BPF_STRIP)
        message(FATAL_ERROR "BPF objects need clang and llvm-strip: apt-get install clang-19 llvm-19")
    endif()
    get_filename_component(source "${arg_SOURCE}" ABSOLUTE)
    get_filename_component(name "${arg_SOURCE}" NAME)
    string(REGEX REPLACE "\\.c$" ".o" object "${CMAKE_CURRENT_BINARY_DIR}/${name}")
    set(${out} "${object}" PARENT_SCOPE)
    get_source_file_property(is_known "${object}" GENERATED)
    if(is_known) # two probes of one directory share an object
        return()
    endif()

    set(flags ${arg_DEFINITIONS})
    list(TRANSFORM flags PREPEND "-D")
    _limpet_bpf_arch(arch)
    list(APPEND flags -D__TARGET_ARCH_${arch})
    foreach(directory IN LISTS LIMPET_SDK_BPF_INCLUDE_DIRS arg_INCLUDE_DIRECTORIES)
        get_filename_component(directory "${directory}" ABSOLUTE)
        list(APPEND flags -I "${directory}")
    endforeach()
    # The target "bpf" knows no multiarch directory, where Debian keeps <asm/types.h>.
    if(CMAKE_LIBRARY_ARCHITECTURE)
        list(APPEND flags -idirafter "/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}")
    endif()

    add_custom_command(
        OUTPUT "${object}"
        COMMAND "${LIMPET_BPF_CLANG}" -target bpf -mcpu=v3 -O2 -g -Wall -Werror ${flags}
                -MMD -MT "${object}" -MF "${object}.d" -c "${source}" -o "${object}"
        COMMAND "${LIMPET_BPF_STRIP}" -g "${object}"
        DEPENDS "${source}"
        DEPFILE "${object}.d"
        COMMENT "Building BPF object ${name}"
        COMMAND_EXPAND_LISTS VERBATIM)
endfunction()
