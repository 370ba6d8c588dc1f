# SPDX-License-Identifier: Apache-2.0
#
# find_package(limpet-sdk): what is needed to build a probe. Works from an installed prefix and from a checkout
# (-Dlimpet-sdk_DIR=<checkout>/sdk/cmake). Start with limpet_add_probe in LimpetProbe.cmake.
#
# Defines   limpet::sdk                the user-space headers: limpet/abi.h (C), limpet/plugin.hpp (C++)
#           limpet_add_probe()         one shared object out of a .bpf.c, optional user-space code and a manifest
#           limpet_add_bpf_object()    one BPF object
get_filename_component(_limpet_checkout "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
get_filename_component(_limpet_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(EXISTS "${_limpet_checkout}/sdk/include/limpet/abi.h")
    set(LIMPET_SDK_INCLUDE_DIR "${_limpet_checkout}/sdk/include")
    set(LIMPET_SDK_BPF_INCLUDE_DIRS "${_limpet_checkout}/sdk/include" "${_limpet_checkout}/bpf/include")
else()
    set(LIMPET_SDK_INCLUDE_DIR "${_limpet_prefix}/include")
    set(LIMPET_SDK_BPF_INCLUDE_DIRS "${_limpet_prefix}/include")
endif()
set(LIMPET_SDK_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

if(NOT TARGET limpet::sdk)
    add_library(limpet::sdk INTERFACE IMPORTED GLOBAL)
    set_target_properties(limpet::sdk PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${LIMPET_SDK_INCLUDE_DIR}")
    # Imported headers count as system headers, which hides warnings: ours have none to hide.
    set_target_properties(limpet::sdk PROPERTIES IMPORTED_NO_SYSTEM ON)
endif()

include("${CMAKE_CURRENT_LIST_DIR}/LimpetBpfObject.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/LimpetEmbed.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/LimpetProbe.cmake")
