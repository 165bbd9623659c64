# LLVM, for the compiled tier: AEON_LLVM_FOUND, AEON_LLVM_VERSION and the target aeon_llvm_c (headers and shared library
# of LLVM's C API). Only what lies in src/wasm/llvm and its tests may link it; the program aeon never does.
#
# Without it everything else is built, and guests run interpreted. -DAEON_LLVM=OFF leaves it out on purpose.

option(AEON_LLVM "Build the compiled tier where LLVM is installed" ON)

# Asks one llvm-config; sets AEON_LLVM_FOUND when headers and library are both there, else AEON_LLVM_REASON.
function(aeon_find_llvm major)
  find_program(AEON_LLVM_CONFIG_${major} NAMES llvm-config-${major} HINTS /usr/lib/llvm-${major}/bin)
  mark_as_advanced(AEON_LLVM_CONFIG_${major})
  if(NOT AEON_LLVM_CONFIG_${major})
    set(AEON_LLVM_REASON "there is no llvm-config-${major}" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND "${AEON_LLVM_CONFIG_${major}}" --version --includedir --libdir
    OUTPUT_VARIABLE answer RESULT_VARIABLE status ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(REPLACE "\n" ";" answer "${answer}")
  list(LENGTH answer count)
  if(NOT status EQUAL 0 OR NOT count EQUAL 3)
    set(AEON_LLVM_REASON "${AEON_LLVM_CONFIG_${major}} does not answer" PARENT_SCOPE)
    return()
  endif()
  list(GET answer 0 version)
  list(GET answer 1 headers)
  list(GET answer 2 libraries)
  find_library(AEON_LLVM_LIBRARY_${major} NAMES LLVM-${major} HINTS "${libraries}")
  mark_as_advanced(AEON_LLVM_LIBRARY_${major})
  if(NOT EXISTS "${headers}/llvm-c/Core.h" OR NOT AEON_LLVM_LIBRARY_${major})
    set(AEON_LLVM_REASON "headers or shared library of LLVM ${version} are missing (llvm-${major}-dev)" PARENT_SCOPE)
    return()
  endif()
  add_library(aeon_llvm_c INTERFACE)
  target_include_directories(aeon_llvm_c SYSTEM INTERFACE "${headers}")
  target_link_libraries(aeon_llvm_c INTERFACE "${AEON_LLVM_LIBRARY_${major}}")
  set(AEON_LLVM_FOUND TRUE PARENT_SCOPE)
  set(AEON_LLVM_VERSION "${version}" PARENT_SCOPE)
endfunction()

set(AEON_LLVM_FOUND FALSE)
set(AEON_LLVM_REASON "AEON_LLVM is off")
if(AEON_LLVM)
  foreach(major IN ITEMS 22 19)
    if(NOT AEON_LLVM_FOUND)
      aeon_find_llvm(${major})
    endif()
  endforeach()
endif()

if(AEON_LLVM_FOUND)
  message(STATUS "Compiled tier: LLVM ${AEON_LLVM_VERSION}")
else()
  message(STATUS "Compiled tier: left out, guests are interpreted (${AEON_LLVM_REASON})")
endif()
