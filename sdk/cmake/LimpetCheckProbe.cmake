# SPDX-License-Identifier: Apache-2.0
#
# cmake -DREADELF=… -DPROBE=x.so -P LimpetCheckProbe.cmake: holds a linked probe against the rules of limpet/abi.h.
# On failure the file is removed, so that the next build does not take it for good.
#
# `-z defs` has already refused symbols that no library defines. What it lets through: symbols of libraries that a probe
# may not need, and weak ones, which would come from the agent, or be null. They have no version; those of the run-time
# do. (In a sanitized build the sanitizers' libraries stand in for parts of the run-time, without versions.)
set(allowed_libraries "^(libc\\.so\\.6|libm\\.so\\.6|libstdc\\+\\+\\.so\\.6|libgcc_s\\.so\\.1|ld-linux.*)$")
set(sanitizer_libraries "^lib(asan|ubsan)\\.so\\.[0-9]+$")
set(allowed_unversioned "^(__cxa_finalize|__gmon_start__|_ITM_.*)$")

function(refuse text)
    file(REMOVE "${PROBE}")
    message(FATAL_ERROR " ${PROBE}: ${text}") # the space in front keeps CMake from wrapping the line
endfunction()

execute_process(COMMAND "${READELF}" --wide --dynamic "${PROBE}" OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[][]" "'" dynamic "${dynamic}") # a bracket would hold a CMake list together
string(REGEX MATCHALL "Shared library: '[^']+" needed "${dynamic}")
foreach(library IN LISTS needed)
    string(REPLACE "Shared library: '" "" library "${library}")
    if(library MATCHES "${sanitizer_libraries}")
        set(allowed_unversioned ".*")
    elseif(NOT library MATCHES "${allowed_libraries}")
        refuse("needs ${library}. A probe may use the C and C++ run-time only: link the library statically or do without.")
    endif()
endforeach()

set(exported "")
execute_process(COMMAND "${READELF}" --wide --dyn-syms "${PROBE}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
foreach(line IN LISTS lines)
    # number: value size type binding visibility section name
    if(NOT line MATCHES "^ *[0-9]+: +[0-9a-f]+ +[0-9xa-f]+ +[A-Z_]+ +[A-Z_]+ +[A-Z]+ +([A-Z0-9]+) +([^ ]+)")
        continue()
    endif()
    set(section "${CMAKE_MATCH_1}") # the next MATCHES clears it
    set(symbol "${CMAKE_MATCH_2}")
    if(NOT section STREQUAL "UND")
        list(APPEND exported "${symbol}")
    elseif(NOT symbol MATCHES "@" AND NOT symbol MATCHES "${allowed_unversioned}")
        refuse("undefined symbol ${symbol}. All that a probe needs of the agent comes in through struct limpet_host.")
    endif()
endforeach()
if(NOT exported STREQUAL "limpet_plugin_v1")
    list(JOIN exported ", " exported)
    refuse("exports \"${exported}\", and must export limpet_plugin_v1 alone.")
endif()
