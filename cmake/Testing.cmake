# SPDX-License-Identifier: Apache-2.0
#
# limpet_add_test(name SOURCES file… LABELS unit|kernel|e2e [LIBRARIES target…] [TIMEOUT seconds])
#
# Builds one Catch2 program and tells ctest of each TEST_CASE in it ("name:a sentence"). Sources see LIMPET_SOURCE_DIR,
# LIMPET_BUILD_DIR and LIMPET_TEST_PLUGIN_DIR, where the probes of tests/sdk/plugins are. Tests with the labels kernel and e2e run alone, since they share the kernel,
# its cgroup root and the machine's ports.
find_package(Catch2 2 REQUIRED)
include(Catch)
set(LIMPET_TEST_PLUGIN_DIR ${PROJECT_BINARY_DIR}/tests/plugins)

function(limpet_add_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LABELS;LIBRARIES")
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} Catch2::Catch2WithMain)
    target_compile_definitions(${name} PRIVATE
        LIMPET_SOURCE_DIR="${PROJECT_SOURCE_DIR}" LIMPET_BUILD_DIR="${PROJECT_BINARY_DIR}"
        LIMPET_TEST_PLUGIN_DIR="${LIMPET_TEST_PLUGIN_DIR}")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    set(properties LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
    if("kernel" IN_LIST arg_LABELS OR "e2e" IN_LIST arg_LABELS)
        list(APPEND properties RUN_SERIAL TRUE)
    endif()
    catch_discover_tests(${name} TEST_PREFIX "${name}:" PROPERTIES ${properties})
endfunction()
