# SPDX-License-Identifier: Apache-2.0
#
# limpet_add_probe(NAME http MANIFEST plugin.toml [BPF http.bpf.c] [SOURCES http.cpp …] [NO_INSTALL])
#
# Builds <build>/plugins/http.so (target limpet_probe_http; below CMAKE_LIBRARY_OUTPUT_DIRECTORY when that is set): BPF object
# and manifest as ELF sections, user-space code from SOURCES, or none at all (a declarative probe: the agent reads the
# series tables by itself). Name and version come from the manifest; C++ sees them as LIMPET_PROBE_NAME and LIMPET_PROBE_VERSION.
# The build fails when the result needs anything but the C and C++ run-time, or exports more than the entry point.
# `cmake --install` puts it into lib/limpet/plugins unless NO_INSTALL is given.

# Reads the value of `key = "value"` at the top of a manifest: before the first table.
function(_limpet_manifest_value out manifest key)
    file(READ "${manifest}" text)
    string(REGEX REPLACE "\n[ \t]*\\[.*" "\n" text "\n${text}")
    if(NOT text MATCHES "\n[ \t]*${key}[ \t]*=[ \t]*\"([^\"\n]*)\"")
        message(FATAL_ERROR "${manifest}: no line `${key} = \"…\"` above the first table")
    endif()
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# The link rules of docs/writing-a-probe.md; the check after the link holds the result against them.
function(_limpet_harden_probe target)
    target_compile_options(${target} PRIVATE -ffunction-sections -fdata-sections
        $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
    target_link_options(${target} PRIVATE
        -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections -Wl,--as-needed -Wl,--build-id=sha1
        "-Wl,--version-script=${LIMPET_SDK_CMAKE_DIR}/limpet-probe.map")
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${LIMPET_SDK_CMAKE_DIR}/limpet-probe.map")
    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND "${CMAKE_COMMAND}" "-DREADELF=${CMAKE_READELF}" "-DPROBE=$<TARGET_FILE:${target}>"
                -P "${LIMPET_SDK_CMAKE_DIR}/LimpetCheckProbe.cmake"
        VERBATIM)
endfunction()

function(limpet_add_probe)
    cmake_parse_arguments(PARSE_ARGV 0 arg "NO_INSTALL" "NAME;MANIFEST;BPF" "SOURCES")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_MANIFEST OR NOT (arg_BPF OR arg_SOURCES))
        message(FATAL_ERROR "limpet_add_probe needs NAME, MANIFEST and BPF or SOURCES; unknown: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    get_filename_component(manifest "${arg_MANIFEST}" ABSOLUTE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
    _limpet_manifest_value(name "${manifest}" name)
    _limpet_manifest_value(version "${manifest}" version)
    if(NOT name STREQUAL arg_NAME)
        message(FATAL_ERROR "${manifest}: name is \"${name}\", limpet_add_probe says \"${arg_NAME}\"")
    endif()

    set(target limpet_probe_${name})
    if(NOT arg_SOURCES)
        set(arg_SOURCES "${CMAKE_CURRENT_BINARY_DIR}/${name}_entry.cpp")
        configure_file("${LIMPET_SDK_CMAKE_DIR}/declarative-entry.cpp.in" "${arg_SOURCES}" @ONLY)
    endif()
    add_library(${target} MODULE ${arg_SOURCES})
    target_link_libraries(${target} PRIVATE limpet::sdk)
    target_compile_features(${target} PRIVATE cxx_std_17)
    target_compile_definitions(${target} PRIVATE LIMPET_PROBE_NAME="${name}" LIMPET_PROBE_VERSION="${version}")
    limpet_embed_as_section(${target} .limpet.manifest "${manifest}")
    if(arg_BPF)
        limpet_add_bpf_object(object SOURCE "${arg_BPF}")
        limpet_embed_as_section(${target} .limpet.bpf "${object}")
    endif()

    if(CMAKE_LIBRARY_OUTPUT_DIRECTORY)
        set(directory "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}")
    else()
        set(directory "${CMAKE_BINARY_DIR}/plugins")
    endif()
    set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY "${directory}"
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    _limpet_harden_probe(${target})
    if(NOT arg_NO_INSTALL)
        install(TARGETS ${target} LIBRARY DESTINATION lib/limpet/plugins)
    endif()
endfunction()
