# The verbs of the CMakeLists.txt below src/, tests/, fuzz/, bench/ and examples/.
#
#   aeon_module(NAME [SOURCES a.c b.c] [DEPENDS base wasm ...] [LIBS zstd uv ...])
#       Static library aeon_NAME. DEPENDS are names of modules, in any order of definition. A module without sources
#       (headers only) is fine. LIBS are system libraries: see aeon_system_library.
#   aeon_executable(NAME SOURCES ... [DEPENDS ...] [LIBS ...])
#       Program build/<preset>/NAME.
#   aeon_test(NAME SOURCES ... [DEPENDS ...] [LIBS ...] [ARGS ...] [LABELS guest ...] [TIMEOUT seconds] [SERIAL])
#       Program test_NAME with cmocka, run by ctest as NAME. Exit status 77 means skipped.
#   aeon_script_test(NAME SCRIPT x.sh|x.py [ARGS ...] [LABELS ...] [TIMEOUT seconds] [SERIAL])
#       The same for a bash or Python script. $AEON is the program under test.
#   aeon_fuzz(NAME SOURCES ... [DEPENDS ...] [LIBS ...])
#       Program fuzz_NAME around LLVMFuzzerTestOneInput. With the preset `fuzz` it fuzzes; elsewhere it is a test that
#       runs the seeds in fuzz/corpus/NAME once each.
#   aeon_bench(NAME SOURCES ... [DEPENDS ...] [LIBS ...] [ARGS ...])   or   aeon_bench(NAME COMMAND ...)
#       One step of the target `bench`; steps run one after the other.
#
# All tests find in their environment: AEON (the program), AEON_SOURCE_DIR, AEON_BUILD_DIR, AEON_GUESTS (built test
# guests) and AEON_HOME (a store of their own, in the build tree, emptied by whoever wants it empty).

define_property(GLOBAL PROPERTY AEON_MODULES BRIEF_DOCS "Names of all modules")
define_property(GLOBAL PROPERTY AEON_BENCHES BRIEF_DOCS "Names of all benchmarks")

set(AEON_GUESTS_DIR "${CMAKE_SOURCE_DIR}/build/guests" CACHE PATH "Where the built test guests lie")

function(aeon_add_directories)
  foreach(pattern IN LISTS ARGN)
    file(GLOB lists RELATIVE "${CMAKE_SOURCE_DIR}" CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${pattern}/CMakeLists.txt")
    list(SORT lists)
    foreach(list IN LISTS lists)
      cmake_path(GET list PARENT_PATH dir)
      add_subdirectory("${CMAKE_SOURCE_DIR}/${dir}" "${CMAKE_BINARY_DIR}/${dir}")
    endforeach()
  endforeach()
endfunction()

# Turns a short name of a system library into what the linker needs: those that come with a pkg-config file through
# it, everything else (m, dl, rt) as it is.
function(aeon_system_library out name)
  set(pkg_zstd libzstd)
  set(pkg_uv libuv)
  set(pkg_sodium libsodium)
  set(pkg_crypto libcrypto)
  set(pkg_ssl libssl)
  set(pkg_cmocka cmocka)
  set(pkg_yaml yaml-0.1)
  set(archive_zstd libzstd.a)
  set(archive_uv libuv_a.a)
  set(archive_crypto libcrypto.a)
  set(archive_ssl libssl.a)
  set(archive_yaml libyaml.a)
  set(archive_boost_context libboost_context.a) # the archive is C; the shared library is C++
  if(DEFINED pkg_${name})
    if(NOT TARGET PkgConfig::AEON_${name})
      pkg_check_modules(AEON_${name} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${pkg_${name}})
      # Where there is an archive it is linked in: one binary that needs nothing beside it, and starts in less time.
      if(DEFINED archive_${name})
        find_library(AEON_${name}_ARCHIVE NAMES ${archive_${name}} HINTS ${AEON_${name}_LIBRARY_DIRS})
        if(AEON_${name}_ARCHIVE)
          set_target_properties(PkgConfig::AEON_${name} PROPERTIES
            INTERFACE_LINK_LIBRARIES "${AEON_${name}_ARCHIVE}")
        endif()
      endif()
    endif()
    set(${out} PkgConfig::AEON_${name} PARENT_SCOPE)
  elseif(DEFINED archive_${name})
    find_library(AEON_${name}_ARCHIVE NAMES ${archive_${name}} REQUIRED)
    set(${out} "${AEON_${name}_ARCHIVE}" PARENT_SCOPE)
  else()
    set(${out} ${name} PARENT_SCOPE)
  endif()
endfunction()

function(aeon_link target scope depends libs)
  foreach(dep IN LISTS depends)
    target_link_libraries(${target} ${scope} aeon_${dep})
  endforeach()
  list(REMOVE_ITEM libs "")
  foreach(lib IN LISTS libs)
    aeon_system_library(lib_target ${lib})
    target_link_libraries(${target} ${scope} ${lib_target})
  endforeach()
endfunction()

function(aeon_check_arguments verb name)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${verb}(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
endfunction()

function(aeon_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LIBS")
  aeon_check_arguments(aeon_module ${name})
  set_property(GLOBAL APPEND PROPERTY AEON_MODULES ${name})
  if(arg_SOURCES)
    add_library(aeon_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(aeon_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_link_libraries(aeon_${name} ${scope} aeon_flags)
  aeon_link(aeon_${name} ${scope} "${arg_DEPENDS}" "${arg_LIBS}")
endfunction()

function(aeon_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LIBS")
  aeon_check_arguments(aeon_executable ${name})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE aeon_flags)
  aeon_link(${name} PRIVATE "${arg_DEPENDS}" "${arg_LIBS}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
endfunction()

# What all tests have in common, however they are made.
function(aeon_test_properties name)
  set(environment
    "AEON=${CMAKE_BINARY_DIR}/aeon"
    "AEON_SOURCE_DIR=${CMAKE_SOURCE_DIR}"
    "AEON_BUILD_DIR=${CMAKE_BINARY_DIR}"
    "AEON_GUESTS=${AEON_GUESTS_DIR}"
    "AEON_HOME=${CMAKE_BINARY_DIR}/tests/home/${name}"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "LLVM_PROFILE_FILE=${CMAKE_BINARY_DIR}/profile/%p.profraw")
  if(NOT arg_TIMEOUT) # a guard against hanging, not a measure
    set(arg_TIMEOUT 900)
  endif()
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "${environment}"
    LABELS "${arg_LABELS}"
    TIMEOUT ${arg_TIMEOUT}
    RUN_SERIAL "${arg_SERIAL}"
    SKIP_RETURN_CODE 77)
endfunction()

function(aeon_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "SOURCES;DEPENDS;LIBS;ARGS;LABELS")
  aeon_check_arguments(aeon_test ${name})
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE aeon_flags)
  aeon_link(test_${name} PRIVATE "${arg_DEPENDS}" "cmocka;${arg_LIBS}")
  add_test(NAME ${name} COMMAND test_${name} ${arg_ARGS})
  aeon_test_properties(${name})
endfunction()

function(aeon_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT;SCRIPT" "ARGS;LABELS")
  aeon_check_arguments(aeon_script_test ${name})
  cmake_path(ABSOLUTE_PATH arg_SCRIPT BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  if(arg_SCRIPT MATCHES "\\.py$")
    set(interpreter python3)
  else()
    set(interpreter bash)
  endif()
  add_test(NAME ${name} COMMAND ${interpreter} "${arg_SCRIPT}" ${arg_ARGS})
  aeon_test_properties(${name})
endfunction()

function(aeon_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;DEPENDS;LIBS;LABELS")
  aeon_check_arguments(aeon_fuzz ${name})
  add_executable(fuzz_${name} ${arg_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE aeon_flags)
  aeon_link(fuzz_${name} PRIVATE "${arg_DEPENDS}" "${arg_LIBS}")
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  if(AEON_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE "${CMAKE_SOURCE_DIR}/fuzz/replay.c")
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} "${CMAKE_SOURCE_DIR}/fuzz/corpus/${name}")
    aeon_test_properties(fuzz_${name})
  endif()
endfunction()

function(aeon_bench name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LIBS;ARGS;COMMAND")
  aeon_check_arguments(aeon_bench ${name})
  if(arg_SOURCES)
    add_executable(bench_${name} ${arg_SOURCES})
    target_link_libraries(bench_${name} PRIVATE aeon_flags)
    aeon_link(bench_${name} PRIVATE "${arg_DEPENDS}" "${arg_LIBS}")
    set(arg_COMMAND $<TARGET_FILE:bench_${name}> ${arg_ARGS})
  endif()
  add_custom_target(run_bench_${name}
    COMMAND ${CMAKE_COMMAND} -E env "AEON=${CMAKE_BINARY_DIR}/aeon" "AEON_GUESTS=${AEON_GUESTS_DIR}"
      "AEON_SOURCE_DIR=${CMAKE_SOURCE_DIR}" "AEON_BUILD_DIR=${CMAKE_BINARY_DIR}" ${arg_COMMAND}
    WORKING_DIRECTORY "${CMAKE_BINARY_DIR}" USES_TERMINAL VERBATIM)
  if(arg_SOURCES)
    add_dependencies(run_bench_${name} bench_${name})
  endif()
  if(TARGET aeon)
    add_dependencies(run_bench_${name} aeon)
  endif()
  # A chain, so that no two measure at the same time.
  get_property(previous GLOBAL PROPERTY AEON_BENCHES)
  if(previous)
    list(GET previous -1 last)
    add_dependencies(run_bench_${name} run_bench_${last})
  endif()
  set_property(GLOBAL APPEND PROPERTY AEON_BENCHES ${name})
  if(NOT TARGET bench)
    add_custom_target(bench)
  endif()
  add_dependencies(bench run_bench_${name})
endfunction()
