# outerloop_find_protobuf_headers()
# Sets Protobuf_INCLUDE_DIR for FindProtobuf. PyPI's LibTorch has headers of the protobuf that it hides, without its library:
# they must not be taken where CMAKE_PREFIX_PATH names that LibTorch.
function(outerloop_find_protobuf_headers)
  find_path(OUTERLOOP_TORCH_INCLUDE ATen/ATen.h PATH_SUFFIXES include)
  file(GLOB libraries ${OUTERLOOP_TORCH_INCLUDE}/../lib/libprotobuf.* ${OUTERLOOP_TORCH_INCLUDE}/../lib/*/libprotobuf.*)
  if(OUTERLOOP_TORCH_INCLUDE AND NOT libraries)
    list(APPEND CMAKE_IGNORE_PATH ${OUTERLOOP_TORCH_INCLUDE})
    find_path(Protobuf_INCLUDE_DIR google/protobuf/service.h)
  endif()
endfunction()

# outerloop_check_protobuf(TORCH OURS)
# A process can hold only one protobuf: a second version, in a library loaded later, is bound to the first one's symbols and
# crashes at its first message. TORCH, LibTorch's libtorch_cpu.so, must therefore link OURS, the libprotobuf that this
# program links, or hide its own copy. Otherwise configuration fails.
function(outerloop_check_protobuf torch ours)
  find_program(OUTERLOOP_NM nm)
  find_program(OUTERLOOP_READELF readelf)
  if(NOT OUTERLOOP_NM OR NOT OUTERLOOP_READELF)
    message(STATUS "no nm and readelf: whether LibTorch's protobuf clashes with ours is not checked")
    return()
  endif()
  set(remedy "both in one process crash. Take another LibTorch (libtorch-dev, or one that CMAKE_PREFIX_PATH names), or "
             "configure with -DOUTERLOOP_REFERENCE=OFF")

  # Every copy of the library has this function, but generated code, which LibTorch also contains, does not.
  execute_process(COMMAND ${OUTERLOOP_NM} -D --defined-only ${torch} COMMAND grep -c 8protobuf8internal13VerifyVersion
                  OUTPUT_VARIABLE copies ERROR_VARIABLE ignored)
  if(copies GREATER 0)
    message(FATAL_ERROR "${torch} shows a protobuf of its own beside ours, ${ours}: " ${remedy})
  endif()

  execute_process(COMMAND ${OUTERLOOP_READELF} -d ${ours} OUTPUT_VARIABLE about_ours ERROR_VARIABLE ignored)
  execute_process(COMMAND ${OUTERLOOP_READELF} -d ${torch} OUTPUT_VARIABLE about_torch ERROR_VARIABLE ignored)
  string(REGEX MATCH "SONAME[^[]*\\[([^]]*)\\]" found "${about_ours}")
  set(our_name ${CMAKE_MATCH_1})
  string(REGEX MATCH "NEEDED[^[]*\\[(libprotobuf(-lite)?\\.so[^]]*)\\]" found "${about_torch}")
  set(torch_name ${CMAKE_MATCH_1})
  if(our_name AND torch_name AND NOT our_name STREQUAL torch_name)
    message(FATAL_ERROR "${torch} links ${torch_name}, and we link ${our_name}: " ${remedy})
  endif()
endfunction()
