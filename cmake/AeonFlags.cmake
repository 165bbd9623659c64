# Flags of all our own code, carried by the interface target aeon_flags.

option(AEON_WERROR "Treat compiler warnings as errors" ON)
option(AEON_FUZZ "Build the fuzz targets with libFuzzer instead of as replayers of their corpus" OFF)
option(AEON_COVERAGE "Instrument for source-based coverage (clang)" OFF)
set(AEON_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize=")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# No NDEBUG anywhere: assertions stay on in release builds.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

find_program(AEON_CCACHE ccache)
if(AEON_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${AEON_CCACHE}")
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(aeon_flags INTERFACE)
target_include_directories(aeon_flags INTERFACE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}")
target_compile_definitions(aeon_flags INTERFACE _GNU_SOURCE AEON_VERSION="${PROJECT_VERSION}")
target_link_libraries(aeon_flags INTERFACE Threads::Threads)
target_compile_options(aeon_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wpointer-arith -Wundef
  -Wno-override-init # a layer's table begins with what it forwards (src/world/layer.h)
  -fno-plt
  -fno-math-errno
  # a Wasm f32.mul and f32.add must never become one fused operation
  -ffp-contract=off)

if(AEON_WERROR)
  target_compile_options(aeon_flags INTERFACE -Werror)
endif()

if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  include(CheckLinkerFlag)
  check_linker_flag(C -fuse-ld=lld AEON_HAVE_LLD)
  if(AEON_HAVE_LLD)
    target_link_options(aeon_flags INTERFACE -fuse-ld=lld)
  endif()
endif()

if(AEON_SANITIZE)
  target_compile_options(aeon_flags INTERFACE
    -fsanitize=${AEON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(aeon_flags INTERFACE -fsanitize=${AEON_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(aeon_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
target_link_options(aeon_flags INTERFACE -Wl,-z,relro,-z,now)

if(AEON_FUZZ)
  target_compile_options(aeon_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(AEON_COVERAGE)
  target_compile_options(aeon_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(aeon_flags INTERFACE -fprofile-instr-generate)
endif()
