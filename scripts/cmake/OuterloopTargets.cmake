# Compiler flags as INTERFACE targets, and the CMake functions for rooms and their tests.

add_library(outerloop_warnings INTERFACE)
target_compile_options(outerloop_warnings INTERFACE -Wall -Wextra)
if(OUTERLOOP_WARNINGS_AS_ERRORS)
  target_compile_options(outerloop_warnings INTERFACE -Werror)
endif()

add_library(outerloop_sanitizers INTERFACE)
if(OUTERLOOP_SANITIZE)
  target_compile_definitions(outerloop_sanitizers INTERFACE OUTERLOOP_SANITIZED)
  target_compile_options(outerloop_sanitizers INTERFACE -fsanitize=${OUTERLOOP_SANITIZE} -fno-omit-frame-pointer
                                                        -fno-sanitize-recover=all)
  # The sanitizers' dlopen calls the real one from their own library, which ignores an executable's RUNPATH but not its
  # RPATH.
  target_link_options(outerloop_sanitizers INTERFACE -fsanitize=${OUTERLOOP_SANITIZE} LINKER:--disable-new-dtags)
endif()

# Per room, for the installed package (OuterloopInstall.cmake): the rooms that it links and the packages that it needs.
set_property(GLOBAL PROPERTY OUTERLOOP_ROOMS "")

# outerloop_packages(ROOM packages...)
# Finds the external packages that a room links. Each package is one argument, in the form of find_package, e.g. "HDF5
# COMPONENTS C HL", or "pkg_config PREFIX MODULE". Global: targets that link the room link these too.
function(outerloop_packages room)
  foreach(package ${ARGN})
    separate_arguments(words UNIX_COMMAND ${package})
    if(words MATCHES "^pkg_config;(.+);(.+)$")
      find_package(PkgConfig REQUIRED)
      pkg_check_modules(${CMAKE_MATCH_1} REQUIRED IMPORTED_TARGET GLOBAL ${CMAKE_MATCH_2})
    else()
      find_package(${words} REQUIRED GLOBAL)
    endif()
    set_property(GLOBAL APPEND PROPERTY OUTERLOOP_PACKAGES_${room} ${package})
  endforeach()
endfunction()

# outerloop_room(NAME [SHARED] SOURCES ... [PACKAGES packages...] [PUBLIC libraries...] [PRIVATE libraries...])
# One library per room, exported as outerloop::NAME.
function(outerloop_room name)
  cmake_parse_arguments(ROOM "SHARED" "" "SOURCES;PACKAGES;PUBLIC;PRIVATE" ${ARGN})
  set(target outerloop_${name})
  outerloop_packages(${name} ${ROOM_PACKAGES})
  if(ROOM_SHARED)
    add_library(${target} SHARED ${ROOM_SOURCES})
  else()
    add_library(${target} STATIC ${ROOM_SOURCES})
  endif()
  add_library(outerloop::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/outerloop>)
  target_compile_features(${target} PUBLIC cxx_std_17)
  target_link_libraries(${target} PUBLIC ${ROOM_PUBLIC}
                        PRIVATE ${ROOM_PRIVATE} $<BUILD_INTERFACE:outerloop_warnings>
                                $<BUILD_INTERFACE:outerloop_sanitizers>)
  set(rooms ${ROOM_PUBLIC} ${ROOM_PRIVATE})
  list(FILTER rooms INCLUDE REGEX "^outerloop::")
  list(TRANSFORM rooms REPLACE "^outerloop::" "")
  set_property(GLOBAL PROPERTY OUTERLOOP_LINKS_${name} ${rooms})
  set_property(GLOBAL APPEND PROPERTY OUTERLOOP_ROOMS ${name})
endfunction()

# Tests spend their time in the tested code: optimizing the tests themselves would take longer than it saves.
set(OUTERLOOP_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)

# outerloop_test(NAME SOURCES ... [LIBRARIES ...] [LABELS ...] [TIMEOUT seconds])
# One Catch2 executable, one CTest test. Exit code 77 means skipped, with a line that says why.
function(outerloop_test name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} outerloop_catch outerloop_warnings outerloop_sanitizers)
  # With less optimization, LibTorch's headers refer to libraries that LibTorch links but the tests do not.
  if(NOT outerloop_torch IN_LIST TEST_LIBRARIES)
    target_compile_options(${name} PRIVATE ${OUTERLOOP_TEST_OPTIONS})
    target_precompile_headers(${name} REUSE_FROM outerloop_catch)
  elseif(OUTERLOOP_SANITIZE)
    target_compile_options(${name} PRIVATE -O1)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
                                           BUILD_RPATH "$ORIGIN/../lib")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77
                                          ENVIRONMENT "OPENBLAS_NUM_THREADS=1;OMP_NUM_THREADS=1")
endfunction()

# outerloop_test_reference(NAME)
# Lets the test NAME use the LibTorch engine, which is loaded at run time, if the build has it.
function(outerloop_test_reference name)
  if(TARGET outerloop_reference)
    add_dependencies(${name} outerloop_reference)
    target_compile_definitions(${name} PRIVATE OUTERLOOP_TEST_REFERENCE)
  endif()
endfunction()

# outerloop_mpi_test(NAME SOURCES ... [LIBRARIES ...] RANKS 1 2 4 [LABELS ...])
# An executable with its own main, run by scripts/mpirun at each number of ranks.
function(outerloop_mpi_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LIBRARIES;RANKS;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} outerloop_warnings outerloop_sanitizers)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
                                           BUILD_RPATH "$ORIGIN/../lib")
  foreach(ranks ${TEST_RANKS})
    add_test(NAME ${name}_${ranks} COMMAND ${PROJECT_SOURCE_DIR}/scripts/mpirun -n ${ranks} $<TARGET_FILE:${name}>
                                           ${ranks})
    # With recovery enabled, Open MPI 4's mpirun returns 0 whatever its ranks return, and the test could not fail.
    set_tests_properties(${name}_${ranks} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT 120 PROCESSORS 2
                                                     ENVIRONMENT "OMPI_MCA_orte_enable_recovery=0")
  endforeach()
endfunction()
