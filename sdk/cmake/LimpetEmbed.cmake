# SPDX-License-Identifier: Apache-2.0
#
# Files as read-only bytes inside a target: generated C++ with one top-level `.incbin`, so that no assembler language and
# no tool is needed. "a": loaded, never writable, kept by strip. "R": kept by --gc-sections although nothing refers to it.
#
# The directive is in a C++ file and not in a .S because a project that builds a probe has enabled C++ anyway.

# Writes <file>, which puts the contents of <path> into ELF section <section>; <symbol> may be empty.
function(_limpet_write_embedding file path section symbol)
    set(begin "")
    set(end "")
    if(symbol)
        set(begin "    \".global ${symbol}\\n${symbol}:\\n\"\n")
        set(end "    \".global ${symbol}_end\\n${symbol}_end:\\n\"\n")
    endif()
    file(CONFIGURE OUTPUT "${file}" CONTENT
"// Made by limpet-sdk.
__asm__(\".pushsection ${section}, \\\"aR\\\"\\n.balign 8\\n\"
${begin}    \".incbin \\\"${path}\\\"\\n\"
${end}    \".popsection\\n\");
" @ONLY)
    set_source_files_properties("${file}" PROPERTIES OBJECT_DEPENDS "${path}")
endfunction()

# limpet_embed_as_section(<target> <section> <path>): for readers of the ELF file.
function(limpet_embed_as_section target section path)
    string(MAKE_C_IDENTIFIER "${target}${section}" name)
    set(file "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
    _limpet_write_embedding("${file}" "${path}" "${section}" "")
    target_sources(${target} PRIVATE "${file}")
    # Not as a source: a BPF object would be handed to the linker.
    add_custom_target(${name} DEPENDS "${path}")
    add_dependencies(${target} ${name})
endfunction()

# limpet_embed_as_symbol(<target> <symbol> <path>): for the program itself, as
#   extern "C" const std::byte <symbol>[], <symbol>_end[];
function(limpet_embed_as_symbol target symbol path)
    set(file "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cpp")
    _limpet_write_embedding("${file}" "${path}" ".rodata.${symbol}" "${symbol}")
    target_sources(${target} PRIVATE "${file}")
endfunction()
