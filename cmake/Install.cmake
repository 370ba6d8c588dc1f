# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` lays out below the prefix. Probes install themselves (limpet_add_probe). The component "sdk" is
# what building a probe needs; without --component all is installed.
# "lib" is meant literally: probes are found at <prefix>/lib/limpet/plugins on every architecture.
include(CMakePackageConfigHelpers)

set(sdk_package_dir lib/cmake/limpet-sdk)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/limpet-sdk-config-version.cmake COMPATIBILITY SameMajorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/limpet-sdk-config-version.cmake DESTINATION ${sdk_package_dir} COMPONENT sdk)
install(DIRECTORY sdk/cmake/ DESTINATION ${sdk_package_dir} COMPONENT sdk)
install(DIRECTORY sdk/include/limpet bpf/include/limpet DESTINATION include COMPONENT sdk)

# The config goes to /etc for a prefix of /usr, as everywhere; the prefix is known only when it is used. A file that is there
# is the operator's and stays.
install(CODE "set(config_file \"${PROJECT_SOURCE_DIR}/config/limpet.toml\")")
install(CODE [[
    if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
        set(config_dir /etc/limpet)
    else()
        set(config_dir "${CMAKE_INSTALL_PREFIX}/etc/limpet")
    endif()
    if(EXISTS "$ENV{DESTDIR}${config_dir}/limpet.toml")
        message("-- Kept: $ENV{DESTDIR}${config_dir}/limpet.toml")
    else()
        file(INSTALL "${config_file}" DESTINATION "${config_dir}")
    endif()
]])

install(FILES LICENSE README.md DESTINATION share/doc/limpet)
install(DIRECTORY docs/ DESTINATION share/doc/limpet)
install(DIRECTORY packaging/grafana packaging/prometheus DESTINATION share/limpet FILES_MATCHING PATTERN "*.json" PATTERN "*.yml")
